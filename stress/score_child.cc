#include "stress/score_child.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/report/json_lines.h"
#include "stress/hand_over.h"
#include "stress/output_of.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

using Json = nlohmann::json;

std::uint64_t count_in(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

// The value of an enumeration that `name` gives this word; nothing: none does.
template <typename Value, typename Name>
std::optional<Value> named(const std::string& word, unsigned count, Name name) {
  for (unsigned i = 0; i < count; ++i) {
    if (name(static_cast<Value>(i)) == word) return static_cast<Value>(i);
  }
  return std::nullopt;
}

Verdict read_verdict(const Json& json) {
  const auto verdict = named<Verdict>(text_in(json, "verdict"), verdict_count,
                                      [](Verdict v) { return json_word(v); });
  return verdict.value_or(Verdict::inconclusive);
}

std::optional<PromiseTally> read_promise(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto promise = named<Promise>(text_in(json, "promise"), promise_count,
                                      [](Promise p) { return to_string(p); });
  if (!promise) return std::nullopt;
  PromiseTally tally{.promise = *promise,
                     .verdict = read_verdict(json),
                     .occasions = count_in(json, "occasions"),
                     .scenarios = count_in(json, "scenarios"),
                     .tried_scenarios = count_in(json, "tried_scenarios"),
                     .what = text_in(json, "what"),
                     .bundle = text_in(json, "bundle")};
  const auto occasions = json.find("terms"), scenarios = json.find("term_scenarios");
  if (occasions == json.end() || !occasions->is_object()) return tally;
  for (unsigned i = 0; i < term_count; ++i) {
    const auto term = static_cast<Term>(i);
    if (!occasions->contains(to_string(term))) continue;
    tally.terms.push_back({.term = term, .occasions = count_in(*occasions, to_string(term))});
    if (scenarios == json.end() || !scenarios->is_object()) continue;
    tally.terms.back().scenarios = count_in(*scenarios, to_string(term));
  }
  return tally;
}

TransportTally read_transport(const Json& json) {
  TransportTally tally{.transport = text_in(json, "transport"),
                       .verdict = read_verdict(json),
                       .unsupported_reason = text_in(json, "unsupported_reason"),
                       .scenarios = count_in(json, "scenarios"),
                       .inconclusive_scenarios = count_in(json, "inconclusive_scenarios"),
                       .inconclusive_reason = text_in(json, "inconclusive_reason"),
                       .schedules = count_in(json, "schedules"),
                       .doubt = text_in(json, "under_control"),
                       .messages = count_in(json, "messages")};
  const auto promises = json.find("promises");
  if (promises == json.end() || !promises->is_array()) return tally;
  for (const Json& one : *promises) {
    if (auto promise = read_promise(one)) tally.promises.push_back(std::move(*promise));
  }
  return tally;
}

}  // namespace

void RunListener::hear(std::string_view line, Instant now) {
  const auto json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return;
  const std::string event = text_in(json, "event");
  ended_ = ended_ || event == "end";
  if (event == "harness_failure") {
    run_.harness_failed = true;
    if (run_.harness_failure.empty()) run_.harness_failure = text_in(json, "what");
  }
  if (event == "failure" && text_in(json, "verdict") == "violation") {
    run_.fingerprints.push_back(text_in(json, "fingerprint"));
    if (!run_.caught) {
      run_.caught = true;
      run_.seconds = static_cast<double>(now - began_) / 1e9;
      run_.engine = text_in(json, "engine");
      run_.fingerprint = text_in(json, "fingerprint");
      run_.what = text_in(json, "what");
      run_.bundle = text_in(json, "bundle");
    }
  }
  if (event != "transport") return;
  run_.tally = read_transport(json);
  run_.unsupported = run_.tally.verdict == Verdict::unsupported && !run_.caught;
  run_.inconclusive = run_.tally.verdict == Verdict::inconclusive;
}

ScoredRun RunListener::end(Instant now) {
  if (!run_.caught) run_.seconds = static_cast<double>(now - began_) / 1e9;
  if (!ended_ && run_.harness_failure.empty()) run_.harness_failure = "it did not end in order";
  run_.harness_failed = run_.harness_failed || !ended_;
  return run_;
}

ScoredRun run_child(const ChildRun& child, const std::atomic<bool>* stop) {
  std::vector<std::string> command = {own_path(),
                                      "run",
                                      child.name,
                                      "--time",
                                      fmt::format("{}ms", child.time_ns / 1'000'000),
                                      "--seed",
                                      seed_text(child.seed),
                                      "--hand-over",
                                      "0s",
                                      "--known",  // of this folder: none may change a score
                                      "",
                                      "--config",  // nor a setting of this folder
                                      "/dev/null",
                                      "--json",
                                      "--quiet",
                                      "--out",
                                      child.out};
  if (!child.control.empty()) command.insert(command.end(), {"--control", child.control});
  if (child.fail_fast == FailFast::yes) command.emplace_back("--fail-fast");
  RunListener listener(monotonic_now());
  const auto hear = [&](std::string_view line) { listener.hear(line, monotonic_now()); };
  for_each_line(command, hear, stop, Variables::none_of_ours);
  return listener.end(monotonic_now());
}

std::string promise_of(const std::string& fingerprint) {
  return fingerprint.substr(0, fingerprint.find('/'));
}

}  // namespace ipctorture
