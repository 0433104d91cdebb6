// What `explore` tries on a transport, in which order: pure values from its contract. The order is
// that of what finds most per second: few departures exhaustively on small scenarios first, then
// kills, weak memory and interruptions, then random walks, then larger bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/schedule/session.h"

namespace ipctorture::schedule {

enum class TrialKind : std::uint8_t { exhaust, kill, wander };

struct Trial {
  std::string name;  // for people: "1x1, 6 messages, up to 2 departures, fibers"
  Scenario scenario;
  LateLanes late_lanes = LateLanes::come_anyway;
  Backend backend = Backend::processes;
  TrialKind kind = TrialKind::exhaust;
  unsigned bound = 0;            // exhaust
  std::uint32_t kill_lanes = 0;  // kill: bit per lane
  unsigned kill_walks = 0;       // kill: random schedules beside the default one
  bool weak_memory = false;
  bool questions = false;
  bool shortages = false;
  bool hostile = false;
  bool races = true;   // are looked for; else plain accesses are departed from too
  double share = 0.1;  // of the whole time it may take, at the most

  Plan plan() const {
    return {.seed = scenario.seed,
            .detect_races = races && !hostile,
            .weak_memory = weak_memory,
            .questions = questions,
            .shortages = shortages,
            .hostile = hostile};
  }
};

// At least a third of them in processes; all where the contract does not allow one address space.
std::vector<Trial> portfolio(std::string_view transport, const Contract& contract,
                             std::uint64_t seed);

// The scenario with every kind of deadline that the contract has.
Scenario timed(Scenario s, const Contract& contract);

// Lanes of this role may be killed, at any point, and a successor comes later where one may. False,
// and nothing changed: the contract promises nothing for such a death.
bool let_die(Trial& trial, Role role, const Contract& contract);

// One lane of each role that may comes while the others are at it. False: none may.
bool let_come_late(Scenario& s, const Contract& contract);

// The contract with room for the successors of killed lanes: what scenario_faults is asked with.
Contract with_successors(const Contract& contract);

}  // namespace ipctorture::schedule
