#include "harness/report/json_lines.h"

#include <nlohmann/json.hpp>

namespace ipctorture {
namespace {

using Json = nlohmann::ordered_json;

Json line(const char* event, std::string_view schema = json_lines_schema) {
  return {{"schema", schema}, {"event", event}};
}

Json promise_json(const PromiseTally& promise) {
  Json json = {{"promise", to_string(promise.promise)},
               {"verdict", json_word(promise.verdict)},
               {"occasions", promise.occasions},
               {"scenarios", promise.scenarios},
               {"tried_scenarios", promise.tried_scenarios},
               {"inconclusive_scenarios", promise.inconclusive_scenarios}};
  if (!promise.terms.empty()) {
    Json occasions = Json::object(), scenarios = Json::object();
    for (const TermTally& term : promise.terms) {
      occasions[to_string(term.term)] = term.occasions;
      scenarios[to_string(term.term)] = term.scenarios;
    }
    json["terms"] = std::move(occasions);
    json["term_scenarios"] = std::move(scenarios);
  }
  if (!promise.what.empty()) json["what"] = promise.what;
  if (!promise.fingerprint.empty()) json["fingerprint"] = promise.fingerprint;
  if (!promise.seed.empty()) json["seed"] = promise.seed;
  if (!promise.again.empty()) json["again"] = promise.again;
  if (!promise.bundle.empty()) json["bundle"] = promise.bundle;
  return json;
}

Json shares_json(const FairnessTally::Shares& shares) {
  if (shares.scenarios == 0) return Json();
  return {{"scenarios", shares.scenarios}, {"least", shares.least}, {"mean", shares.mean}};
}

Json fairness_json(const FairnessTally& fairness) {
  return {{"overtakes_max", fairness.overtakes},
          {"wait_max_ns", fairness.wait_ns},
          {"peer_overtakes_max", fairness.peer_overtakes},
          {"peer_wait_max_ns", fairness.peer_wait_ns},
          {"jain_producers", shares_json(fairness.producers)},
          {"jain_consumers", shares_json(fairness.consumers)}};
}

}  // namespace

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string text_in(const nlohmann::json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string_view json_word(Verdict verdict) {
  return verdict == Verdict::violation ? "violation" : to_string(verdict);
}

std::string json_start(const CampaignStart& start, std::string_view schema) {
  Json json = line("start", schema);
  json["seed"] = start.seed;
  json["version"] = start.version;
  json["started"] = start.started;
  json["out"] = start.out;
  json["transports"] = start.transports;
  if (start.seconds > 0) json["seconds"] = start.seconds;
  if (start.runs > 0) json["runs"] = start.runs;
  json["commit"] = start.commit;
  json["options"] = start.options;
  json["shard"] = start.shard;
  json["shards"] = start.shards;
  if (!start.merged.empty()) json["merged"] = start.merged;
  json["named"] = start.named;
  return json_line(json);
}

std::string json_failure(const Failure& failure) {
  // An event of its own: who counts failures must not count these.
  const bool known = failure.verdict == Verdict::known;
  Json json = line(known ? "known" : "failure");
  json["transport"] = failure.transport;
  json["engine"] = failure.engine;
  json["fingerprint"] = failure.fingerprint;
  json["verdict"] = json_word(failure.verdict);
  json["what"] = failure.what;
  json["seed"] = failure.seed;
  json["again"] = failure.again;
  json["bundle"] = failure.bundle.empty() ? Json() : Json(failure.bundle);
  if (known) {
    json["reason"] = failure.reason;
    if (!failure.link.empty()) json["link"] = failure.link;
    json["expires"] = failure.expires;
  }
  return json_line(json);
}

std::string json_harness_failure(const std::string& transport, const std::string& what) {
  Json json = line("harness_failure");
  json["transport"] = transport;
  json["what"] = what;
  return json_line(json);
}

std::string json_transport(const TransportTally& t) {
  Json json = line("transport");
  json["transport"] = t.transport;
  json["verdict"] = json_word(t.verdict);
  if (!t.unsupported_reason.empty()) json["unsupported_reason"] = t.unsupported_reason;
  json["scenarios"] = t.scenarios;
  json["inconclusive_scenarios"] = t.inconclusive_scenarios;
  if (!t.inconclusive_reason.empty()) json["inconclusive_reason"] = t.inconclusive_reason;
  json["schedules"] = t.schedules;
  if (!t.doubt.empty()) json["under_control"] = t.doubt;
  json["messages"] = t.messages;
  json["messages_per_second"] = t.messages_per_second;
  json["p50_ns"] = t.p50_ns;
  json["p99_ns"] = t.p99_ns;
  json["elapsed_ns"] = t.elapsed_ns;
  json["fairness"] = fairness_json(t.fairness);
  json["promises"] = Json::array();
  for (const PromiseTally& promise : t.promises) json["promises"].push_back(promise_json(promise));
  for (const KnownTally& known : t.known) {
    json["known"].push_back({{"fingerprint", known.fingerprint},
                             {"what", known.what},
                             {"entry", known.where},
                             {"scenarios", known.scenarios},
                             {"histories", known.histories},
                             {"promise", to_string(known.promise)},
                             {"reason", known.reason},
                             {"link", known.link},
                             {"expires", known.expires},
                             {"again", known.again},
                             {"bundle", known.bundle}});
  }
  json["cases"] = Json::array();
  for (const CaseRange& range : t.cases) json["cases"].push_back({range.first, range.last});
  json["traffic_messages"] = t.traffic_messages;
  json["traffic_ns"] = t.traffic_ns;
  json["latency"] = t.latency;
  return json_line(json);
}

std::string json_known_entry(const KnownEntryTally& entry) {
  Json json = line("known_entry");
  json["entry"] = entry.where;
  json["transport"] = entry.transport;
  json["fingerprint"] = entry.fingerprint;
  json["reason"] = entry.reason;
  if (!entry.link.empty()) json["link"] = entry.link;
  json["expires"] = entry.expires;
  json["state"] = to_string(entry.state);
  json["fails"] = entry.fails();
  if (!entry.note.empty()) json["what"] = entry.note;
  return json_line(json);
}

std::string json_end(const CampaignTally& tally, int exit_code, std::string_view schema) {
  Json json = line("end", schema);
  json["seed"] = tally.seed;
  json["elapsed_ns"] = tally.elapsed_ns;
  json["inconclusive_permille_max"] = tally.inconclusive_permille_max;
  json["exit_code"] = exit_code;
  return json_line(json);
}

}  // namespace ipctorture
