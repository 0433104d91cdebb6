// Whole messages over a byte stream: frames of [u32 length, little-endian | payload | u8 verdict].
//
// A sender whose deadline passes in the middle of a frame cannot take the written part back, and
// may not keep the rest for later either: nobody would bring it, and the frame would block the
// stream. So it gives the frame up: the stream is *owed* the missing bytes, whoever writes next
// pays them with zeroes, and the last of them is the verdict, `cut`: the reader discards the frame.
// Hence a send is all or nothing and its answer is definite, at any deadline.
//
// Both functions resume after EINTR and short counts; descriptors must be O_NONBLOCK. Who
// serialises the writers, and the readers, is the transport's affair (shared_stream.h for pipes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "harness/base/clock.h"
#include "harness/base/outcome.h"

namespace ipctorture {

inline constexpr std::size_t frame_overhead = 5;
inline constexpr std::size_t frame_read_ahead = 64 * 1024;

enum class StreamKind : std::uint8_t {
  pipe,    // write(2); the caller has SIGPIPE blocked
  socket,  // send(2) with MSG_NOSIGNAL
};

// Sends one frame by the deadline: ok, full (`now`), timed_out, closed (nobody will read), error.
// `owed` is the stream's debt, 0 at the start; it may lie in shared memory.
IoResult write_frame(int fd, StreamKind kind, std::span<const std::byte> message,
                     std::uint32_t& owed, Deadline deadline);

// Where the bytes stand that were read and not yet taken. Zero at the start. May lie in shared
// memory, so that competing readers go on from where another left off.
struct FrameIntake {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  Instant next_read = 0;     // read() does not read again before, see gather_ns
  std::uint32_t moving = 0;  // not 0 only while bytes move: whoever dies then leaves it in disorder
};

// Extracts frames; reads ahead up to the memory it is given. A view: copyable, keeps nothing
// itself.
class FrameReader {
 public:
  static constexpr std::size_t memory_bytes(std::size_t message_max) {
    return message_max + frame_overhead + frame_read_ahead;
  }
  // `memory` holds memory_bytes(message_max) bytes. A competing reader sleeps in poll(2), where it
  // may be killed without harm to the intake; a lone one in read(2), which spares a call.
  enum class Readers : std::uint8_t { one, competing };
  FrameReader(FrameIntake& intake, std::span<std::byte> memory, std::size_t message_max,
              Readers readers = Readers::one)
      : intake_(&intake), memory_(memory), message_max_(message_max), readers_(readers) {}

  // The next whole frame, if it is here: ok; empty: not yet; too_large: it does not fit into
  // `buffer` and stays; error EBADMSG: these are not frames of this transport.
  IoResult take(std::span<std::byte> buffer);
  // Reads once, as much as there is room for: ok, empty (EAGAIN), closed (end of file or reset),
  // error.
  IoResult fill(int fd);
  // take and fill until there is a frame or the deadline passes: ok, empty, timed_out, closed,
  // too_large, error. A frame that has begun to arrive is kept for the next call. `fd` must be
  // *blocking*, and nobody else may read from it meanwhile: then bytes that poll(2) has seen cannot
  // go away (a hang-up can), and a lone reader without a deadline waits in one read(2) instead of
  // three calls.
  IoResult read(int fd, std::span<std::byte> buffer, Deadline deadline);

 private:
  FrameIntake* intake_;
  std::span<std::byte> memory_;
  std::size_t message_max_;
  Readers readers_;
};

// poll(2) for one descriptor until it is ready for `events` (errors and hang-ups count): what it is
// ready for, as poll(2) puts it, or 0 when the deadline passed.
short wait_ready(int fd, short events, Deadline deadline);

}  // namespace ipctorture
