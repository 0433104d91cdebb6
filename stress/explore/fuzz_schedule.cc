// `ipctorture show FILE` and `ipctorture shrink FILE` of a schedule that a fuzzer found
// (harness/schedule/schedule_input.h): in words, and as a bundle of the smallest that still fails,
// which `replay` takes step by step.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/explore_scenario.h"
#include "harness/report/json_lines.h"
#include "harness/scenario/codec.h"
#include "harness/schedule/schedule_input.h"
#include "stress/explore/confirm.h"
#include "stress/explore/controlled_verbs.h"
#include "stress/explore/explore_room.h"
#include "stress/explore/failure_report.h"
#include "stress/explore/shard.h"
#include "stress/failure_file.h"
#include "stress/fuzz_file.h"
#include "stress/selection.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr std::int64_t default_time_ns = 60'000'000'000;

// The input in its contract.
struct FuzzedSchedule {
  const Registration* registration = nullptr;
  schedule::Trial trial;
  schedule::Departures departures;
};

FuzzedSchedule load(const std::string& path) {
  schedule::ScheduleInput input;
  try {
    input = schedule::schedule_input_from_bytes(read_fuzz_file(path));
  } catch (const std::invalid_argument& error) {
    throw UsageError(path + ": " + error.what());
  }
  FuzzedSchedule fuzzed{
      .registration = &transport_named(input.transport), .trial = {}, .departures = {}};
  fuzzed.trial = trial_of(input, fuzzed.registration->contract, schedule::Backend::processes);
  fuzzed.departures = departures_of(input, fuzzed.trial);
  return fuzzed;
}

std::string circumstances(const schedule::Trial& trial) {
  std::string words;
  const auto add = [&](bool is_so, std::string_view word) {
    if (is_so) words += fmt::format("{}{}", words.empty() ? "" : "; ", word);
  };
  const bool dies = trial.late_lanes == schedule::LateLanes::succeed;
  add(trial.questions, "short, interrupted and spurious calls");
  add(trial.shortages, "failing calls");
  add(trial.weak_memory, "stale loads");
  add(trial.hostile, "a hostile peer");
  add(dies, "a worker may be killed, a successor comes");
  add(!dies && trial.scenario.late_producers + trial.scenario.late_consumers > 0,
      "the last comes late");
  return words.empty() ? "none" : words;
}

std::string lane_text(const Scenario& scenario, unsigned lane) {
  if (lane >= scenario.lanes()) return fmt::format("lane {}", lane);  // a thread, or none
  return lane < scenario.producers ? fmt::format("producer {}", lane)
                                   : fmt::format("consumer {}", lane - scenario.producers);
}

std::string departure_text(const Scenario& scenario, const schedule::Departure& one) {
  const std::string where =
      fmt::format("{}, its step {}: ", lane_text(scenario, one.lane), one.step);
  const std::string other = lane_text(scenario, one.value);
  switch (one.change) {
    case schedule::Change::run:
      return where + other + " goes on instead";
    case schedule::Change::time_out:
      return where + "the deadline of " + other + " passes";
    case schedule::Change::kill:
      return where + "it is killed";
    case schedule::Change::answer:
      break;
  }
  return where + fmt::format("answer {} to what is asked there", one.value);
}

nlohmann::ordered_json head(const char* schema, const FuzzedSchedule& fuzzed) {
  return {{"schema", schema}, {"transport", fuzzed.registration->name}};
}

}  // namespace

ExitCode show_schedule(const Settings& settings, const std::string& path) {
  const FuzzedSchedule fuzzed = load(path);
  const Scenario& scenario = fuzzed.trial.scenario;
  const std::string as_json = scenario_to_json(scenario);
  if (settings.on("json")) {
    auto json = head("ipctorture-show/1", fuzzed);
    json["kind"] = "schedule";
    json["scenario"] = nlohmann::ordered_json::parse(as_json);
    json["circumstances"] = circumstances(fuzzed.trial);
    json["departures"] = schedule::to_text(fuzzed.departures);
    print_result(json_line(json));
    return ExitCode::pass;
  }
  print_result(fmt::format("a schedule of {}, {}x{}, {} messages each\ncircumstances: {}\n",
                           fuzzed.registration->name, scenario.producers, scenario.consumers,
                           scenario.messages, circumstances(fuzzed.trial)));
  print_result(fmt::format("departures from the default schedule: {}\n", fuzzed.departures.size()));
  for (const schedule::Departure& one : fuzzed.departures) {
    print_result("  " + departure_text(scenario, one) + "\n");
  }
  print_result("scenario: " + as_json + (as_json.ends_with('\n') ? "" : "\n"));
  return ExitCode::pass;
}

ExitCode shrink_schedule(const Settings& settings, const std::string& path) {
  const FuzzedSchedule fuzzed = load(path);
  const auto time = settings.find("time");
  const std::int64_t budget = time ? parse_duration_ns(*time) : default_time_ns;
  const bool as_json = settings.on("json");
  ExploreRoom room;
  schedule::Plan plan = fuzzed.trial.plan();
  plan.source = schedule::Source::keyed;
  plan.keyed = fuzzed.departures;
  const ControlledRun run =
      run_schedule(*fuzzed.registration, fuzzed.trial, plan, room.directory());
  const std::string found = controlled_fingerprint(run.judgement);
  std::optional<ExploreFailure> failure;
  if (!found.empty() && !room.interrupted()->load()) {
    failure = confirm(*fuzzed.registration, {fuzzed.trial, fuzzed.departures, found},
                      room.directory(), budget, room.interrupted());
  }
  ExitCode code = failure ? ExitCode::violation : ExitCode::pass;
  if (run.ending == schedule::Ending::uncontrolled) code = ExitCode::inconclusive;
  code = graver(code, room.exit_code());
  std::string bundle;
  if (failure) {
    bundle =
        write_bundle_beside(small_name(path), result_of(*failure), recorded_schedule(*failure));
  }
  if (as_json) {
    auto json = head("ipctorture-shrink/1", fuzzed);
    json["fingerprint"] = found;
    json["finished"] = failure.has_value();
    json["exit_code"] = static_cast<int>(code);
    if (failure) json["bundle"] = bundle;
    if (failure) json["departures"] = schedule::to_text(failure->departures);
    print_result(json_line(json));
  } else if (failure) {
    const std::size_t width = std::max<std::size_t>(this_terminal(settings).results.width, 80);
    print_result(failure_text(*failure, width, bundle));
  } else if (run.ending == schedule::Ending::uncontrolled) {
    print_result(fmt::format("not controlled: {}\n", run.said));
  } else {
    print_result("not reproduced in worker processes: nothing to go by\n");
  }
  return code;
}

}  // namespace ipctorture
