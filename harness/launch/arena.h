// What the supervisor, its zygote and the forked workers share: one mapping, made before the
// zygote, with the bell, a start block per worker slot, and the lanes; and the messages between
// supervisor and zygote. Pooled workers have the slots 0-31 and loop; fresh ones have those above,
// do one job and leave.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "harness/base/shared_mapping.h"
#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

inline constexpr unsigned slots = workers_max + lanes_in_all_max;
inline constexpr std::uint64_t records_max = 1u
                                             << 24;  // per lane; pages appear as they are touched

struct PlainOptions {
  char name[64], directory[128];
  std::uint64_t token, counter_start;
  std::uint32_t producers, consumers, capacity, message_max;
};

struct alignas(64) StartBlock {
  std::atomic<std::uint32_t> command{0};   // futex: a job is there when it differs from `finished`
  std::atomic<std::uint32_t> finished{0};  // the last command that was carried out
  Scenario scenario;
  std::uint32_t worker = 0;
  PlainOptions options[2] = {};
  std::uint32_t handles[2] = {};  // how many come over the socket, per channel
};

struct Arena {
  alignas(64) std::atomic<std::uint32_t> bell{0};
  StartBlock blocks[slots];
};
inline constexpr std::size_t lanes_offset = (sizeof(Arena) + 4095) / 4096 * 4096;
inline constexpr std::size_t lane_stride = lane_bytes(records_max);
inline constexpr std::size_t arena_bytes = lanes_offset + workers_max * lane_stride;

// The lanes of one scenario share the room: of more than workers_max each has less.
constexpr std::size_t lane_stride_of(unsigned lanes) {
  return lanes <= workers_max ? lane_stride : lane_stride * workers_max / lanes / 4096 * 4096;
}
constexpr std::uint64_t lane_records_of(unsigned lanes) {
  return (lane_stride_of(lanes) - lane_records_offset) / sizeof(Record);
}
static_assert(lane_records_of(1) == records_max);

inline Lane arena_lane(const SharedMapping& memory, unsigned lane, unsigned lanes) {
  return Lane(memory.data() + lanes_offset + lane * lane_stride_of(lanes));
}
inline Arena& arena_of(const SharedMapping& memory) {
  return *reinterpret_cast<Arena*>(memory.data());
}

enum class Command : std::uint32_t {
  spawn,   // into the slot; two descriptors come along: the worker's socket and its output
  kill,    // the worker of the slot
  signal,  // it; or a thread of it, which is not answered
  sweep,   // kill processes that workers left behind; answered by an ExitMessage of sweep_slot
};
struct Message {
  Command command;
  std::uint32_t slot;
  std::int32_t signal = 0;
  std::int32_t thread = 0;  // 0: the whole process
};
inline constexpr std::uint32_t sweep_slot = slots;
inline constexpr std::uint32_t signalled_slot = slots + 1;  // `status` says whose signal was sent
struct ExitMessage {
  std::uint32_t slot;
  std::int32_t status;  // -1: fork failed, `error` says why. Of a sweep: how many were there
  std::int32_t error;
  char name[16];  // of a sweep: what one of them is called
};

}  // namespace ipctorture
