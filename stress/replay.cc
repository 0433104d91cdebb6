// `ipctorture replay`: runs a bundle's scenario (or a scenario file) again and says how often the
// same failure came back.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/report/json_lines.h"
#include "harness/report/progress.h"
#include "harness/run_scenario.h"
#include "stress/engine_room.h"
#include "stress/failure_file.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t default_attempts = 20;

struct Count {
  std::uint64_t attempts = 0, same = 0, other = 0, inconclusive = 0;
  std::string unsupported;
  std::set<std::string> others;
  std::map<std::string, std::uint64_t> seen;  // attempts that showed it, of the bundle's failures
};

void judge_attempt(const ScenarioResult& ran, const FailureFile& again, Count* count) {
  ++count->attempts;
  const auto found = violations(ran.judgement);
  bool same = false;
  for (const std::string& one : found) {
    if (again.fingerprints.empty() || again.fingerprints.contains(one)) {
      same = true;
      ++count->seen[one];
    } else {
      count->others.insert(one);
    }
  }
  if (same) {
    ++count->same;
  } else if (!found.empty()) {
    ++count->other;
  } else if (ran.judgement.verdict() == Verdict::inconclusive) {
    ++count->inconclusive;
  }
}

struct Attempts {
  std::uint64_t most = default_attempts;
  bool until_reproduced = false;
};

Count attempt(const FailureFile& again, const Attempts& attempts, const Terminal& terminal,
              EngineRoom& room) {
  Count count;
  Progress progress(terminal.progress, terminal.progress_width, print_note);
  const Instant begin = monotonic_now();
  const auto enough = [&] {
    return count.attempts >= attempts.most || (attempts.until_reproduced && count.same > 0);
  };
  while (!enough() && !room.interrupted()) {
    const ScenarioResult ran = run_scenario(room.engine(0), again.scenario);
    if (!ran.unsupported.empty()) {
      count.unsupported = ran.unsupported;
      break;
    }
    if (!ran.history.has(Fact::interrupted)) judge_attempt(ran, again, &count);
    progress.update({.elapsed_ns = monotonic_now() - begin,
                     .scenarios = count.attempts,
                     .scenarios_max = attempts.most,
                     .violations = count.same + count.other,
                     .now = std::string(again.scenario.transport_name())},
                    monotonic_now());
  }
  progress.clear();
  return count;
}

ExitCode exit_code(const Count& count) {
  if (count.same + count.other > 0) return ExitCode::violation;
  if (!count.unsupported.empty()) return ExitCode::unsupported;
  const bool nothing_else = count.inconclusive == count.attempts;
  return nothing_else ? ExitCode::inconclusive : ExitCode::pass;
}

void tell(const Count& count, const FailureFile& again) {
  if (!count.unsupported.empty()) {
    print_result(fmt::format("unsupported here: {}\n", count.unsupported));
  }
  print_result(fmt::format("reproduced {}/{}\n", count.same, count.attempts));
  for (const std::string& one : again.fingerprints) print_result(fmt::format("  {}\n", one));
  if (count.other > 0) {
    print_result(fmt::format("another violation {}/{}\n", count.other, count.attempts));
    for (const std::string& one : count.others) print_result(fmt::format("  {}\n", one));
  }
  if (count.inconclusive > 0) {
    print_result(fmt::format("inconclusive {}/{}\n", count.inconclusive, count.attempts));
  }
}

// All that `tell` says, on one line.
void tell_as_json(const Count& count, const FailureFile& again, ExitCode code) {
  nlohmann::ordered_json json = {{"schema", "ipctorture-replay/1"},
                                 {"transport", again.scenario.transport_name()},
                                 {"attempts", count.attempts},
                                 {"reproduced", count.same},
                                 {"other_violations", count.other},
                                 {"inconclusive", count.inconclusive},
                                 {"fingerprints", again.fingerprints},
                                 {"other_fingerprints", count.others},
                                 {"seen", count.seen},
                                 {"differences", again.differences},
                                 {"exit_code", static_cast<int>(code)}};
  if (!count.unsupported.empty()) json["unsupported"] = count.unsupported;
  print_result(json_line(json));
}

}  // namespace

bool is_controlled_bundle(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path + "/schedule.json", ignored);
}

ExitCode replay(const Settings& settings, const std::string& path) {
  if (settings.on("debugger")) {
    throw UsageError("--debugger: only for a bundle of explore, which replays step by step");
  }
  const FailureFile again = load_failure(path);
  refuse_unless_runnable(again.scenario);
  const auto wanted = settings.find("attempts");
  const Attempts attempts{.most = wanted ? parse_count(*wanted, 1, 1'000'000) : default_attempts,
                          .until_reproduced = settings.on("fail-fast")};
  const Terminal terminal = this_terminal(settings);
  const bool as_json = settings.on("json");
  for (const std::string& difference : again.differences) {
    if (!as_json) print_result(fmt::format("differs here: {}\n", difference));
  }
  EngineRoom room(1);
  const Count count = attempt(again, attempts, terminal, room);
  const ExitCode code = graver(exit_code(count), room.exit_code());
  if (as_json) {
    tell_as_json(count, again, code);
  } else {
    tell(count, again);
  }
  return code;
}

}  // namespace ipctorture
