#include "stress/explore/failure_report.h"

#include <fmt/format.h>

#include "harness/explore_scenario.h"
#include "harness/report/explain.h"
#include "harness/report/replay_line.h"
#include "harness/schedule/schedule_file.h"
#include "stress/explore/interleaving.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {
constexpr std::size_t bundle_width = 160;
}

ScenarioResult result_of(const ExploreFailure& failure) {
  return {.scenario = failure.trial.scenario,
          .options = failure.options,
          .history = failure.history,
          .judgement = failure.judgement};
}

Schedule recorded_schedule(const ExploreFailure& failure) {
  const schedule::RecordedSchedule recorded{.late_lanes = failure.trial.late_lanes,
                                            .kill_lanes = failure.trial.kill_lanes,
                                            .weak_memory = failure.trial.weak_memory,
                                            .questions = failure.trial.questions,
                                            .shortages = failure.trial.shortages,
                                            .hostile = failure.trial.hostile,
                                            .races = failure.trial.races,
                                            .departures = failure.departures,
                                            .trace_hash = failure.trace_hash,
                                            .trace = failure.trace};
  return {.json = schedule_to_json(recorded), .interleaving = interleaving(failure, bundle_width)};
}

std::string failure_text(const ExploreFailure& failure, std::size_t width,
                         const std::string& bundle) {
  const Finding* finding = violation_of(failure.judgement);
  if (finding == nullptr) return {};
  std::string text = explain_finding(*finding, failure.history, {.width = width});
  text += fmt::format("\nfound in: {}\nmade small: {} departures of {} remain: {}\n\n",
                      failure.found_in, failure.departures.size(), failure.departures_found,
                      schedule::to_text(failure.departures));
  text += interleaving(failure, width);
  text += fmt::format("\nfingerprint: {}\n", fingerprint(*finding));
  if (!bundle.empty()) {
    text += fmt::format("replay: {}\n", replay_line(program_as_started(), bundle));
  }
  return text;
}

}  // namespace ipctorture
