// What one worker thread does in a scenario: attach, its workload, what it is ordered to do, close.
// Shared by both engines; everything that happens by chance comes from the Stage.
//
// The journey, in states of the lane:
//   attaching -> ready -> running -> (parked | sent_all: waits for orders) -> closing -> done
// Producers pause (parked) when the scenario has a fill or a gap and go on when ordered to run.
#pragma once

#include <memory>
#include <vector>

#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/transport.h"
#include "harness/work/lane_plan.h"
#include "harness/work/stage.h"

namespace ipctorture {

// How long an attach may wait for its peers.
inline constexpr std::int64_t attach_patience_ns = 10'000'000'000;
inline constexpr std::int64_t close_patience_ns = 10'000'000'000;

struct LaneJob {
  const Scenario* scenario = nullptr;
  const Contract* contract = nullptr;
  LanePlan plan;
  Lane lane;
  // One per channel, this thread's own; destroyed by the caller after work() returned.
  std::vector<Transport*> transports;
  std::vector<std::uint64_t> tokens;  // Options::token of each channel: names the messages
};

// Does it all; never throws: what an adapter throws is journalled and becomes LaneState::failed.
void work(const LaneJob& job, Stage& stage);

}  // namespace ipctorture
