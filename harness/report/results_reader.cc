#include "harness/report/results_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/report/line_fields.h"
#include "harness/scenario/strict_json.h"

namespace ipctorture {
namespace {

constexpr int depth_max = 6;
constexpr std::size_t lines_max = 200'000, transports_max = 4096, entries_max = 100'000;
constexpr std::uint64_t shards_max = 100'000;

template <typename Word>
std::optional<Word> word_of(std::string_view text, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (text == to_string(static_cast<Word>(i))) return static_cast<Word>(i);
  }
  return std::nullopt;
}

Verdict verdict_in(const LineFields& fields) {
  const std::string text = fields.text("verdict");
  if (text == "violation") return Verdict::violation;
  const auto verdict = word_of<Verdict>(text, verdict_count);
  if (!verdict) fields.refuse("verdict", "is no verdict");
  return *verdict;
}

Promise promise_in(const LineFields& fields) {
  const auto promise = word_of<Promise>(fields.text("promise"), promise_count);
  if (!promise) fields.refuse("promise", "is no promise");
  return *promise;
}

std::int64_t time_in(const LineFields& fields, const std::string& key) {
  return static_cast<std::int64_t>(fields.number(key));
}

CampaignStart start_of(const LineFields& fields) {
  CampaignStart start{.seed = fields.text("seed"),
                      .version = fields.text("version"),
                      .started = fields.text("started"),
                      .out = fields.text("out"),
                      .transports = fields.texts("transports", transports_max),
                      .seconds = fields.real("seconds"),
                      .runs = fields.number("runs"),
                      .commit = fields.text("commit"),
                      .options = fields.text("options"),
                      .merged = fields.text("merged"),
                      .named = fields.texts("named", transports_max)};
  if (start.seed.empty()) fields.refuse("seed", "is missing");
  const std::uint64_t shards = fields.has("shards") ? fields.number("shards") : 1;
  const std::uint64_t shard = fields.has("shard") ? fields.number("shard") : 1;
  if (shards < 1 || shards > shards_max) fields.refuse("shards", "must be from 1 to 100000");
  if (shard < 1 || shard > shards) fields.refuse("shard", "must be from 1 to the number of shards");
  start.shard = static_cast<std::uint32_t>(shard);
  start.shards = static_cast<std::uint32_t>(shards);
  return start;
}

Failure failure_of(const LineFields& fields, Verdict verdict) {
  return {.transport = fields.name("transport"),
          .fingerprint = fields.text("fingerprint"),
          .verdict = verdict,
          .what = fields.text("what"),
          .seed = fields.text("seed"),
          .again = fields.text("again"),
          .bundle = fields.text("bundle"),
          .engine = fields.text("engine"),
          .reason = fields.text("reason"),
          .link = fields.text("link"),
          .expires = fields.text("expires")};
}

PromiseTally promise_of(const LineFields& fields) {
  PromiseTally promise{.promise = promise_in(fields),
                       .verdict = verdict_in(fields),
                       .occasions = fields.number("occasions"),
                       .scenarios = fields.number("scenarios"),
                       .tried_scenarios = fields.number("tried_scenarios"),
                       .inconclusive_scenarios = fields.number("inconclusive_scenarios"),
                       .what = fields.text("what"),
                       .fingerprint = fields.text("fingerprint"),
                       .seed = fields.text("seed"),
                       .again = fields.text("again"),
                       .bundle = fields.text("bundle")};
  const LineFields occasions = fields.object("terms"), scenarios = fields.object("term_scenarios");
  for (unsigned i = 0; i < term_count; ++i) {
    const auto term = static_cast<Term>(i);
    const std::string name(to_string(term));
    if (!occasions.has(name)) continue;
    promise.terms.push_back(
        {.term = term, .occasions = occasions.number(name), .scenarios = scenarios.number(name)});
  }
  return promise;
}

FairnessTally fairness_of(const LineFields& fields) {
  FairnessTally fairness{.overtakes = fields.number("overtakes_max"),
                         .wait_ns = time_in(fields, "wait_max_ns"),
                         .peer_overtakes = fields.number("peer_overtakes_max"),
                         .peer_wait_ns = time_in(fields, "peer_wait_max_ns")};
  const auto shares = [&](const std::string& key, FairnessTally::Shares& to) {
    if (!fields.has(key)) return;
    const LineFields one = fields.object(key);
    to = {
        .scenarios = one.number("scenarios"), .least = one.real("least"), .mean = one.real("mean")};
  };
  shares("jain_producers", fairness.producers);
  shares("jain_consumers", fairness.consumers);
  return fairness;
}

KnownTally known_of(const LineFields& fields) {
  KnownTally known{.fingerprint = fields.text("fingerprint"),
                   .what = fields.text("what"),
                   .where = fields.text("entry"),
                   .reason = fields.text("reason"),
                   .link = fields.text("link"),
                   .expires = fields.text("expires"),
                   .scenarios = fields.number("scenarios"),
                   .histories = fields.number("histories"),
                   .again = fields.text("again"),
                   .bundle = fields.text("bundle")};
  if (fields.has("promise")) known.promise = promise_in(fields);
  return known;
}

TransportTally transport_of(const LineFields& fields) {
  TransportTally t{.transport = fields.name("transport"),
                   .verdict = verdict_in(fields),
                   .unsupported_reason = fields.text("unsupported_reason"),
                   .scenarios = fields.number("scenarios"),
                   .inconclusive_scenarios = fields.number("inconclusive_scenarios"),
                   .inconclusive_reason = fields.text("inconclusive_reason"),
                   .schedules = fields.number("schedules"),
                   .doubt = fields.text("under_control"),
                   .messages = fields.number("messages"),
                   .messages_per_second = fields.real("messages_per_second"),
                   .fairness = fairness_of(fields.object("fairness")),
                   .p50_ns = time_in(fields, "p50_ns"),
                   .p99_ns = time_in(fields, "p99_ns"),
                   .elapsed_ns = time_in(fields, "elapsed_ns"),
                   .traffic_messages = fields.number("traffic_messages"),
                   .traffic_ns = time_in(fields, "traffic_ns")};
  for (const LineFields& promise : fields.objects("promises", promise_count)) {
    t.promises.push_back(promise_of(promise));
    const auto same = [&](const auto& one) { return one.promise == t.promises.back().promise; };
    if (std::count_if(t.promises.begin(), t.promises.end(), same) > 1) {
      fields.refuse("promises", "the same one twice");
    }
  }
  for (const LineFields& known : fields.objects("known", transports_max)) {
    t.known.push_back(known_of(known));
  }
  for (const auto& [first, last] : fields.pairs("cases", entries_max)) {
    const bool in_order =
        first > 0 && first <= last && (t.cases.empty() || first > t.cases.back().first);
    if (!in_order) fields.refuse("cases", "must be ranges in order");
    t.cases.push_back({first, last});
  }
  for (const auto& [step, count] : fields.pairs("latency", 4096)) {
    t.latency.emplace_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(step, UINT32_MAX)),
                           count);
  }
  return t;
}

KnownEntryTally known_entry_of(const LineFields& fields) {
  KnownEntryTally entry{.where = fields.text("entry"),
                        .transport = fields.text("transport"),
                        .fingerprint = fields.text("fingerprint"),
                        .reason = fields.text("reason"),
                        .link = fields.text("link"),
                        .expires = fields.text("expires"),
                        .note = fields.text("what")};
  const auto state = word_of<KnownState>(fields.text("state"), 5);
  if (!state) fields.refuse("state", "is no state of a known failure");
  entry.state = *state;
  return entry;
}

void read_end(const LineFields& fields, ResultLines* lines) {
  const std::uint64_t code = fields.number("exit_code");
  if (code > 255) fields.refuse("exit_code", "is above 255");
  lines->exit_code = static_cast<int>(code);
  lines->tally.elapsed_ns = time_in(fields, "elapsed_ns");
  if (fields.has("inconclusive_permille_max")) {
    lines->tally.inconclusive_permille_max = static_cast<unsigned>(
        std::min<std::uint64_t>(fields.number("inconclusive_permille_max"), 1000));
  }
}

template <typename Entry>
void add(std::vector<Entry>* to, Entry entry, std::size_t size_max, const LineFields& fields) {
  if (to->size() >= size_max) fields.refuse("event", fmt::format("more than {} such", size_max));
  to->push_back(std::move(entry));
}

void read_event(const std::string& event, const nlohmann::json& json, const std::string& where,
                ResultLines* lines) {
  const LineFields fields(json, where);
  if (event == "start") {
    fields.refuse("event", "a second start");
  } else if (event == "failure" || event == "known") {
    add(&lines->failures,
        failure_of(fields, event == "known" ? Verdict::known : Verdict::violation), entries_max,
        fields);
  } else if (event == "harness_failure") {
    add(&lines->harness_failures, {fields.text("transport"), fields.text("what")}, entries_max,
        fields);
  } else if (event == "exact") {
    add(&lines->exact, failure_of(fields, Verdict::violation), entries_max, fields);
  } else if (event == "hole") {
    add(&lines->holes, fields.text("what"), entries_max, fields);
  } else if (event == "transport" && lines->explored) {
    add(&lines->explorations, explored_from_json(json, where), transports_max, fields);
  } else if (event == "transport") {
    add(&lines->tally.transports, transport_of(fields), transports_max, fields);
  } else if (event == "known_entry") {
    add(&lines->tally.known, known_entry_of(fields), entries_max, fields);
  } else if (event == "end") {
    read_end(fields, lines);
  }
}

void read_line(std::string_view line, const std::string& where, bool first, ResultLines* lines) {
  const nlohmann::json json = parse_strict_json(line, where, results_line_max, depth_max);
  const LineFields fields(json, where);
  const std::string schema = fields.text("schema"), event = fields.text("event");
  const bool explored = schema == explore_schema;
  if (!explored && schema != json_lines_schema) {
    fields.refuse("schema", fmt::format("is neither {} nor {}", json_lines_schema, explore_schema));
  }
  if (first && event != "start") fields.refuse("event", "the first line is no start");
  if (!first && explored != lines->explored) fields.refuse("schema", "is not that of the start");
  if (lines->exit_code) fields.refuse("event", "comes after the end");
  if (!first) return read_event(event, json, where, lines);
  lines->explored = explored;
  lines->start = start_of(fields);
  lines->tally.seed = lines->start.seed;
  lines->tally.started = lines->start.started;
}

}  // namespace

ResultLines read_results(std::string_view text, const std::string& file) {
  if (text.size() > results_bytes_max) {
    throw std::invalid_argument(fmt::format("{}: is above {} MiB", file, results_bytes_max >> 20));
  }
  ResultLines lines{.file = file};
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;  // cut while it was written
    ++number;
    const std::string where = fmt::format("{}:{}", file, number);
    if (number > lines_max) throw std::invalid_argument(where + ": too many lines");
    read_line(text.substr(at, end - at), where, number == 1, &lines);
    at = end + 1;
  }
  if (number == 0) throw std::invalid_argument(file + ":1: has no complete line");
  return lines;
}

std::string results_text(const ResultLines& lines) {
  const std::string_view schema = lines.explored ? explore_schema : json_lines_schema;
  std::string text = json_start(lines.start, schema);
  for (const Failure& failure : lines.failures) text += json_failure(failure);
  for (const auto& [transport, what] : lines.harness_failures) {
    text += json_harness_failure(transport, what);
  }
  for (const Failure& exact : lines.exact) {
    text += json_line({{"schema", schema},
                       {"event", "exact"},
                       {"transport", exact.transport},
                       {"fingerprint", exact.fingerprint},
                       {"bundle", exact.bundle}});
  }
  for (const KnownEntryTally& entry : lines.tally.known) text += json_known_entry(entry);
  for (const TransportTally& one : lines.tally.transports) text += json_transport(one);
  for (const ExploreTally& one : lines.explorations) text += json_explored(one);
  for (const std::string& hole : lines.holes) {
    text += json_line({{"schema", schema}, {"event", "hole"}, {"what", hole}});
  }
  if (lines.exit_code) text += json_end(lines.tally, *lines.exit_code, schema);
  return text;
}

void for_each_bundle(ResultLines* lines, const std::function<void(std::string*)>& change) {
  const auto visit = [&](std::string* path) {
    if (!path->empty()) change(path);
  };
  for (Failure& failure : lines->failures) visit(&failure.bundle);
  for (Failure& exact : lines->exact) visit(&exact.bundle);
  for (TransportTally& t : lines->tally.transports) {
    for (PromiseTally& promise : t.promises) visit(&promise.bundle);
    for (KnownTally& known : t.known) visit(&known.bundle);
  }
  for (ExploreTally& t : lines->explorations) {
    for (ExploreTally::Failure& failure : t.failures) visit(&failure.bundle);
  }
}

}  // namespace ipctorture
