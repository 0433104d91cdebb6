// What every fuzz input of this project begins with, so that none is taken for another:
//
//   64 bytes: "ICTF", u8 version, u8 kind, 10 bytes that the kind gives a meaning, the transport's
//   name (48 bytes, zero-terminated)
//
// What follows is the kind's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

inline constexpr std::size_t fuzz_input_header_bytes = 64;

// The letters of the kinds.
inline constexpr char schedule_input_letter = 'S';  // schedule/schedule_input.h
inline constexpr char scenario_input_letter = 'R';  // scenario/scenario_input.h
inline constexpr char hostile_input_letter = 'H';   // scenario/hostile_input.h

struct FuzzInputKind {
  char letter;
  std::uint8_t version;   // that this program writes, and the only one that it reads
  std::string_view name;  // "schedule", for messages
};

struct FuzzInputHeader {
  std::array<std::uint8_t, 10> own{};  // the kind's
  std::string transport;               // at most 47 bytes, more are cut
};

// Throws std::invalid_argument when it is of another kind or version, or none:
// "fuzz input: version 0, this program reads 1".
FuzzInputHeader read_fuzz_input_header(std::span<const std::byte> bytes, const FuzzInputKind& kind);
// The letter of its kind, known or not; 0: this is no fuzz input.
char fuzz_input_letter(std::span<const std::byte> bytes);
std::vector<std::byte> write_fuzz_input_header(const FuzzInputHeader& header,
                                               const FuzzInputKind& kind);

}  // namespace ipctorture
