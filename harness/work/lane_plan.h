// Who a lane is: derived from the scenario alone, so that supervisor, workers and checkers agree
// without a word. Lanes 0 .. producers-1 produce (clients of request_reply), the rest consume.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/scenario/scenario.h"

namespace ipctorture {

struct LanePlan {
  unsigned lane = 0;
  unsigned worker = 0;  // process, from 0; lanes of one role fill processes in groups of `threads`
  unsigned thread = 0;  // within the process
  Role role = Role::producer;
  unsigned index = 0;  // within the role
  // Index of this lane's endpoint on each channel; -1: none.
  int producer_on[2] = {-1, -1};
  int consumer_on[2] = {-1, -1};
  // Messages to send (clients: requests), or for a consumer that leaves early to receive; 0 for the
  // other consumers.
  std::uint64_t quota = 0;
  bool late = false;          // waits for the order to run before it attaches
  bool leaves_early = false;  // closes as soon as it has its quota
};

LanePlan plan_lane(const Scenario& scenario, unsigned lane);
unsigned worker_count(const Scenario& scenario);

}  // namespace ipctorture
