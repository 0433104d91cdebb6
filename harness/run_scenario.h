// START HERE. The whole journey of one experiment in one function: scenario -> workers -> transport
// -> history -> verdict.
//
//   Engine engine(EngineOptions{...});          // early: forks the zygote, keeps a pool of workers
//   ScenarioResult r = run_scenario(engine, scenario);  // as often as you like
#pragma once

#include <string>

#include "harness/check/check.h"
#include "harness/history/history.h"
#include "harness/launch/engine.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

struct ScenarioResult {
  Scenario scenario;
  Options options;          // under which names it ran
  History history;          // valid until the next run on the same engine, unless detached
  Judgement judgement;      // empty when unsupported
  std::string unsupported;  // why it could not run here; empty: it ran
  Traffic traffic;
};

// The transport that the scenario names. Throws std::invalid_argument when there is none, or the
// scenario does not suit its contract.
const Registration& runnable(const Scenario& scenario);

// Runs and judges. Throws std::runtime_error (or system_error) when the harness itself fails, and
// std::invalid_argument when the scenario does not suit its transport's contract.
ScenarioResult run_scenario(Engine& engine, const Scenario& scenario);

}  // namespace ipctorture
