#include "harness/transport/frame.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "harness/base/adaptive_spin.h"

namespace ipctorture {
namespace {

constexpr std::size_t header_bytes = 4;
constexpr std::byte verdict_cut{0};
constexpr std::byte verdict_whole{1};
// The debt is paid in zeroes: its last byte must read as `cut`.
static_assert(verdict_cut == std::byte{0});
static_assert(header_bytes + sizeof verdict_whole == frame_overhead);

// A reader that empties the stream after every message goes to sleep after every message, and each
// write(2) then pays for waking it. So after a read that brought little it lets that much time pass
// (mostly the caller's own work) before the next: messages gather, and one read takes them all. A
// fraction of what a wake-up costs; measured on 64-byte messages: 0.65 of a bare loop without, 1.1
// to 1.3 with.
constexpr Instant gather_ns = 4000;
constexpr std::size_t gather_below_bytes = 2048;

void store_length(std::byte* to, std::size_t length) {
  for (unsigned i = 0; i < header_bytes; ++i) to[i] = static_cast<std::byte>(length >> (8 * i));
}

std::size_t load_length(const std::byte* from) {
  std::size_t length = 0;
  for (unsigned i = 0; i < header_bytes; ++i) {
    length |= std::to_integer<std::size_t>(from[i]) << (8 * i);
  }
  return length;
}

ssize_t write_some(int fd, StreamKind kind, std::span<iovec> parts) {
  if (kind == StreamKind::socket) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  if (parts.size() == 1) return ::write(fd, parts[0].iov_base, parts[0].iov_len);
  return ::writev(fd, parts.data(), static_cast<int>(parts.size()));
}

// Drops the first `bytes` of the parts.
std::span<iovec> advance(std::span<iovec> parts, std::size_t bytes) {
  while (!parts.empty() && bytes >= parts[0].iov_len) {
    bytes -= parts[0].iov_len;
    parts = parts.subspan(1);
  }
  if (bytes > 0) {
    parts[0].iov_base = static_cast<std::byte*>(parts[0].iov_base) + bytes;
    parts[0].iov_len -= bytes;
  }
  return parts;
}

// Writes all parts by the deadline; `written` says how far it came.
IoResult write_parts(int fd, StreamKind kind, std::span<iovec> parts, std::size_t& written,
                     Deadline deadline) {
  written = 0;
  while (!parts.empty()) {
    const ssize_t count = write_some(fd, kind, parts);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      parts = advance(parts, static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (!wait_ready(fd, POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return IoResult::of(Outcome::closed);
    } else if (errno != EINTR) {
      return IoResult::failed(errno);
    }
  }
  return IoResult::sent();
}

// What a frame that was cut after `written` bytes is short of. Zeroes will follow: where the length
// itself was cut, that makes it a smaller one, and the frame ends sooner.
std::uint32_t debt_of(std::size_t length, std::size_t written) {
  if (written < header_bytes) length &= (std::size_t{1} << (8 * written)) - 1;
  return static_cast<std::uint32_t>(length + frame_overhead - written);
}

IoResult pay(int fd, StreamKind kind, std::uint32_t& owed, Deadline deadline) {
  static constexpr std::array<std::byte, 4096> zeroes{};
  while (owed > 0) {
    iovec part{.iov_base = const_cast<std::byte*>(zeroes.data()),
               .iov_len = std::min<std::size_t>(owed, zeroes.size())};
    std::size_t written = 0;
    const IoResult result = write_parts(fd, kind, {&part, 1}, written, deadline);
    owed -= static_cast<std::uint32_t>(written);
    if (result.outcome != Outcome::ok) return result;
  }
  return IoResult::sent();
}

// Is there certainly too little room? A pipe counts pages, so less may fit than this sees: then the
// frame is cut, which costs room but breaks nothing.
bool pipe_lacks_room(int fd, std::size_t bytes) {
  const int capacity = ::fcntl(fd, F_GETPIPE_SZ);
  int queued = 0;
  if (capacity < 0 || ::ioctl(fd, FIONREAD, &queued) != 0) return false;
  return bytes > static_cast<std::size_t>(capacity - queued);
}

// A hang-up may be over again by the time of read(2): the next producer opens the FIFO, and read(2)
// would wait for what that one sends, whatever the deadline. So without bytes it is the end. That
// poll(2) shows no bytes does not mean that there are none: it looks for bytes first and for
// writers then, and between the two the last one may have written and left.
bool hung_up(int fd, short ready) {
  if ((ready & (POLLHUP | POLLERR)) == 0 || (ready & POLLIN) != 0) return false;
  int queued = 0;
  return ::ioctl(fd, FIONREAD, &queued) != 0 || queued == 0;
}

}  // namespace

short wait_ready(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd waiter{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&waiter, 1, deadline.poll_ms());
    if (ready > 0) return waiter.revents;
    if (deadline.passed()) return 0;
    // The next call will say why.
    if (ready < 0 && errno != EINTR && errno != EAGAIN) return events;
  }
}

// Flattened, since a system call spoils the predictions of returns: each level of calls costs.
[[gnu::flatten]] IoResult write_frame(int fd, StreamKind kind, std::span<const std::byte> message,
                                      std::uint32_t& owed, Deadline deadline) {
  if (owed > 0) {
    const IoResult paid = pay(fd, kind, owed, deadline);
    if (paid.outcome != Outcome::ok) return paid;
  }
  const std::size_t bytes = message.size() + frame_overhead;
  std::size_t written = 0;
  IoResult result;
  if (bytes <= PIPE_BUF) {
    // In one piece: a non-blocking write(2) of up to PIPE_BUF bytes to a pipe is all or nothing.
    std::byte frame[PIPE_BUF];
    store_length(frame, message.size());
    if (!message.empty()) std::memcpy(frame + header_bytes, message.data(), message.size());
    frame[bytes - 1] = verdict_whole;
    iovec part{.iov_base = frame, .iov_len = bytes};
    result = write_parts(fd, kind, {&part, 1}, written, deadline);
  } else {
    if (deadline.is_now() && kind == StreamKind::pipe && pipe_lacks_room(fd, bytes)) {
      return IoResult::of(Outcome::full);
    }
    std::byte header[header_bytes];
    std::byte verdict = verdict_whole;
    store_length(header, message.size());
    std::array<iovec, 3> parts{
        {{.iov_base = header, .iov_len = header_bytes},
         {.iov_base = const_cast<std::byte*>(message.data()), .iov_len = message.size()},
         {.iov_base = &verdict, .iov_len = 1}}};
    result = write_parts(fd, kind, parts, written, deadline);
  }
  if (written > 0 && written < bytes) owed = debt_of(message.size(), written);
  return result;
}

IoResult FrameReader::take(std::span<std::byte> buffer) {
  for (;;) {
    if (intake_->begin > intake_->end || intake_->end > memory_.size()) {
      return IoResult::failed(EBADMSG);
    }
    const std::size_t here = intake_->end - intake_->begin;
    if (here < header_bytes) return IoResult::of(Outcome::empty);
    const std::byte* frame = memory_.data() + intake_->begin;
    const std::size_t length = load_length(frame);
    if (length > message_max_) return IoResult::failed(EBADMSG);
    if (here < length + frame_overhead) return IoResult::of(Outcome::empty);
    const bool whole = frame[header_bytes + length] == verdict_whole;
    if (whole && length > buffer.size()) return IoResult::of(Outcome::too_large);
    if (whole && length > 0) std::memcpy(buffer.data(), frame + header_bytes, length);
    intake_->begin += static_cast<std::uint32_t>(length + frame_overhead);
    if (whole) return IoResult::received(length);
  }
}

IoResult FrameReader::fill(int fd) {
  // What is left is less than a frame, so this moves each byte at most once and always makes room.
  intake_->moving = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const std::uint32_t rest = intake_->end - intake_->begin;
  if (intake_->begin > 0) {
    if (rest > 0) std::memmove(memory_.data(), memory_.data() + intake_->begin, rest);
    intake_->begin = 0;
    intake_->end = rest;
  }
  ssize_t count;
  do {
    count = ::read(fd, memory_.data() + rest, memory_.size() - rest);
  } while (count < 0 && errno == EINTR);
  if (count > 0) intake_->end = rest + static_cast<std::uint32_t>(count);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  intake_->moving = 0;
  if (count == 0 || (count < 0 && errno == ECONNRESET)) return IoResult::of(Outcome::closed);
  if (count < 0) return errno == EAGAIN ? IoResult::of(Outcome::empty) : IoResult::failed(errno);
  return IoResult::received(static_cast<std::size_t>(count));
}

IoResult FrameReader::read(int fd, std::span<std::byte> buffer, Deadline deadline) {
  for (;;) {
    const IoResult taken = take(buffer);
    if (taken.outcome != Outcome::empty) return taken;
    const bool poll_first = readers_ == Readers::competing || !deadline.is_never();
    if (poll_first) {
      const short ready = wait_ready(fd, POLLIN, deadline);
      if (ready == 0) return IoResult::of(deadline.is_now() ? Outcome::empty : Outcome::timed_out);
      if (hung_up(fd, ready)) return IoResult::of(Outcome::closed);
    }
    if (!deadline.is_now()) {
      while (monotonic_now() < intake_->next_read) cpu_relax();
    }
    const IoResult filled = fill(fd);
    if (filled.outcome == Outcome::ok && filled.size < gather_below_bytes) {
      intake_->next_read = monotonic_now() + gather_ns;
    }
    if (filled.outcome != Outcome::ok && filled.outcome != Outcome::empty) return filled;
  }
}

}  // namespace ipctorture
