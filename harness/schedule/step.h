// One step of the running lane, inline: half of the engine's time goes into these lines, 150 times
// a schedule. Included by scheduler.h; not for others.
#pragma once

#include <cstdint>

#include "harness/schedule/control.h"

namespace ipctorture::schedule {

extern Control* control;
extern int current_lane;

inline constexpr std::uint64_t hash_seed = 0x1234567;
inline constexpr std::uint64_t hash_factor = 0x9e3779b97f4a7c15;

constexpr std::uint32_t bit(int lane) { return 1u << static_cast<unsigned>(lane); }

// What else could run: the lanes, and above them those whose deadline could pass.
inline std::uint16_t others_of(int lane) {
  const Control& c = *control;
  const std::uint32_t timed = c.resting == 0 ? c.timed & ~c.runnable : 0;
  return static_cast<std::uint16_t>((c.runnable & ~bit(lane)) | (timed & ~bit(lane)) << 8);
}

// Notes a step, in the trace, in its hash and in virtual time.
inline void take_step(Point at, std::uint32_t key, std::uint16_t others, const void* pc) {
  Control& c = *control;
  const auto lane = static_cast<std::uint8_t>(current_lane);
  const std::uint32_t step = ++c.step;
  ++c.lane[lane].steps;
  c.time += ns_per_step;
  const std::uint64_t what = std::uint64_t{key} | std::uint64_t{lane} << 32 |
                             std::uint64_t{static_cast<unsigned>(at)} << 40;
  c.hash = (c.hash ^ what) * hash_factor;
  c.hash ^= c.hash >> 29;
  if (step >= trace_max) [[unlikely]]
    return;
  c.lane[lane].log_step = step;
  c.trace[step] = {lane, at, others, key};
  if (c.keep_log) [[unlikely]]
    c.log[step] = {pc, 0};
}

// What may go otherwise at this step: others run, the lane is killed, the schedule is too long.
void think();

// A step: others may go first. Returns when this lane has its turn. May never return: when the
// schedule ends here.
inline void point(Point at, std::uint64_t key, const void* pc) {
  take_step(at, static_cast<std::uint32_t>(key), others_of(current_lane), pc);
  if (control->step >= control->stop) [[unlikely]]
    think();
}

// What is remembered of the step for explanations.
inline void note_value(std::uint64_t value) {
  if (control->keep_log) [[unlikely]]
    control->log[control->lane[current_lane].log_step].value = value;
}

}  // namespace ipctorture::schedule
