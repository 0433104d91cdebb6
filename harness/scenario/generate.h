// From a seed and a contract to a scenario, swarm style: most features are switched off in most
// scenarios (Groce et al., "Swarm testing", ISSTA 2012), capacities of 1-8 and counters near wrap
// are common. Equal arguments give equal scenarios on every machine, for one generator_version.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace ipctorture {

inline constexpr unsigned generator_version = 1;  // raise it whenever any output changes

struct GenerateOptions {
  // Soft bound on what a scenario costs: larger budgets allow more messages. ns.
  std::int64_t budget_ns = 20'000'000;
  bool allow_exec = true;  // may draw Launch::exec
  bool only_exec = false;  // draws nothing else; where the contract allows it
};

// The contract is that of `transport`. Always valid: scenario_faults(...) is empty.
Scenario generate(std::uint64_t seed, std::string_view transport, const Contract& contract,
                  const GenerateOptions& options);

// The case that silence cannot survive: filled to full where that can be, traffic, a gap that
// drains to empty for longer than the progress bound, then one message each, and a hand-off to each
// consumer. Receives have no deadline, or (half of the seeds) one so late that it rescues a sleeper
// only when the bound is long past. One per campaign.
Scenario generate_patient(std::uint64_t seed, std::string_view transport, const Contract& contract,
                          const GenerateOptions& options);

// What a soak repeats for hours: full speed, nobody comes, goes or sleeps on purpose, no faults.
Scenario generate_soak(std::uint64_t seed, std::string_view transport, const Contract& contract,
                       const GenerateOptions& options);
// Why no soak of it can be judged in rounds; empty: it can.
std::string soak_refusal(const Contract& contract);

// Seed of case `k` of a campaign: a shard changes who runs a case, not what it is.
std::uint64_t case_seed(std::uint64_t campaign_seed, std::string_view transport, std::uint64_t k);

}  // namespace ipctorture
