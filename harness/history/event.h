// One journal record: an operation, invocation and response in one, 32 bytes. The layout is public
// (docs/worker-protocol.md), little-endian, and read from files: treat every field as hostile.
#pragma once

#include <cstdint>
#include <string_view>

#include "harness/base/clock.h"
#include "harness/base/outcome.h"

namespace ipctorture {

enum class Op : std::uint8_t {
  none = 0,
  attach,   // outcome ok or error (detail: errno)
  send,     // message, size; detail: priority (ok) or errno
  receive,  // message, size as received; detail: see below
  close,
  // Notes: facts about the preceding record of the lane, written after it.
  missed,  // message: how many messages the transport says this consumer missed
  late,  // a deadline was overrun: message = ns overrun, size = us this thread was runnable but not
         // running meanwhile
  repeated,  // latest value: the producer is about to write content equal to its last (before a
             // send)
  finished,  // the lane's workload is complete; detail: EndedBy
};
inline constexpr unsigned op_count = 9;
constexpr std::string_view to_string(Op op) {
  constexpr std::string_view names[op_count] = {"none",   "attach", "send",     "receive", "close",
                                                "missed", "late",   "repeated", "finished"};
  return names[static_cast<unsigned>(op) % op_count];
}

enum class DeadlineMode : std::uint8_t { never = 0, at = 1, now = 2 };
constexpr std::string_view to_string(DeadlineMode mode) {
  constexpr std::string_view names[4] = {"never", "at", "now", "?"};
  return names[static_cast<unsigned>(mode) % 4];
}

// What the receiving worker found in a message: detail, low byte, of an ok receive. The high byte
// is the priority.
enum class Content : std::uint8_t {
  intact = 0,
  torn,     // begins as a message of this run, later bytes are not its own
  foreign,  // does not begin as a message of this run and channel
};
constexpr std::string_view to_string(Content content) {
  constexpr std::string_view names[3] = {"intact", "torn", "foreign"};
  return names[static_cast<unsigned>(content) % 3];
}

// Why a lane's workload ended: detail of Op::finished.
enum class EndedBy : std::uint16_t { quota, mark, closed, order, journal_full, error };
constexpr std::string_view to_string(EndedBy ended) {
  constexpr std::string_view names[6] = {"quota", "mark",         "closed",
                                         "order", "journal full", "error"};
  return names[static_cast<unsigned>(ended) % 6];
}

enum class MessageKind : std::uint8_t {
  data = 0,
  mark,     // the last message for a consumer: it leaves after it
  handoff,  // sent while one consumer alone is active
  reply,
};
constexpr std::string_view to_string(MessageKind kind) {
  constexpr std::string_view names[4] = {"data", "mark", "handoff", "reply"};
  return names[static_cast<unsigned>(kind) % 4];
}

// Who sent it, and its place among all the messages of that producer on that channel (from 0).
struct MessageId {
  std::uint64_t sequence = 0;  // < 2^37
  std::uint8_t producer = 0;
  MessageKind kind = MessageKind::data;
  bool operator==(const MessageId&) const = default;

  constexpr std::uint64_t packed() const {
    return std::uint64_t{producer} << 56 | std::uint64_t{static_cast<unsigned>(kind)} << 54 |
           (sequence & ((std::uint64_t{1} << 54) - 1));
  }
  static constexpr MessageId unpack(std::uint64_t word) {
    return {.sequence = word & ((std::uint64_t{1} << 54) - 1),
            .producer = static_cast<std::uint8_t>(word >> 56),
            .kind = static_cast<MessageKind>((word >> 54) & 3)};
  }
};

struct Record {
  Stamp invoked = 0;
  Stamp returned = 0;         // 0 while open
  std::uint64_t message = 0;  // MessageId packed; for a received message of less than 8 bytes only
                              // as far as its bytes tell (scenario/message.h)
  std::uint32_t size = 0;     // bytes
  std::uint8_t what = 0;      // Op | channel << 4 | DeadlineMode << 6
  std::uint8_t outcome = 0;   // Outcome; unknown while open
  std::uint16_t detail = 0;

  static constexpr std::uint8_t encode(Op op, unsigned channel, DeadlineMode mode) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(op) | (channel & 3) << 4 |
                                     static_cast<unsigned>(mode) << 6);
  }
  Op op() const { return static_cast<Op>(what & 15); }
  unsigned channel() const { return (what >> 4) & 3; }
  DeadlineMode mode() const { return static_cast<DeadlineMode>(what >> 6); }
  Outcome result() const { return static_cast<Outcome>(outcome); }
  MessageId id() const { return MessageId::unpack(message); }
  Content content() const { return static_cast<Content>(detail & 255); }
  bool open() const { return returned == 0; }
};
static_assert(sizeof(Record) == 32);

}  // namespace ipctorture
