// A schedule as bytes for fuzzers: which small scenario, and the departures from the default
// schedule. What a fuzzer finds is run again, made small and kept as a bundle by `ipctorture shrink
// FILE`, and told in words by `ipctorture show FILE`.
//
//   64-byte header   of kind 'S' (scenario/fuzz_input_header.h), with the bytes of Shape
//   4-byte records   u16 step (little endian), u8 change * 16 + lane, u8 value
//
// The records are fixed in size, and each stands for itself, so that a mutator can leave out, add,
// move and copy them. Several for one step of one lane: the first counts. Bytes after the last
// whole record are ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/schedule/trials.h"

namespace ipctorture::schedule {

inline constexpr std::uint8_t schedule_input_version = 1;
inline constexpr std::size_t schedule_record_bytes = 4;
inline constexpr std::size_t schedule_records_max = 1024;

// What the schedule is of. Each field is taken within its range and the contract, so that every
// byte means something.
struct Shape {
  std::uint8_t producers = 1;  // 1 to 3
  std::uint8_t consumers = 1;  // 1 to 3
  std::uint8_t messages = 3;   // 1 to 8, of each producer
  std::uint8_t sizes = 0;      // 24 bytes, the least, 41, 200, 2100, mixed
  std::uint8_t extra = 0;      // of Extra
  std::uint8_t peers = 0;      // of Peers
  std::uint8_t flags = 0;      // of ShapeFlag
  bool operator==(const Shape&) const = default;
};
enum class Extra : std::uint8_t {
  none,
  questions,  // interrupted, short and spurious calls
  shortages,  // failing calls
  weak,       // stale loads
  hostile,    // a peer that writes what it likes into shared memory
};
inline constexpr unsigned extra_count = 5;
enum class Peers : std::uint8_t { stay, producers_die, consumers_die, come_late };
inline constexpr unsigned peers_count = 4;
enum ShapeFlag : std::uint8_t {
  shape_timed = 1,     // deadlines
  shape_wrapping = 2,  // one place, counters about to wrap
};

struct ScheduleInput {
  std::string transport;
  Shape shape;
  Departures departures;  // at most schedule_records_max
};

// Throws std::invalid_argument: "fuzz input: version 0, this program reads 1".
ScheduleInput schedule_input_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> to_bytes(const ScheduleInput& input);

// Within the contract, whatever the shape is: a hostile peer only where the contract says it bears
// one, deaths likewise, and those in processes, whatever `backend` is.
Trial trial_of(const ScheduleInput& input, const Contract& contract, Backend backend);

// The departures that such a trial may take, in their order: one for each step of a lane, at most
// one kill, of a lane that may die.
Departures departures_of(const ScheduleInput& input, const Trial& trial);

}  // namespace ipctorture::schedule
