// Makes a failing scenario small: the plainest one that still fails. First features are taken away,
// together and then in parts (ddmin.h), then numbers are made small by halving, and all again until
// nothing changes. Pure: whoever calls it runs the candidates.
//
//   Shrunk small = shrink(found, contract, [&](const Scenario& s) { return run_shows_it(s); });
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "harness/scenario/scenario.h"

namespace ipctorture {

// Does this scenario still show the failure? It is asked about valid scenarios only
// (scenario_faults), and never twice about the same. A racy failure is decided over several runs
// (hit_rate.h). May throw.
using StillFails = std::function<bool(const Scenario&)>;

struct ShrinkLimits {
  std::uint64_t tries = 1000;                         // candidates that are run, at the most
  std::function<bool()> stop = [] { return false; };  // asked before each
};

struct Shrunk {
  Scenario scenario;        // the last that failed; the one that was given when none else did
  std::uint64_t tries = 0;  // how often still_fails was asked
  bool finished = false;    // no simpler neighbour of it fails
};

// `failing` is valid, and fails: it is not asked about. Nothing but `seed` and what the contract
// demands is kept for its own sake.
Shrunk shrink(const Scenario& failing, const Contract& contract, const StillFails& still_fails,
              const ShrinkLimits& limits = {});

// What can be taken away from a scenario as a whole.
struct Feature {
  std::string_view name;                                   // "bursts", "producers killed"
  void (*take_away)(Scenario& scenario, const Contract&);  // no change: it has not got it
};
const std::vector<Feature>& features();

// After other fields were changed: no more late peers, kills, gaps than there are peers and
// messages.
void fit(Scenario& scenario);

}  // namespace ipctorture
