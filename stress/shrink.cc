// `ipctorture shrink`: makes the scenario of a failure of the free engine small, and leaves a
// bundle of the small one beside the old.
//
// First the failure's hit rate is measured. Then a candidate (harness/shrink) is run until it is
// plain whether it still fails often enough (harness/shrink/hit_rate.h): one lucky run decides
// nothing. Since some candidates are accepted by chance all the same, the last one is replayed, and
// given up for the one before it when it came back too rarely.
#include "harness/shrink/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/report/bundle.h"
#include "harness/report/json_lines.h"
#include "harness/report/progress.h"
#include "harness/report/replay_line.h"
#include "harness/scenario/codec.h"
#include "harness/shrink/hit_rate.h"
#include "stress/engine_room.h"
#include "stress/failure_file.h"
#include "stress/run_output.h"
#include "stress/selection.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::int64_t default_time_ns = 60'000'000'000;
constexpr std::uint64_t hits_enough = 5;  // to know how often it comes back
// Replays of the smallest: more where the failure is rare, as far as a third of the time allows.
constexpr std::uint64_t last_attempts = 20, last_attempts_max = 1000;
constexpr double last_hits = 4;

// A scenario that still failed, and how it did: all that a bundle needs.
struct Failing {
  Scenario scenario;
  Hits hits;
  ScenarioResult shown;  // detached; without a history when it was dropped to save memory
  bool has_history() const { return !shown.history.lanes.empty(); }
};

ScenarioResult kept(ScenarioResult result) {
  result.history = detached(std::move(result.history));
  return result;
}

class Shrinking {
 public:
  Shrinking(const FailureFile& failure, EngineRoom& room, const Terminal& terminal,
            std::int64_t time_ns)
      : failure_(failure),
        contract_(transport_named(failure.scenario.transport_name()).contract),
        room_(room),
        progress_(terminal.progress, terminal.progress_width, print_note),
        began_(monotonic_now()),
        time_ns_(time_ns) {}

  void run() {
    measure();
    if (fingerprint_.empty()) return;
    const Shrunk small =
        shrink(failure_.scenario, contract_, [this](const Scenario& s) { return still_fails(s); },
               {.tries = UINT64_MAX, .stop = [this] { return out_of_time(); }});
    candidates_ = small.tries;
    finished_ = small.finished;
    confirm();
    progress_.clear();
  }

  // Empty: it did not come back.
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& unsupported() const { return unsupported_; }
  const Hits& before() const { return before_; }
  const Failing* smallest() const { return accepted_.empty() ? nullptr : &accepted_.back(); }
  // What was given, as it failed; only when it did.
  const ScenarioResult& as_it_is() const { return as_it_is_; }
  bool finished() const { return finished_; }
  bool all_inconclusive() const { return inconclusive_ == scenarios_; }
  bool confirmed() const { return confirmed_; }
  std::uint64_t scenarios() const { return scenarios_; }
  std::uint64_t candidates() const { return candidates_; }
  std::uint64_t given_up() const { return given_up_; }
  std::int64_t elapsed_ns() const { return monotonic_now() - began_; }

 private:
  bool out_of_time() const {
    return room_.interrupted() || !unsupported_.empty() || elapsed_ns() >= time_ns_;
  }

  // Nothing when the run counts for nothing: a person ended it, or it cannot run here.
  std::optional<ScenarioResult> attempt(const Scenario& scenario) {
    ScenarioResult result = run_scenario(room_.engine(0), scenario);
    if (!result.unsupported.empty()) {
      unsupported_ = result.unsupported;
      return std::nullopt;
    }
    if (result.history.has(Fact::interrupted)) return std::nullopt;
    ++scenarios_;
    if (result.judgement.verdict() == Verdict::inconclusive) ++inconclusive_;
    progress_.update({.elapsed_ns = elapsed_ns(),
                      .total_ns = time_ns_,
                      .scenarios = scenarios_,
                      .now = fmt::format("{} messages", smallest_yet().messages)},
                     monotonic_now());
    return result;
  }

  const Scenario& smallest_yet() const {
    return accepted_.empty() ? failure_.scenario : accepted_.back().scenario;
  }

  bool shows(const ScenarioResult& result) const {
    return violations(result.judgement).contains(fingerprint_);
  }

  // How often does the failure come back? Where several are meant (a scenario file, a bundle that
  // was renamed), it is the one seen most often: what is made small must not turn into another.
  void measure() {
    std::map<std::string, Hits> seen;
    std::map<std::string, ScenarioResult> shown;
    const auto enough = [&] {
      return std::any_of(seen.begin(), seen.end(),
                         [](const auto& one) { return one.second.hits >= hits_enough; });
    };
    const Instant until = began_ + time_ns_ / 3;
    while (!out_of_time() && !enough() && monotonic_now() < until) {
      const auto result = attempt(failure_.scenario);
      if (!result) continue;
      ++before_.attempts;
      for (const std::string& one : violations(result->judgement)) {
        if (!failure_.fingerprints.empty() && !failure_.fingerprints.contains(one)) continue;
        if (++seen[one].hits == 1) shown.emplace(one, kept(*result));
      }
    }
    for (const auto& [one, hits] : seen) {
      if (hits.hits <= before_.hits) continue;
      before_.hits = hits.hits;
      fingerprint_ = one;
    }
    if (!fingerprint_.empty()) as_it_is_ = std::move(shown.at(fingerprint_));
    rate_ = hit_rate(before_);
  }

  bool still_fails(const Scenario& scenario) {
    SequentialTest test(rate_);
    std::optional<bool> answer;
    std::optional<ScenarioResult> shown;
    while (!answer) {
      if (out_of_time()) return false;
      std::optional<ScenarioResult> result = attempt(scenario);
      if (!result) continue;
      const bool hit = shows(*result);
      answer = test.after(hit);
      if (hit && !shown) shown = kept(std::move(*result));
    }
    if (!*answer) return false;
    // One step back is kept whole, of those before it the scenario alone.
    if (accepted_.size() > 1) accepted_[accepted_.size() - 2].shown = {};
    accepted_.push_back({scenario, test.hits(), std::move(*shown)});
    return true;
  }

  // Replays the smallest. Who comes back too rarely was accepted by luck: then the one before it.
  void confirm() {
    const Instant enough_time = monotonic_now() + time_ns_ / 3;
    const auto wanted = static_cast<std::uint64_t>(
        std::clamp(last_hits / rate_, double{last_attempts}, double{last_attempts_max}));
    while (!accepted_.empty()) {
      Failing& last = accepted_.back();
      Hits hits;
      while (hits.attempts < last_attempts ||
             (hits.attempts < wanted && monotonic_now() < enough_time)) {
        std::optional<ScenarioResult> result = attempt(last.scenario);
        if (!result) break;  // interrupted
        const bool hit = shows(*result);
        hits.count(hit);
        if (hit && !last.has_history()) last.shown = kept(std::move(*result));
      }
      confirmed_ = hits.attempts >= last_attempts;
      if (confirmed_) last.hits = hits;
      if (last.has_history() && !(confirmed_ && too_few(hits, rate_))) return;
      accepted_.pop_back();
      ++given_up_;
      finished_ = confirmed_ = false;
    }
  }

  const FailureFile& failure_;
  const Contract& contract_;
  EngineRoom& room_;
  Progress progress_;
  const Instant began_;
  const std::int64_t time_ns_;
  std::string fingerprint_, unsupported_;
  ScenarioResult as_it_is_;
  Hits before_;
  double rate_ = 0;
  std::vector<Failing> accepted_;  // each smaller than the one before
  std::uint64_t scenarios_ = 0, inconclusive_ = 0, candidates_ = 0, given_up_ = 0;
  bool finished_ = false, confirmed_ = false;
};

// "messages: 812 -> 7", of every field that changed.
std::vector<std::string> changes(const Scenario& before, const Scenario& after) {
  const auto old = nlohmann::ordered_json::parse(scenario_to_json(before));
  const auto now = nlohmann::ordered_json::parse(scenario_to_json(after));
  std::vector<std::string> found;
  for (const auto& [key, value] : now.items()) {
    if (old[key] == value) continue;
    if (!value.is_object()) {
      found.push_back(fmt::format("{}: {} -> {}", key, old[key].dump(), value.dump()));
      continue;
    }
    for (const auto& [inner, part] : value.items()) {
      const auto& was = old[key][inner];
      if (was != part) {
        found.push_back(fmt::format("{}.{}: {} -> {}", key, inner, was.dump(), part.dump()));
      }
    }
  }
  return found;
}

void tell(const Shrinking& done, const FailureFile& failure, const std::string& bundle) {
  print_result(fmt::format("{}\n  before: {} of {} attempts\n", done.fingerprint(),
                           done.before().hits, done.before().attempts));
  const Failing* small = done.smallest();
  if (small == nullptr) {
    print_result(done.finished() ? "it is as small as can be\n" : "nothing smaller was found\n");
    if (!bundle.empty()) print_result("  " + replay_line(program_as_started(), bundle) + "\n");
    return;
  }
  for (const std::string& change : changes(failure.scenario, small->scenario)) {
    print_result(fmt::format("  {}\n", change));
  }
  print_result(fmt::format(
      "{}: {} of {} attempts show it ({} candidates, {} scenarios, {:.0f} s)\n",
      done.finished() ? "as small as can be" : "smaller", small->hits.hits, small->hits.attempts,
      done.candidates(), done.scenarios(), static_cast<double>(done.elapsed_ns()) / 1e9));
  if (done.given_up() > 0) {
    print_result(fmt::format("  {} smaller ones came back too rarely\n", done.given_up()));
  }
  if (!done.confirmed()) print_result("interrupted: not replayed once more\n");
  print_result("  " + replay_line(program_as_started(), bundle) + "\n");
}

void tell_as_json(const Shrinking& done, const FailureFile& failure, const std::string& bundle,
                  ExitCode code) {
  nlohmann::ordered_json json = {
      {"schema", "ipctorture-shrink/1"},
      {"transport", failure.scenario.transport_name()},
      {"fingerprint", done.fingerprint()},
      {"before", {{"reproduced", done.before().hits}, {"attempts", done.before().attempts}}},
      {"candidates", done.candidates()},
      {"scenarios", done.scenarios()},
      {"finished", done.finished()},
      {"exit_code", static_cast<int>(code)}};
  if (!done.unsupported().empty()) json["unsupported"] = done.unsupported();
  if (const Failing* small = done.smallest()) {
    json["after"] = {{"reproduced", small->hits.hits}, {"attempts", small->hits.attempts}};
    json["confirmed"] = done.confirmed();
    json["changes"] = changes(failure.scenario, small->scenario);
  }
  if (!bundle.empty()) json["bundle"] = bundle;
  print_result(json_line(json));
}

// As replay's.
ExitCode exit_code(const Shrinking& done) {
  if (!done.fingerprint().empty()) return ExitCode::violation;
  if (!done.unsupported().empty()) return ExitCode::unsupported;
  return done.all_inconclusive() ? ExitCode::inconclusive : ExitCode::pass;
}

ExitCode point_to_the_schedule(const std::string& path, bool as_json) {
  const std::string what = "a bundle of explore is small already: its schedule was minimised";
  if (as_json) {
    print_result(json_line(nlohmann::ordered_json{
        {"schema", "ipctorture-shrink/1"}, {"what", what}, {"exit_code", 0}}));
    return ExitCode::pass;
  }
  print_result(fmt::format("{}\n  {}\n", what, replay_line(program_as_started(), path)));
  return ExitCode::pass;
}

}  // namespace

ExitCode shrink_failure(const Settings& settings, const std::string& path) {
  const bool as_json = settings.on("json");
  if (is_controlled_bundle(path)) return point_to_the_schedule(path, as_json);
  FailureFile failure = load_failure(path);
  if (!failure.named.empty()) failure.fingerprints = {failure.named};
  refuse_unless_runnable(failure.scenario);
  const auto time = settings.find("time");
  EngineRoom room(1);
  Shrinking shrinking(failure, room, this_terminal(settings),
                      time ? parse_duration_ns(*time) : default_time_ns);
  shrinking.run();
  const ExitCode code = graver(exit_code(shrinking), room.exit_code());
  std::string bundle;
  if (const Failing* small = shrinking.smallest()) {
    bundle = write_bundle_beside(small_name(path), small->shown);
  } else if (!shrinking.fingerprint().empty() && !std::filesystem::is_directory(path)) {
    bundle = write_bundle_beside(small_name(path), shrinking.as_it_is());  // it has none yet
  }
  if (as_json) {
    tell_as_json(shrinking, failure, bundle, code);
  } else if (!shrinking.unsupported().empty()) {
    print_result(fmt::format("unsupported here: {}\n", shrinking.unsupported()));
  } else if (shrinking.fingerprint().empty()) {
    print_result(fmt::format("not reproduced in {} attempts: nothing to go by\n",
                             shrinking.before().attempts));
  } else {
    tell(shrinking, failure, bundle);
  }
  return code;
}

}  // namespace ipctorture
