#include "harness/report/explored.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/json_lines.h"
#include "harness/report/line_fields.h"
#include "harness/report/summary.h"

namespace ipctorture {
namespace {

constexpr double too_many_cut = 0.01;  // of all schedules
constexpr std::size_t trials_max = 4096, known_max = 4096, failures_max = 4096;

nlohmann::ordered_json failure_json(const ExploreTally::Failure& failure) {
  return {{"promise", failure.promise},
          {"fingerprint", failure.fingerprint},
          {"what", failure.what},
          {"departures", failure.departures},
          {"departures_found", failure.departures_found},
          {"messages", failure.messages},
          {"found_in", failure.found_in},
          {"bundle", failure.bundle}};
}

ExploreTally::Failure failure_of(LineFields fields) {
  return {.promise = fields.text("promise"),
          .fingerprint = fields.text("fingerprint"),
          .what = fields.text("what"),
          .departures = fields.text("departures"),
          .found_in = fields.text("found_in"),
          .bundle = fields.text("bundle"),
          .departures_found = fields.number("departures_found"),
          .messages = fields.number("messages")};
}

}  // namespace

std::string explore_doubt(const ExploreTally& tally) {
  if (!tally.harness_failure.empty()) return "the harness failed: " + tally.harness_failure;
  if (!tally.uncontrolled.empty()) return "not controlled: " + tally.uncontrolled;
  if (tally.maps_shared_memory && tally.shared_accesses == 0) {
    return "it maps shared memory, and no access to it was instrumented: interleavings of its "
           "system "
           "calls, and what came of them, were checked, those of its memory were not";
  }
  if (static_cast<double>(tally.over_budget) >
      too_many_cut * static_cast<double>(tally.schedules)) {
    return fmt::format("{} of {} schedules were too long to follow to their end", tally.over_budget,
                       tally.schedules);
  }
  if (tally.schedules == 0) return "no schedule was run";
  const bool nothing_complete = std::none_of(tally.trials.begin(), tally.trials.end(),
                                             [](const auto& trial) { return trial.complete; });
  if (nothing_complete) return "there was no time to complete even the smallest bound";
  return {};
}

Verdict explore_verdict(const ExploreTally& tally) {
  if (!tally.unsupported.empty()) return Verdict::unsupported;
  if (!tally.failures.empty()) return Verdict::violation;
  if (!explore_doubt(tally).empty()) return Verdict::inconclusive;
  return tally.known.empty() ? Verdict::pass : Verdict::known;
}

std::string explore_coverage(const ExploreTally& tally) {
  std::string text = fmt::format(
      "  {} schedules, {} points, {} kill points, {} histories told apart, {:.0f} % of the time "
      "in processes\n",
      tally.schedules, human_count(static_cast<double>(tally.points)), tally.kill_points,
      tally.distinct, tally.seconds > 0 ? 100.0 * tally.seconds_in_processes / tally.seconds : 0);
  std::string occasions;
  for (unsigned p = 0; p < promise_count; ++p) {
    if (tally.occasions[p] == 0) continue;
    occasions +=
        fmt::format("{}{} {}", occasions.empty() ? "" : ", ", to_string(static_cast<Promise>(p)),
                    human_count(static_cast<double>(tally.occasions[p])));
  }
  if (!occasions.empty()) text += "  occasions to break: " + occasions + "\n";
  for (std::size_t i = 0; i < tally.trials.size(); ++i) {
    const ExploreTally::Trial& trial = tally.trials[i];
    const bool again =
        std::any_of(tally.trials.begin() + static_cast<std::ptrdiff_t>(i) + 1, tally.trials.end(),
                    [&](const auto& later) { return later.name == trial.name; });
    if (again) continue;
    const char* state = trial.complete ? "complete" : trial.exhaustive ? "in part" : "at random";
    text += fmt::format("  {:>9}  {}\n", state, trial.name);
  }
  return text;
}

std::string json_explored(const ExploreTally& tally) {
  nlohmann::ordered_json json = {{"schema", explore_schema},
                                 {"event", "transport"},
                                 {"transport", tally.transport},
                                 {"verdict", json_word(explore_verdict(tally))},
                                 {"seed", tally.seed},
                                 {"schedules", tally.schedules},
                                 {"points", tally.points},
                                 {"kill_points", tally.kill_points},
                                 {"histories", tally.distinct},
                                 {"seconds", tally.seconds},
                                 {"seconds_in_processes", tally.seconds_in_processes},
                                 {"shared_accesses", tally.shared_accesses},
                                 {"maps_shared_memory", tally.maps_shared_memory},
                                 {"over_budget", tally.over_budget},
                                 {"interrupted", tally.interrupted}};
  auto& trials = json["trials"] = nlohmann::ordered_json::array();
  for (const auto& trial : tally.trials) {
    trials.push_back(
        {{"name", trial.name}, {"complete", trial.complete}, {"exhaustive", trial.exhaustive}});
  }
  auto& occasions = json["occasions"] = nlohmann::ordered_json::object();
  for (unsigned p = 0; p < promise_count; ++p) {
    if (tally.occasions[p] == 0) continue;
    occasions[std::string(to_string(static_cast<Promise>(p)))] = tally.occasions[p];
  }
  for (const auto& seen : tally.known) {
    json["known"].push_back(
        {{"fingerprint", seen.fingerprint}, {"what", seen.what}, {"histories", seen.histories}});
  }
  if (!tally.harness_failure.empty()) json["harness_failure"] = tally.harness_failure;
  if (!tally.uncontrolled.empty()) json["uncontrolled"] = tally.uncontrolled;
  if (!tally.unsupported.empty()) json["unsupported"] = tally.unsupported;
  if (const std::string why = explore_doubt(tally); !why.empty()) json["doubt"] = why;
  if (!tally.failures.empty()) json["failure"] = failure_json(tally.failures.front());
  for (std::size_t i = 1; i < tally.failures.size(); ++i) {
    json["failures"].push_back(failure_json(tally.failures[i]));
  }
  return json_line(json);
}

ExploreTally explored_from_json(const nlohmann::json& json, const std::string& what) {
  LineFields fields(json, what);
  ExploreTally tally{.transport = fields.name("transport"),
                     .seed = fields.text("seed"),
                     .schedules = fields.number("schedules"),
                     .points = fields.number("points"),
                     .kill_points = fields.number("kill_points"),
                     .distinct = fields.number("histories"),
                     .over_budget = fields.number("over_budget"),
                     .shared_accesses = fields.number("shared_accesses"),
                     .maps_shared_memory = fields.flag("maps_shared_memory"),
                     .seconds = fields.real("seconds"),
                     .seconds_in_processes = fields.real("seconds_in_processes"),
                     .uncontrolled = fields.text("uncontrolled"),
                     .unsupported = fields.text("unsupported"),
                     .harness_failure = fields.text("harness_failure"),
                     .interrupted = fields.flag("interrupted")};
  for (LineFields& trial : fields.objects("trials", trials_max)) {
    tally.trials.push_back({.name = trial.text("name"),
                            .complete = trial.flag("complete"),
                            .exhaustive = trial.flag("exhaustive")});
  }
  LineFields occasions = fields.object("occasions");
  for (unsigned p = 0; p < promise_count; ++p) {
    tally.occasions[p] = occasions.number(std::string(to_string(static_cast<Promise>(p))));
  }
  for (LineFields& seen : fields.objects("known", known_max)) {
    tally.known.push_back({.fingerprint = seen.text("fingerprint"),
                           .what = seen.text("what"),
                           .histories = seen.number("histories")});
  }
  if (fields.has("failure")) tally.failures.push_back(failure_of(fields.object("failure")));
  for (LineFields& failure : fields.objects("failures", failures_max)) {
    tally.failures.push_back(failure_of(failure));
  }
  return tally;
}

}  // namespace ipctorture
