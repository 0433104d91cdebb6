#include "stress/run_export.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "harness/base/prng.h"
#include "harness/report/json_lines.h"
#include "harness/report/replay_line.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr unsigned seeds_max = 1000;       // a transport of which none suits has no such scenario
constexpr std::uint64_t cases_max = 1000;  // looked at, to name one that suits

// The cases of a plan that has an end; two stand for more.
std::vector<Case> cases_of(const CampaignPlan& plan) {
  Campaign campaign(plan, 0);
  std::vector<Case> cases;
  for (const EngineFor kind : {EngineFor::patient_cases, EngineFor::ordinary_cases}) {
    while (cases.size() < 2) {
      auto next = campaign.next(kind, 0);
      if (!next) break;
      cases.push_back(std::move(*next));
    }
  }
  return cases;
}

// "; --case 7 has one", the next such after case `k`, or nothing.
std::string another_case(CampaignPlan plan, std::uint64_t k) {
  for (plan.only_case = k + 1; plan.only_case <= k + cases_max; ++plan.only_case) {
    const std::vector<Case> cases = cases_of(plan);
    if (cases.size() == 1 && no_plain_form(cases[0].scenario).empty()) {
      return fmt::format("; --case {} has one", plan.only_case);
    }
  }
  return "";
}

}  // namespace

void RunExport::settle(CampaignPlan& plan, Seed seed) {
  if (!wanted()) return;
  if (plan.transports.size() != 1) {
    throw UsageError(
        fmt::format("--export: of one transport; {} are selected", plan.transports.size()));
  }
  if (plan.runs == 0 && plan.only_case == 0) {
    throw UsageError("--export: of one scenario: give --runs 1 or --case K");
  }
  plan.time_ns = 0;
  std::vector<Case> cases = cases_of(plan);
  if (cases.empty() && plan.launch) return;  // of another kind than it wants: the run says so
  if (cases.size() != 1) {
    throw UsageError(
        fmt::format("--export: of one scenario (--runs 1 or --case K); this run has {}",
                    cases.empty() ? "none" : "more"));
  }
  std::string why = no_plain_form(cases[0].scenario);
  for (unsigned i = 0; seed == Seed::may_draw && !why.empty() && i < seeds_max; ++i) {
    plan.seed = mix64(plan.seed + 1);
    cases = cases_of(plan);
    why = no_plain_form(cases[0].scenario);
  }
  if (!why.empty()) {
    throw UsageError(fmt::format("--export: case {} of {} has no plain history: {}{}", cases[0].k,
                                 plan.transports[0].registration->name, why,
                                 another_case(plan, cases[0].k)));
  }
  target_.emplace(file_);
}

void RunExport::take(const ScenarioResult& ran) {
  if (!wanted()) return;
  const std::lock_guard lock(mutex_);
  if (!ran.unsupported.empty()) {
    problem_ = ran.unsupported;
    return;
  }
  const Contract& contract = transport_named(ran.scenario.transport_name()).contract;
  try {
    text_ = exported_history(ran.history, contract);
    promise_ = plain_promise(contract, ran.scenario);
  } catch (const std::runtime_error& error) {
    problem_ = error.what();
  }
}

ExitCode RunExport::write(ExitCode code) {
  if (!wanted()) return code;
  const std::lock_guard lock(mutex_);
  if (!text_) {
    print_note(fmt::format("ipctorture: --export: nothing was written: {}\n", problem_));
    return code == ExitCode::pass ? ExitCode::inconclusive : code;
  }
  try {
    target_->write(*text_);
  } catch (const UsageError& error) {
    print_note(fmt::format("ipctorture: --export: {}\n", error.what()));
    return graver(code, ExitCode::harness_failed);
  }
  written_ = true;
  return code;
}

// Empty when there is none.
std::string RunExport::recheck_line(std::string_view program) const {
  if (!promise_) return "";
  std::string line = fmt::format("{} recheck {} --contract {}", shell_word(program),
                                 shell_word(target_->path()), to_string(promise_->contract));
  if (promise_->capacity > 0) line += fmt::format(" --capacity {}", promise_->capacity);
  return line;
}

std::string RunExport::as_json_line(std::string_view program) const {
  if (!written_) return "";
  return json_line({{"schema", json_lines_schema},
                    {"event", "export"},
                    {"file", file_},
                    {"recheck", recheck_line(program)}});
}

std::string RunExport::last_words(std::string_view program) const {
  if (!written_) return "";
  const std::string line = recheck_line(program);
  if (line.empty())
    return "the history is written; no contract of recheck is as weak as this one\n";
  return fmt::format("the history is written; to judge it:\n  {}\n", line);
}

}  // namespace ipctorture
