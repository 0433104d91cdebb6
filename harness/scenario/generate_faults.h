// The faults of a generated scenario: whole classes on or off, most scenarios without any. Private
// to this layer.
#pragma once

#include "harness/base/prng.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

// Log-uniform in [low, high]: every order of magnitude alike.
std::uint64_t draw_magnitude(Prng& rng, std::uint64_t low, std::uint64_t high);

// Deaths in about a sixth, where the contract survives them. True for churn: one role lives many
// short lives, and there is no gap.
bool draw_kills(Prng& rng, const Contract& contract, Scenario& scenario);

// Stops and storms in a tenth each, low limits in a twentieth; calls that are short in a twelfth,
// that fail in a twentieth.
void draw_disturbances(Prng& rng, const Contract& contract, Scenario& scenario);

}  // namespace ipctorture
