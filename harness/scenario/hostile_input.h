// What a hostile peer does, as bytes for fuzzers: which transport, how the two sides stand to each
// other, and a list of acts.
//
//   64-byte header   of kind 'H' (fuzz_input_header.h); its first own byte: flags (HostileFlag)
//   records          u8 act, u8 which, u16 size (little endian), so many bytes
//
// Every byte means something: acts are taken modulo their number, a size beyond the end is cut to
// it. Bytes after hostile_acts_max records are ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

inline constexpr std::uint8_t hostile_input_version = 1;
inline constexpr std::size_t hostile_record_header_bytes = 4;
inline constexpr std::size_t hostile_acts_max = 24;
inline constexpr std::size_t hostile_repeat_max = 256 * 1024;  // bytes that one `repeat` writes

enum HostileFlag : std::uint8_t {
  hostile_consumer = 1,  // the honest side is the producer
  hostile_late = 2,      // the honest side attaches when it is first its turn
  hostile_stranger = 4,  // the attacker does not attach, it only connects
  hostile_timed = 8,     // the honest side's deadline is an instant that has passed, not `now`
  hostile_small = 16,    // Options::message_max is 64 bytes, not the contract's
  hostile_more = 32,     // more producers are expected, so that the channel may outlive the input
  hostile_waits = 64,    // at the end the honest side waits for the end of the stream
};

enum class HostileAct : std::uint8_t {
  write,    // the bytes, raw, into way `which`: of a stream, or as one datagram, packet, message
  repeat,   // u32 how many bytes, then the pattern that they repeat; as write
  valid,    // the attacker's own endpoint sends them as a message, or receives
  pass,     // as write, with 1 + which % 4 descriptors along, picked by the first byte
  read,     // takes what lies in way `which`
  shut,     // shutdown(2), how: first byte
  connect,  // one more connection, many from 250 on; with an odd `which` by attaching as the next
  listen,   // listen(2) again, with a backlog of `which`
  leave,    // gives up all ways
  name,     // does something to a name in the run's directory: u8 what, u8 another name, bytes
  honest,   // the honest side's turn: 1 + which % 4 operations, of the size u16 when it sends
};
inline constexpr unsigned hostile_act_count = 11;
std::string_view to_string(HostileAct act);

struct HostileAction {
  HostileAct act{};
  std::uint8_t which = 0;
  std::vector<std::byte> bytes;
  bool operator==(const HostileAction&) const = default;
};

struct HostileInput {
  std::string transport;
  std::uint8_t flags = 0;
  std::vector<HostileAction> actions;
};

// Throws std::invalid_argument: "fuzz input: version 0, this program reads 1".
HostileInput hostile_input_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> to_bytes(const HostileInput& input);

}  // namespace ipctorture
