// A failure of the controlled engine, as people and bundles get it.
#pragma once

#include <cstddef>
#include <string>

#include "harness/run_scenario.h"
#include "stress/explore/explore_transport.h"
#include "stress/run_output.h"

namespace ipctorture {

// What a bundle holds of it.
ScenarioResult result_of(const ExploreFailure& failure);
Schedule recorded_schedule(const ExploreFailure& failure);

// The promise and its witness, what was made small, the interleaving, the replay line; nothing when
// there is no violation in it. `bundle`: its path; empty: there is none.
std::string failure_text(const ExploreFailure& failure, std::size_t width,
                         const std::string& bundle);

}  // namespace ipctorture
