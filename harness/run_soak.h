// The journey of run_scenario.h again and again over the same endpoints, for hours: a soak. Every
// round is judged by itself, and with what earlier ones left (harness/launch/soak.h says why no
// violation is lost between two of them), so that memory does not grow.
#pragma once

#include <functional>

#include "harness/run_scenario.h"

namespace ipctorture {

struct SoakPlan {
  Instant until = 0;                      // no round begins after it
  std::int64_t round_ns = 1'000'000'000;  // how long a round should be, at most
  // A core has nothing to do while the scenario runs: rounds are judged there, traffic goes on.
  bool idle_core = false;
};

// How many rounds, and for how long messages could flow rather than wait for a verdict.
struct SoakResult {
  std::uint64_t rounds = 0, messages = 0;  // received
  std::int64_t flowed_ns = 0, took_ns = 0;
};

// Is this machine's number of processors above what the scenario uses?
bool has_idle_core(const Scenario& scenario);

// `told` hears of each round, in order, in the calling thread; its history is valid until `told`
// returns, and its scenario is that of the round, so that a bundle replays one round. False ends
// the soak; so do a violation and whatever ends a scenario. A round that could not run at all is
// told with `unsupported`. Throws as run_scenario does.
SoakResult run_soak(Engine& engine, const Scenario& scenario, const SoakPlan& plan,
                    const std::function<bool(const ScenarioResult&)>& told);

}  // namespace ipctorture
