// What scheduler.cc and scheduler_lanes.cc share. Internal to them.
#pragma once

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

inline constexpr std::uint64_t hash_seed = 0x1234567;
inline constexpr std::uint64_t hash_factor = 0x9e3779b97f4a7c15;

constexpr std::uint32_t bit(int lane) { return 1u << static_cast<unsigned>(lane); }

// What else could run: the lanes, and above them those whose deadline could pass.
inline std::uint16_t others_of(int lane) {
  const Control& c = *control;
  const std::uint32_t timed = c.resting == 0 ? c.timed & ~c.runnable : 0;
  return static_cast<std::uint16_t>((c.runnable & ~bit(lane)) | (timed & ~bit(lane)) << 8);
}

void make_runnable(int lane, bool timed_out);
int next_in_turn(int after);
// Lets time, or the director, make somebody runnable; how the schedule ends when neither can.
Ending move_time();
// A lane of the workload is over. When that was the last of its worker, the worker's threads are
// too, as by exit(3).
void end_threads(unsigned lane);

}  // namespace ipctorture::schedule
