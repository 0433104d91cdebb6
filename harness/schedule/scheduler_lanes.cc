// The lanes of a schedule: how it begins, who is added, who dies, and what they wait for in words.
#include <algorithm>
#include <cstdio>

#include "harness/base/prng.h"
#include "harness/schedule/arena.h"
#include "harness/schedule/scheduler_parts.h"
#include "harness/schedule/strategy.h"

namespace ipctorture::schedule {

std::string_view to_string(Ending ending) {
  constexpr std::string_view names[ending_count] = {
      "running", "ready",  "complete",     "deadlock", "livelock", "budget",
      "race",    "misuse", "uncontrolled", "crash",    "diverged", "killed"};
  return names[static_cast<unsigned>(ending) % ending_count];
}

void begin_schedule() {
  Control& c = *control;
  c.ending = Ending::running;
  c.step = c.stop = c.alone_since = 0;
  c.next_listed = c.next_walk = 0;
  c.progress_step = 0;
  c.progress_heads = 0;
  c.lowest_priority = -100;
  c.hash = c.stamp_order = hash_seed;
  c.taken_count = 0;
  c.sleep_count = 0;
  c.shortage_count = c.alterations = 0;
  c.resting = 0;
  c.killed_lanes = 0;
  c.settles = 0;
  c.leaves = false;
  c.said[0] = 0;
  c.kernel_calls = 0;
  c.shared_accesses = 0;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    c.lane[lane].steps = 0;
    c.lane[lane].stale_in_row = 0;
  }
  begin_strategy();
}

unsigned add_lane(unsigned process) {
  Control& c = *control;
  const unsigned lane = c.lanes;
  if (lane == lanes_max) {
    end_schedule(
        Ending::uncontrolled,
        "the transport starts more threads and processes than explore has lanes: %u, those "
        "of the workload included",
        lanes_max);
  }
  ++c.lanes;
  c.lane[lane] = {};
  c.lane[lane].process = static_cast<std::uint8_t>(process);
  c.lane[lane].priority = 1 + static_cast<std::int64_t>(mix64(c.random + lane) >> 44);
  c.auxiliary[lane] = {.creator = static_cast<std::uint8_t>(current_lane)};
  begin_lane(c.memory, lane);
  make_runnable(static_cast<int>(lane), false);
  return lane;
}

namespace {

// The lane of the workload that it comes from.
unsigned root_of(unsigned lane) {
  while (lane >= control->workload_lanes) lane = control->auxiliary[lane].creator;
  return lane;
}

}  // namespace

// Fibers of several workers are in one process, so it is the worker that counts.
void end_threads(unsigned lane) {
  const Control& c = *control;
  const auto is_over = [&](unsigned other) {
    return c.lane[other].waiting == Waiting::finished || c.lane[other].waiting == Waiting::dead;
  };
  std::uint32_t threads = 0;
  for (unsigned other = 0; other < c.lanes; ++other) {
    const bool same_process = c.lane[other].process == c.lane[lane].process;
    if (is_over(other) || !same_process) continue;
    if (direction.worker(root_of(other)) != direction.worker(lane)) continue;
    if (other < c.workload_lanes) return;
    threads |= bit(static_cast<int>(other));
  }
  if (threads != 0) bury(threads);
}

void name_lane(unsigned lane, char* text, unsigned bytes) {
  const Control& c = *control;
  if (lane < c.workload_lanes) {
    std::snprintf(text, bytes, "lane %u", lane);
    return;
  }
  unsigned number = 1;  // of its kind
  for (unsigned other = c.workload_lanes; other < lane; ++other) {
    const bool same_kind = c.auxiliary[other].leads_process == c.auxiliary[lane].leads_process;
    if (same_kind && root_of(other) == root_of(lane)) ++number;
  }
  const char* const kind = c.auxiliary[lane].leads_process ? "child" : "thread";
  const unsigned worker = direction.worker(root_of(lane));
  if (number == 1) {
    std::snprintf(text, bytes, "%s of worker %u", kind, worker);
  } else {
    std::snprintf(text, bytes, "%s %u of worker %u", kind, number, worker);
  }
}

void end_waiting_for_order(unsigned lane) {
  if (control->lane[lane].waiting == Waiting::order) make_runnable(static_cast<int>(lane), false);
}

void bury(std::uint32_t lanes_mask) {
  Control& c = *control;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    LaneControl& l = c.lane[lane];
    if ((lanes_mask >> lane & 1) == 0) continue;
    if (l.waiting != Waiting::finished) l.waiting = Waiting::dead;
    // The end of a process is seen by everybody: what it did comes before what they do now.
    for (unsigned other = 0; other < c.lanes; ++other) {
      c.memory.now[other].join(c.memory.now[lane]);
      c.memory.visible[other].join(c.memory.now[lane]);
    }
  }
  c.runnable &= ~lanes_mask;
  c.resting &= ~lanes_mask;
  c.timed &= ~lanes_mask;
  c.held_count = static_cast<std::uint32_t>(
      std::remove_if(c.held, c.held + c.held_count,
                     [&](const HeldMutex& held) { return (lanes_mask >> held.lane & 1) != 0; }) -
      c.held);
  // The kernel released its locks and closed its descriptors: everybody looks again.
  effect(effect_any);
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    const LaneControl& l = c.lane[lane];
    if (l.waiting == Waiting::key && l.waits_in == Point::mutex_lock) {
      make_runnable(static_cast<int>(lane), false);
    }
  }
}

bool choose_in_session() {
  Control& c = *control;
  c.ending = move_time();
  if (c.ending != Ending::running) return false;
  c.current = next_in_turn(static_cast<int>(c.lanes) - 1);
  c.alone_since = c.step;
  c.stop = 0;
  return true;
}

void describe_waiting(unsigned lane, char* text, unsigned bytes) {
  const LaneControl& l = control->lane[lane];
  switch (l.waiting) {
    case Waiting::none:
      std::snprintf(text, bytes, "can run");
      break;
    case Waiting::key: {
      char object[80];
      if (l.waits_in == Point::thread) {
        name_lane(static_cast<unsigned>(l.key - end_key(0)), object, sizeof object);
        std::snprintf(text, bytes, "waits for the end of %s", object);
        break;
      }
      if (l.waits_in == Point::process) {
        std::snprintf(text, bytes, "waits for a process that it started");
        break;
      }
      describe_key(l.key, object, sizeof object);
      std::snprintf(text, bytes, "waits in %s at %s", to_string(l.waits_in).data(), object);
      break;
    }
    case Waiting::retry:
      std::snprintf(text, bytes, "waits in %s", to_string(l.waits_in).data());
      break;
    case Waiting::order:
      std::snprintf(text, bytes, "waits for orders");
      break;
    case Waiting::finished:
      std::snprintf(text, bytes, "has finished");
      break;
    case Waiting::dead:
      std::snprintf(text, bytes, "is dead");
      break;
  }
}

}  // namespace ipctorture::schedule
