// Reading and writing: read(2), write(2), send(2), recv(2), their families, and between files.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <span>

#include "harness/base/packet_pipe.h"
#include "harness/launch/calls/taken_over.h"

#ifdef IPCTORTURE_CALLS_TAKEN_OVER

extern "C" [[noreturn]] void __chk_fail() noexcept;

namespace ipctorture::calls {

bool input_taken_over() { return true; }

namespace {

Behind behind(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return Behind::other;
  if (S_ISFIFO(status.st_mode)) {
    const int flags = ::fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT) != 0 ? Behind::packet_pipe : Behind::pipe;
  }
  if (S_ISSOCK(status.st_mode)) {
    int type = 0;
    socklen_t bytes = sizeof type;
    const bool stream =
        ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
    return stream ? Behind::stream : Behind::packets;
  }
  return S_ISREG(status.st_mode) || S_ISBLK(status.st_mode) ? Behind::file : Behind::other;
}

enum class Way : bool { in, out };

FailingCalls::May may(Way way, int fd, int flags = 0) {
  const Behind what = behind(fd);
  if (what == Behind::file) {
    return {.fail = way == Way::out ? errors_of::room : errors_of::none};
  }
  const bool patient = (flags & MSG_DONTWAIT) == 0 && waits(fd);
  FailingCalls::May answer{.fail = {}, .be_interrupted = patient};
  const bool never_again = patient || edges_matter.load(std::memory_order_relaxed);
  if (what == Behind::pipe || what == Behind::packet_pipe) {
    answer.fail = errors_of::use_pipe(never_again);
  } else if (what != Behind::other) {
    answer.fail = way == Way::out ? errors_of::send(never_again) : errors_of::receive(never_again);
  }
  return answer;
}

std::size_t size_of_read(int fd, std::size_t wanted, int flags) {
  constexpr int looks = MSG_PEEK | MSG_ERRQUEUE | MSG_OOB | MSG_TRUNC;
  if (inside == nullptr || wanted < 2 || !inside->shortens() || (flags & looks) != 0) return wanted;
  const Behind what = behind(fd);
  if (!read_may_be_short(what)) return wanted;
  if ((flags & MSG_WAITALL) != 0 && (flags & MSG_DONTWAIT) == 0 && waits(fd)) return wanted;
  int waiting = 0;
  if (::ioctl(fd, FIONREAD, &waiting) != 0 || waiting < 2) return wanted;
  if (what == Behind::pipe) {
    const Straight straight;
    if (next_is_packet(fd)) return wanted;
  }
  inside->note_shortened();
  return inside->shorter_than(std::min(wanted, static_cast<std::size_t>(waiting)));
}

std::size_t size_of_write(int fd, std::size_t given) {
  if (inside == nullptr || given < 2 || !inside->shortens()) return given;
  if (!write_may_be_short(behind(fd), given)) return given;
  inside->note_shortened();
  return inside->shorter_than(given);
}

// The standard streams are for people.
bool passes(int fd) { return inside == nullptr || (fd >= 0 && fd <= STDERR_FILENO); }

// `call` does it for so many bytes; it has copies of its arguments, so that these stay in registers
// where nobody is asked.
template <typename Do>
[[gnu::noinline]] ssize_t ask_and_take(const char* name, int fd, std::size_t bytes, int flags,
                                       Do call) {
  return ask(
      name, [&] { return may(Way::in, fd, flags); },
      [&] { return call(size_of_read(fd, bytes, flags)); });
}
template <typename Do>
[[gnu::noinline]] ssize_t ask_and_put(const char* name, int fd, std::size_t bytes, int flags,
                                      Do call) {
  return ask(
      name, [&] { return may(Way::out, fd, flags); },
      [&] { return call(size_of_write(fd, bytes)); });
}
template <typename Do>
ssize_t take_in(const char* name, int fd, std::size_t bytes, int flags, Do call) {
  if (passes(fd)) [[likely]]
    return call(bytes);
  return ask_and_take(name, fd, bytes, flags, call);
}
template <typename Do>
ssize_t put_out(const char* name, int fd, std::size_t bytes, int flags, Do call) {
  if (passes(fd)) [[likely]]
    return call(bytes);
  return ask_and_put(name, fd, bytes, flags, call);
}

// The first bytes of a caller's parts. Many parts are left whole.
class Cut {
 public:
  static constexpr std::size_t parts_max = 16;
  Cut(std::span<const iovec> parts, std::size_t bytes) {
    for (const iovec& part : parts) {
      if (bytes == 0 || count_ == parts_max) break;
      parts_[count_] = part;
      parts_[count_].iov_len = std::min(part.iov_len, bytes);
      bytes -= parts_[count_++].iov_len;
    }
  }
  iovec* parts() { return parts_; }
  std::size_t count() const { return count_; }

 private:
  iovec parts_[parts_max];
  std::size_t count_ = 0;
};

// 0, which is never cut, where they are too many.
std::size_t bytes_of(std::span<const iovec> parts) {
  std::size_t bytes = 0;
  if (parts.size() > Cut::parts_max) return 0;
  for (const iovec& part : parts) bytes += part.iov_len;
  return bytes;
}

std::span<const iovec> span_of(const iovec* parts, int count) {
  return {parts, static_cast<std::size_t>(std::max(count, 0))};
}
std::span<const iovec> span_of(const msghdr& message) {
  return {message.msg_iov, message.msg_iovlen};
}

}  // namespace

// --- read(2), write(2)

TAKE_OVER(read);
ssize_t read(int fd, void* to, size_t bytes) {
  return take_in("read", fd, bytes, 0, [=](std::size_t size) { return next_read(fd, to, size); });
}

TAKE_OVER(write);
ssize_t write(int fd, const void* from, size_t bytes) {
  return put_out("write", fd, bytes, 0,
                 [=](std::size_t size) { return next_write(fd, from, size); });
}

TAKE_OVER(readv);
ssize_t readv(int fd, const iovec* parts, int count) {
  if (passes(fd)) return next_readv(fd, parts, count);
  const auto all = span_of(parts, count);
  const std::size_t bytes = bytes_of(all);
  return take_in("readv", fd, bytes, 0, [=](std::size_t size) {
    if (size == bytes) return next_readv(fd, parts, count);
    Cut cut(all, size);
    return next_readv(fd, cut.parts(), static_cast<int>(cut.count()));
  });
}

TAKE_OVER(writev);
ssize_t writev(int fd, const iovec* parts, int count) {
  if (passes(fd)) return next_writev(fd, parts, count);
  const auto all = span_of(parts, count);
  const std::size_t bytes = bytes_of(all);
  return put_out("writev", fd, bytes, 0, [=](std::size_t size) {
    if (size == bytes) return next_writev(fd, parts, count);
    Cut cut(all, size);
    return next_writev(fd, cut.parts(), static_cast<int>(cut.count()));
  });
}

TAKE_OVER(pwrite);
ssize_t pwrite(int fd, const void* from, size_t bytes, off_t offset) {
  return make("pwrite", errors_of::room, [=] { return next_pwrite(fd, from, bytes, offset); });
}
extern "C" [[gnu::weak, gnu::alias("pwrite")]] ssize_t pwrite64(int, const void*, size_t, off64_t);

TAKE_OVER(pwritev);
ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  return make("pwritev", errors_of::room, [=] { return next_pwritev(fd, parts, count, offset); });
}
extern "C" [[gnu::weak, gnu::alias("pwritev")]] ssize_t pwritev64(int, const iovec*, int, off64_t);

// --- send(2)

TAKE_OVER(send);
ssize_t send(int fd, const void* from, size_t bytes, int flags) {
  return put_out("send", fd, bytes, flags,
                 [=](std::size_t size) { return next_send(fd, from, size, flags); });
}

TAKE_OVER(sendto);
ssize_t sendto(int fd, const void* from, size_t bytes, int flags, const sockaddr* to,
               socklen_t length) {
  return put_out("sendto", fd, bytes, flags,
                 [=](std::size_t size) { return next_sendto(fd, from, size, flags, to, length); });
}

TAKE_OVER(sendmsg);
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (passes(fd)) return next_sendmsg(fd, message, flags);
  const std::size_t bytes = bytes_of(span_of(*message));
  return put_out("sendmsg", fd, bytes, flags, [=](std::size_t size) {
    if (size == bytes) return next_sendmsg(fd, message, flags);
    Cut cut(span_of(*message), size);
    msghdr piece = *message;
    piece.msg_iov = cut.parts();
    piece.msg_iovlen = cut.count();
    return next_sendmsg(fd, static_cast<const msghdr*>(&piece), flags);
  });
}

TAKE_OVER(sendmmsg);
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  return ask(
      "sendmmsg", [=] { return may(Way::out, fd, flags); },
      [=] { return next_sendmmsg(fd, messages, count, flags); });
}

// --- recv(2)

TAKE_OVER(recv);
ssize_t recv(int fd, void* to, size_t bytes, int flags) {
  return take_in("recv", fd, bytes, flags,
                 [=](std::size_t size) { return next_recv(fd, to, size, flags); });
}

TAKE_OVER(recvfrom);
ssize_t recvfrom(int fd, void* to, size_t bytes, int flags, sockaddr* from, socklen_t* length) {
  return take_in("recvfrom", fd, bytes, flags, [=](std::size_t size) {
    return next_recvfrom(fd, to, size, flags, from, length);
  });
}

TAKE_OVER(recvmsg);
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (passes(fd)) return next_recvmsg(fd, message, flags);
  const std::size_t bytes = bytes_of(span_of(*message));
  return take_in("recvmsg", fd, bytes, flags, [=](std::size_t size) {
    if (size == bytes) return next_recvmsg(fd, message, flags);
    Cut cut(span_of(*message), size);
    iovec* const whole = message->msg_iov;
    const std::size_t count = message->msg_iovlen;
    message->msg_iov = cut.parts();
    message->msg_iovlen = cut.count();
    const ssize_t result = next_recvmsg(fd, message, flags);
    message->msg_iov = whole;
    message->msg_iovlen = count;
    return result;
  });
}

TAKE_OVER(recvmmsg);
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  return ask(
      "recvmmsg", [=] { return may(Way::in, fd, flags); },
      [=] { return next_recvmmsg(fd, messages, count, flags, timeout); });
}

// --- between descriptors

TAKE_OVER(sendfile);
ssize_t sendfile(int to, int from, off_t* offset, size_t bytes) noexcept {
  return put_out("sendfile", to, bytes, 0,
                 [=](std::size_t size) { return next_sendfile(to, from, offset, size); });
}
extern "C" [[gnu::weak, gnu::alias("sendfile")]] ssize_t sendfile64(int, int, off64_t*,
                                                                    size_t) noexcept;

TAKE_OVER(splice);
ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t bytes,
               unsigned flags) {
  const auto patient = [=] { return (flags & SPLICE_F_NONBLOCK) == 0 && waits(from) && waits(to); };
  return wait("splice", patient, [=] {
    return next_splice(from, from_offset, to, to_offset, size_of_read(from, bytes, 0), flags);
  });
}

// --- what _FORTIFY_SOURCE makes of some of them

extern "C" [[gnu::weak]] ssize_t __read_chk(int fd, void* to, size_t bytes, size_t room) {
  if (bytes > room) __chk_fail();
  return read(fd, to, bytes);
}
extern "C" [[gnu::weak]] ssize_t __recv_chk(int fd, void* to, size_t bytes, size_t room,
                                            int flags) {
  if (bytes > room) __chk_fail();
  return recv(fd, to, bytes, flags);
}
extern "C" [[gnu::weak]] ssize_t __recvfrom_chk(int fd, void* to, size_t bytes, size_t room,
                                                int flags, sockaddr* from, socklen_t* length) {
  if (bytes > room) __chk_fail();
  return recvfrom(fd, to, bytes, flags, from, length);
}

}  // namespace ipctorture::calls

#endif
