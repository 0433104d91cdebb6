// Reading and writing: read(2), write(2), send(2), recv(2) and their families. At an offset and
// between descriptors: calls/transfer.cc.
//
// Whatever waits is tried without waiting: descriptors are made non-blocking for the moment, socket
// calls get MSG_DONTWAIT. A blocking write, and a read with MSG_WAITALL, goes on until it is done,
// as the kernel's does, and waits in between. A stream may give or take less than asked for: that
// is a question, except where all or nothing is promised (base/call_errors.h).
//
// Where it stops: an answer that comes with partial progress is that progress, as if a signal had
// come. Pieces of a large write that the pipe has room for are not interleaved with others'. A
// message of several parts that goes out shortened may end at the border of a part.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <limits.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <span>

#include "harness/base/packet_pipe.h"
#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/parts.h"
#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring.h"
#include "harness/schedule/calls/virtual_pid.h"

extern "C" [[noreturn]] void __chk_fail() noexcept;

namespace ipctorture::schedule {
namespace {

// How much of what is possible is done.
std::size_t shortened(std::size_t possible, const void* pc) {
  if (possible < 2) return possible;
  switch (ask(Question::shorter, 3, pc)) {
    case 1:
      return possible / 2;
    case 2:
      return 1;
    default:
      return possible;
  }
}

std::size_t waiting_bytes(int fd) {
  int bytes = 0;
  return raw_call(SYS_ioctl, fd, FIONREAD, word(&bytes)) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool takes_packet(int fd) {
  const Uncontrolled uncontrolled;
  return next_is_packet(fd);
}

// How much a read of a stream takes.
std::size_t read_size(int fd, std::size_t wanted, const void* pc) {
  if (!control->questions) return wanted;
  const std::size_t possible = std::min(wanted, waiting_bytes(fd));
  if (possible < 2) return wanted;
  const std::size_t size = shortened(possible, pc);
  return size == possible ? wanted : size;
}

// What is behind a descriptor that is no socket.
Behind behind(int fd, Kind kind) {
  if (kind == Kind::file) return Behind::file;
  if (kind != Kind::pipe) return Behind::other;
  const long flags = raw_call(SYS_fcntl, fd, F_GETFL);
  return flags >= 0 && (flags & O_DIRECT) != 0 ? Behind::packet_pipe : Behind::pipe;
}

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return raw_call(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, word(&type), word(&bytes)) == 0 &&
         type == SOCK_STREAM;
}

// --- sockets

Call socket_call(int fd, Point at, Users users) {
  return {.at = at,
          .key = static_cast<std::uint32_t>(fd),
          .waits_for = has_rings() ? effect_socket | effect_pipe : std::uint32_t{effect_socket},
          .effects = effect_socket,
          .users = users,
          .fd = fd};
}

bool waits(int fd, int flags) {
  return (flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) == 0 && !is_nonblocking(fd);
}

std::span<const iovec> parts_of(const msghdr& message) {
  return {message.msg_iov, message.msg_iovlen};
}

void set_parts(msghdr& message, std::span<const iovec> parts) {
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
}

long send_message(int fd, const msghdr& message, int flags, const void* pc) {
  Call call = socket_call(fd, Point::write_call, Users::release);
  const bool stream = is_stream_socket(fd), patient = waits(fd, flags);
  call.errors = errors_of::send(patient);
  const std::size_t bytes = bytes_of(parts_of(message));
  long sent = 0;
  point(call.at, call.key, pc);
  check_memory(parts_of(message), static_cast<long>(bytes), false);
  Rest rest(parts_of(message), stream ? shortened(bytes, pc) : bytes);
  const RealCredentials carried(message);
  const auto attempt = [&] {
    progress_rings(pc);
    for (;;) {
      msghdr piece = carried.message();
      set_parts(piece, rest.next());
      if (sent > 0) piece.msg_controllen = 0;  // what it carries went with the first
      const long result = raw_call(SYS_sendmsg, fd, word(&piece), flags | MSG_DONTWAIT);
      if (result == -EAGAIN && patient) return would_block;
      if (result < 0) return sent > 0 ? sent : result;
      sent += result;
      rest.advance(static_cast<std::size_t>(result));
      if (!stream || !patient || rest.left() == 0) return sent;
      succeeded(call);
    }
  };
  const long result = try_call(call, pc, attempt);
  return result < 0 && sent > 0 ? sent : result;
}

long receive_message(int fd, msghdr& message, int flags, const void* pc) {
  Call call = socket_call(fd, Point::read_call, Users::acquire);
  const bool stream = is_stream_socket(fd), patient = waits(fd, flags);
  call.errors = errors_of::receive(patient);
  const bool peeks = (flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB)) != 0;
  const bool all = stream && patient && !peeks && (flags & MSG_WAITALL) != 0;
  Rest rest(parts_of(message), bytes_of(parts_of(message)));
  long received = 0;
  const auto attempt = [&] {
    progress_rings(pc);
    for (;;) {
      const std::span<const iovec> parts = rest.next();
      std::size_t bytes = bytes_of(parts);
      if (stream && !all && !peeks) bytes = read_size(fd, bytes, pc);
      Rest wanted(parts, bytes);
      msghdr piece = message;
      set_parts(piece, wanted.next());
      const int how = (flags & ~MSG_WAITALL) | MSG_DONTWAIT;
      const long result = raw_call(SYS_recvmsg, fd, word(&piece), how);
      if (result == -EAGAIN && patient) return would_block;
      if (result < 0) return received > 0 ? received : result;
      message.msg_namelen = piece.msg_namelen;
      message.msg_controllen = piece.msg_controllen;
      message.msg_flags = piece.msg_flags;
      check_memory(parts, result, true);
      received += result;
      rest.advance(static_cast<std::size_t>(result));
      if (!all || result == 0 || rest.left() == 0) return received;
      succeeded(call);
    }
  };
  const long result = make_call(call, pc, attempt);
  if (received > 0 || result >= 0) show_virtual_pids(message);
  return result < 0 && received > 0 ? received : result;
}

// --- pipes, files and the rest

long raw_parts(long one, long many, int fd, std::span<const iovec> parts) {
  if (parts.size() != 1) {
    return raw_call(many, fd, word(parts.data()), static_cast<long>(parts.size()));
  }
  return raw_call(one, fd, word(parts[0].iov_base), static_cast<long>(parts[0].iov_len));
}

}  // namespace

long read_parts(int fd, std::span<const iovec> parts, const void* pc) {
  const std::size_t bytes = bytes_of(parts);
  const Kind kind = kind_of(fd);
  if (kind == Kind::socket && bytes > 0) {
    msghdr message{};
    set_parts(message, parts);
    return receive_message(fd, message, 0, pc);
  }
  const Behind what = behind(fd, kind);
  Call call = descriptor_call(fd, kind, Point::read_call, Users::acquire);
  if (kind == Kind::file) call.effects = 0;
  if (kind == Kind::pipe && timer_of(fd) != nullptr && !parts.empty()) {
    return read_timer(fd, parts[0].iov_base, parts[0].iov_len, pc);
  }
  if (kind == Kind::pipe) call.errors = errors_of::use_pipe(!is_nonblocking(fd));
  if (has_rings()) call.waits_for |= effect_pipe | effect_socket;
  // A signalfd: signals of timers that are blocked come there.
  const auto next = [&] { return kind == Kind::other ? next_blocked_signal() : 0; };
  const long taken = make_timed_call(call, pc, next, [&] {
    if (kind == Kind::other) send_expired_signals();
    progress_rings(pc);
    const bool may_be_short = read_may_be_short(what) && control->questions && !takes_packet(fd);
    Rest wanted(parts, may_be_short ? read_size(fd, bytes, pc) : bytes);
    const NonBlocking now(fd);
    const long result = now.judged(raw_parts(SYS_read, SYS_readv, fd, wanted.next()));
    if (result != would_block) check_memory(parts, result, true);
    return result;
  });
  if (kind == Kind::other) show_virtual_pids(fd, parts, taken);
  return taken;
}

long write_parts(int fd, std::span<const iovec> parts, const void* pc) {
  const std::size_t bytes = bytes_of(parts);
  const Kind kind = kind_of(fd);
  if (kind == Kind::socket) {
    msghdr message{};
    set_parts(message, parts);
    return send_message(fd, message, 0, pc);
  }
  Call call = descriptor_call(fd, kind, Point::write_call, Users::release);
  if (kind == Kind::file) call.errors = errors_of::room;
  if (kind == Kind::pipe) call.errors = errors_of::use_pipe(!is_nonblocking(fd));
  const bool whole = kind != Kind::pipe || bytes <= PIPE_BUF;
  const bool may_be_short = write_may_be_short(behind(fd, kind), bytes);
  long written = 0;
  point(call.at, call.key, pc);
  check_memory(parts, static_cast<long>(bytes), false);
  Rest rest(parts, may_be_short ? shortened(bytes, pc) : bytes);
  if (has_rings()) call.waits_for |= effect_pipe | effect_socket;
  const auto attempt = [&] {
    progress_rings(pc);
    for (;;) {
      const NonBlocking now(fd);
      const long result = now.judged(raw_parts(SYS_write, SYS_writev, fd, rest.next()));
      if (result < 0) return result == would_block || written == 0 ? result : written;
      written += result;
      rest.advance(static_cast<std::size_t>(result));
      if (whole || now.by_choice() || rest.left() == 0) return written;
      succeeded(call);
    }
  };
  const long result = try_call(call, pc, attempt);
  return result < 0 && written > 0 ? written : result;
}

namespace {

msghdr message_of(iovec& part, sockaddr* address, socklen_t length) {
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_name = address;
  message.msg_namelen = length;
  return message;
}

// The calls with one buffer, controlled or not.
ssize_t read_into(int fd, void* to, std::size_t bytes, const void* pc) {
  if (!controlled() || is_standard_stream(fd)) {
    return answer(raw_call(SYS_read, fd, word(to), static_cast<long>(bytes)));
  }
  const iovec part{.iov_base = to, .iov_len = bytes};
  return answer(restarting([&] { return read_parts(fd, {&part, 1}, pc); }));
}

ssize_t write_from(int fd, const void* from, std::size_t bytes, const void* pc) {
  if (!controlled() || is_standard_stream(fd)) {
    return answer(raw_call(SYS_write, fd, word(from), static_cast<long>(bytes)));
  }
  const iovec part{.iov_base = const_cast<void*>(from), .iov_len = bytes};
  return answer(restarting([&] { return write_parts(fd, {&part, 1}, pc); }));
}

ssize_t send_from(int fd, const void* from, std::size_t bytes, int flags, const sockaddr* address,
                  socklen_t length, const void* pc) {
  if (!controlled()) {
    return answer(raw_call(SYS_sendto, fd, word(from), static_cast<long>(bytes), flags,
                           word(address), length));
  }
  iovec part{.iov_base = const_cast<void*>(from), .iov_len = bytes};
  const msghdr message = message_of(part, const_cast<sockaddr*>(address), length);
  return answer(restarting([&] { return send_message(fd, message, flags, pc); }));
}

ssize_t receive_into(int fd, void* to, std::size_t bytes, int flags, sockaddr* address,
                     socklen_t* length, const void* pc) {
  if (!controlled()) {
    return answer(raw_call(SYS_recvfrom, fd, word(to), static_cast<long>(bytes), flags,
                           word(address), word(length)));
  }
  iovec part{.iov_base = to, .iov_len = bytes};
  msghdr message = message_of(part, address, address == nullptr ? 0 : *length);
  const long result = restarting([&] { return receive_message(fd, message, flags, pc); });
  if (result >= 0 && address != nullptr) *length = message.msg_namelen;
  return answer(result);
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- read(2), write(2)

ssize_t read(int fd, void* to, size_t bytes) {
  return read_into(fd, to, bytes, __builtin_return_address(0));
}

ssize_t readv(int fd, const iovec* parts, int count) {
  if (!controlled() || is_standard_stream(fd) || count < 0) {
    return answer(raw_call(SYS_readv, fd, word(parts), count));
  }
  const void* pc = __builtin_return_address(0);
  return answer(restarting([&] { return read_parts(fd, span_of(parts, count), pc); }));
}

ssize_t write(int fd, const void* from, size_t bytes) {
  return write_from(fd, from, bytes, __builtin_return_address(0));
}

ssize_t writev(int fd, const iovec* parts, int count) {
  if (!controlled() || is_standard_stream(fd) || count < 0) {
    return answer(raw_call(SYS_writev, fd, word(parts), count));
  }
  const void* pc = __builtin_return_address(0);
  return answer(restarting([&] { return write_parts(fd, span_of(parts, count), pc); }));
}

int eventfd_read(int fd, eventfd_t* count) {
  return read_into(fd, count, sizeof *count, __builtin_return_address(0)) > 0 ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t count) {
  return write_from(fd, &count, sizeof count, __builtin_return_address(0)) > 0 ? 0 : -1;
}

// --- send(2)

ssize_t sendto(int fd, const void* from, size_t bytes, int flags, const sockaddr* address,
               socklen_t length) {
  return send_from(fd, from, bytes, flags, address, length, __builtin_return_address(0));
}

ssize_t send(int fd, const void* from, size_t bytes, int flags) {
  return send_from(fd, from, bytes, flags, nullptr, 0, __builtin_return_address(0));
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!controlled()) return answer(raw_call(SYS_sendmsg, fd, word(message), flags));
  const void* pc = __builtin_return_address(0);
  return answer(restarting([&] { return send_message(fd, *message, flags, pc); }));
}

// One after the other, as in the kernel: others may go in between.
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  if (!controlled()) {
    return static_cast<int>(answer(raw_call(SYS_sendmmsg, fd, word(messages), count, flags)));
  }
  int sent = 0;
  for (; sent < static_cast<int>(count); ++sent) {
    mmsghdr& one = messages[sent];
    const long result = send_message(fd, one.msg_hdr, flags, __builtin_return_address(0));
    if (result < 0 && sent == 0) return static_cast<int>(answer(result));
    if (result < 0) break;
    one.msg_len = static_cast<unsigned>(result);
  }
  return sent;
}

// --- recv(2)

ssize_t recvfrom(int fd, void* to, size_t bytes, int flags, sockaddr* address, socklen_t* length) {
  return receive_into(fd, to, bytes, flags, address, length, __builtin_return_address(0));
}

ssize_t recv(int fd, void* to, size_t bytes, int flags) {
  return receive_into(fd, to, bytes, flags, nullptr, nullptr, __builtin_return_address(0));
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!controlled()) return answer(raw_call(SYS_recvmsg, fd, word(message), flags));
  const void* pc = __builtin_return_address(0);
  return answer(restarting([&] { return receive_message(fd, *message, flags, pc); }));
}

// The timeout is looked at between messages only, as the kernel does.
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  if (!controlled()) {
    return static_cast<int>(
        answer(raw_call(SYS_recvmmsg, fd, word(messages), count, flags, word(timeout))));
  }
  const std::int64_t deadline = deadline_in(timeout);
  int how = flags & ~MSG_WAITFORONE;
  int received = 0;
  while (received < static_cast<int>(count)) {
    mmsghdr& one = messages[received];
    const long result = receive_message(fd, one.msg_hdr, how, __builtin_return_address(0));
    if (result < 0 && received == 0) return static_cast<int>(answer(result));
    if (result < 0) break;
    one.msg_len = static_cast<unsigned>(result);
    ++received;
    if ((flags & MSG_WAITFORONE) != 0) how |= MSG_DONTWAIT;
    if (deadline != 0 && deadline <= control->time) break;
  }
  return received;
}

// --- what _FORTIFY_SOURCE makes of some of them

ssize_t __read_chk(int fd, void* to, size_t bytes, size_t room) {
  if (bytes > room) __chk_fail();
  return read_into(fd, to, bytes, __builtin_return_address(0));
}

ssize_t __recv_chk(int fd, void* to, size_t bytes, size_t room, int flags) {
  if (bytes > room) __chk_fail();
  return receive_into(fd, to, bytes, flags, nullptr, nullptr, __builtin_return_address(0));
}

ssize_t __recvfrom_chk(int fd, void* to, size_t bytes, size_t room, int flags, sockaddr* address,
                       socklen_t* length) {
  if (bytes > room) __chk_fail();
  return receive_into(fd, to, bytes, flags, address, length, __builtin_return_address(0));
}

}  // extern "C"
