// One lane's whole life: its own transport objects, its workload, their end; the same for both
// engines. What an adapter throws becomes LaneState::failed, with its errno and words.
#pragma once

#include <vector>

#include "harness/transport/registry.h"
#include "harness/work/lane_work.h"

namespace ipctorture {

struct LaneLife {
  const Scenario* scenario = nullptr;
  const Registration* registration = nullptr;
  const std::vector<Options>* options = nullptr;  // [channel]
  LanePlan plan;
  Lane lane;
};

// Takes this lane's own `handles`, per channel, out of their vectors; named transports have none.
// The outer vector stays the caller's: the controlled engine brings a lane back to an earlier
// moment, which may own nothing that was allocated elsewhere. Returns when everything it made is
// destroyed.
void live(const LaneLife& life, std::vector<std::vector<Descriptor>>& handles, Stage& stage);
// For a lane that could not even begin.
void fail_lane(const Lane& lane, Stage& stage, int error, const char* what);

}  // namespace ipctorture
