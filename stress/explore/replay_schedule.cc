// `ipctorture replay BUNDLE` and `ipctorture regress BUNDLE` for bundles of the controlled engine.
//
// replay is strict: every step must be the recorded one, and the trace hash too; a different step
// is "diverged", since then the code or the machine is not what it was. regress asks something
// else: is the failure still there? It takes the recorded departures as hints, then searches
// schedules around them, so it survives changes of the code.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "harness/explore_scenario.h"
#include "harness/report/bundle.h"
#include "harness/report/json_lines.h"
#include "harness/schedule/schedule_file.h"
#include "stress/explore/controlled_verbs.h"
#include "stress/explore/explore_room.h"
#include "stress/explore/explore_transport.h"
#include "stress/explore/shard.h"
#include "stress/selection.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

using schedule::Ending;

constexpr std::uint64_t default_attempts = 5;
constexpr std::int64_t default_regress_ns = 10'000'000'000;

struct Recorded {
  BundleContent bundle;
  schedule::RecordedSchedule schedule;
  schedule::Trial trial;
  const Registration* registration = nullptr;
  std::string fingerprint;
};

Recorded load(const std::string& path) {
  Recorded recorded;
  try {
    recorded.bundle = load_bundle(path);
    recorded.schedule = schedule::schedule_from_json(recorded.bundle.schedule);
  } catch (const std::exception& error) {
    throw UsageError(std::string(error.what()).starts_with(path) ? error.what()
                                                                 : path + ": " + error.what());
  }
  const Scenario& scenario = recorded.bundle.scenario;
  const std::string name(scenario.transport_name());
  recorded.registration = &transport_named(name);
  const bool succeed = recorded.schedule.late_lanes == schedule::LateLanes::succeed;
  const Contract& contract = recorded.registration->contract;
  const auto faults =
      scenario_faults(scenario, succeed ? schedule::with_successors(contract) : contract);
  if (!faults.empty()) throw UsageError("the scenario does not suit " + name + ": " + faults[0]);
  if (scenario.lanes() > schedule::lanes_max) {
    throw UsageError(path + ": a schedule has at most 8 lanes");
  }
  recorded.trial = {.name = "recorded",
                    .scenario = scenario,
                    .late_lanes = recorded.schedule.late_lanes,
                    .kind = recorded.schedule.kill_lanes != 0 ? schedule::TrialKind::kill
                                                              : schedule::TrialKind::exhaust,
                    .bound = 2,
                    .kill_lanes = recorded.schedule.kill_lanes,
                    .weak_memory = recorded.schedule.weak_memory,
                    .questions = recorded.schedule.questions,
                    .shortages = recorded.schedule.shortages,
                    .hostile = recorded.schedule.hostile,
                    .races = recorded.schedule.races};
  recorded.fingerprint = controlled_fingerprint(recorded.bundle.judgement);
  return recorded;
}

schedule::Plan plan_of(const Recorded& recorded) {
  schedule::Plan plan = recorded.trial.plan();
  plan.source = schedule::Source::keyed;
  plan.keyed = recorded.schedule.departures;
  return plan;
}

void tell_differences(const Recorded& recorded) {
  for (const auto& difference :
       environment_differences(recorded.bundle.environment, this_environment())) {
    print_result(fmt::format("differs here: {}\n", difference));
  }
}

// Replaces this process by gdb, all workers under it: the schedule waits wherever one is stopped.
ExitCode replay_in_debugger(const std::string& path) {
  const char* const words[] = {"gdb",        "-q",
                               "-ex",        "set detach-on-fork off",
                               "-ex",        "set schedule-multiple on",
                               "-ex",        "set breakpoint pending on",
                               "--args",     "/proc/self/exe",
                               "replay",     path.c_str(),
                               "--attempts", "1"};
  std::vector<char*> arguments;
  for (const char* word : words) arguments.push_back(const_cast<char*>(word));
  std::array<char, 4096> program{};
  if (::readlink("/proc/self/exe", program.data(), program.size() - 1) > 0) {
    arguments[9] = program.data();
  }
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  print_note(fmt::format("ipctorture: gdb: {}; apt-get install gdb\n",
                         std::generic_category().message(errno)));
  return ExitCode::unsupported;
}

}  // namespace

ExitCode replay_schedule(const Settings& settings, const std::string& path) {
  if (settings.on("debugger")) return replay_in_debugger(path);
  const Recorded recorded = load(path);
  const bool as_json = settings.on("json");
  const auto wanted = settings.find("attempts");
  const std::uint64_t attempts = wanted ? parse_count(*wanted, 1, 1'000'000) : default_attempts;
  if (!as_json) tell_differences(recorded);
  ExploreRoom room;
  schedule::Plan plan = plan_of(recorded);
  plan.expected = recorded.schedule.trace;
  std::uint64_t same = 0, done = 0;
  std::string diverged, other;
  for (; done < attempts && !room.interrupted()->load(); ++done) {
    const ControlledRun run =
        run_schedule(*recorded.registration, recorded.trial, plan, room.directory());
    if (run.ending == Ending::diverged) {
      diverged = run.said;
      break;
    }
    const std::string found = controlled_fingerprint(run.judgement);
    if (shows(run.judgement, recorded.fingerprint) &&
        run.trace_hash == recorded.schedule.trace_hash) {
      ++same;
    } else {
      other = found.empty() ? std::string("nothing") : found;
    }
  }
  ExitCode code = same > 0 ? ExitCode::violation : ExitCode::pass;
  if (!diverged.empty()) code = ExitCode::inconclusive;
  if (as_json) {
    nlohmann::ordered_json json = {{"schema", "ipctorture-replay/1"},
                                   {"transport", recorded.registration->name},
                                   {"attempts", done},
                                   {"reproduced", same},
                                   {"exact", true},
                                   {"fingerprints", {recorded.fingerprint}},
                                   {"exit_code", static_cast<int>(code)}};
    if (!diverged.empty()) json["diverged"] = diverged;
    print_result(json_line(json));
  } else if (!diverged.empty()) {
    print_result(
        fmt::format("diverged {}\nThe code, or the machine, is not what it was. Is the "
                    "failure still there? {} regress {}\n",
                    diverged, program_as_started(), path));
  } else {
    print_result(fmt::format("reproduced {}/{}, step by step ({} steps)\n  {}\n", same, done,
                             recorded.schedule.trace.size(), recorded.fingerprint));
    if (!other.empty()) print_result(fmt::format("otherwise: {}\n", other));
  }
  return graver(code, room.exit_code());
}

ExitCode regress(const Settings& settings, const std::string& path) {
  if (!is_controlled_bundle(path)) {
    throw UsageError(path + ": holds no schedule of explore; `replay` runs its scenario again");
  }
  const Recorded recorded = load(path);
  const auto time = settings.find("time");
  const std::int64_t budget = time ? parse_duration_ns(*time) : default_regress_ns;
  ExploreRoom room;
  const ControlledRun first =
      run_schedule(*recorded.registration, recorded.trial, plan_of(recorded), room.directory());
  if (first.ending == Ending::uncontrolled) {
    print_result(fmt::format("not controlled: {}\n", first.said));
    return ExitCode::inconclusive;
  }
  if (shows(first.judgement, recorded.fingerprint)) {
    print_result(
        fmt::format("still broken, by the recorded choices\n  {}\n", recorded.fingerprint));
    return ExitCode::violation;
  }
  const ControlledRun around =
      search_around(*recorded.registration, recorded.trial, recorded.schedule.departures,
                    recorded.fingerprint, room.directory(), budget, *room.interrupted());
  if (!controlled_fingerprint(around.judgement).empty()) {
    print_result(fmt::format("still broken, by choices near the recorded ones\n  {}\n",
                             recorded.fingerprint));
    return graver(ExitCode::violation, room.exit_code());
  }
  print_result(fmt::format("{} {} schedules around the recorded one\n",
                           room.interrupted()->load() ? "interrupted after" : "not found again in",
                           around.schedules));
  return room.exit_code();
}

}  // namespace ipctorture
