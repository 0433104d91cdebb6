// A schedule as bytes for fuzzers: which small scenario, and the departures from the default
// schedule. What a fuzzer finds is run again and made small by `ipctorture explore --input FILE`,
// and told in words by `ipctorture show FILE`.
//
//   64-byte header   "ICTF", version, kind 'S', the bytes of Shape, the transport's name
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
inline constexpr std::size_t schedule_input_header_bytes = 64;
inline constexpr std::size_t schedule_record_bytes = 4;
inline constexpr std::size_t schedule_records_max = 1024;

// What the search around the departures is: each field is taken within its range, so that every
// byte means something.
struct Shape {
  std::uint8_t producers = 1;  // 1 to 3, and at most what the contract allows
  std::uint8_t consumers = 1;
  std::uint8_t messages = 3;  // 1 to 8
  std::uint8_t sizes = 0;     // the default one, the least, 41, 200, 2100 bytes, mixed
  std::uint8_t flags = 0;     // of ShapeFlag
  bool operator==(const Shape&) const = default;
};
enum ShapeFlag : std::uint8_t {
  shape_questions = 1,  // interrupted, short and spurious calls
  shape_shortages = 2,  // failing calls
  shape_hostile = 4,    // a peer that writes what it likes into shared memory
  shape_weak = 8,       // stale loads
  shape_timed = 16,     // deadlines
  shape_wrapping = 32,  // one place, counters about to wrap
};

struct ScheduleInput {
  std::string transport;
  Shape shape;
  Departures departures;  // at most schedule_records_max
};

// Throws std::invalid_argument: "fuzz input: version 0, this program reads 1".
ScheduleInput schedule_input_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> to_bytes(const ScheduleInput& input);

// Within the contract, whatever the shape is; hostile only where the contract says it bears that.
Trial trial_of(const ScheduleInput& input, const Contract& contract, Backend backend);

}  // namespace ipctorture::schedule
