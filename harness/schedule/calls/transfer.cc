// Reading and writing at an offset, and between two descriptors: pread(2), splice(2), sendfile(2)
// and their families, as calls/io.cc does it for the rest.
//
// Where it stops: the pages that vmsplice(2) lends are the kernel's own affair: who changes them
// too early changes what is read, but that is no race. The memory of the other process that
// process_vm_readv(2) reads is not checked.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <sys/sendfile.h>
#include <sys/uio.h>

#include <span>

#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/parts.h"
#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/virtual_pid.h"

namespace ipctorture::schedule {
namespace {

struct AtOffset {
  long number;
  Point at;
  long a, b;  // the call's arguments between descriptor and offset
};

// At an offset: files only, which never wait.
long at_offset(const AtOffset& what, int fd, std::span<const iovec> parts, off_t offset,
               const void* pc) {
  const bool reads = what.at == Point::read_call;
  Call call = descriptor_call(fd, Kind::file, what.at, reads ? Users::acquire : Users::release);
  if (reads) call.effects = 0;
  if (!reads) call.errors = errors_of::room;
  return make_call(call, pc, [&] {
    const long result = raw_call(what.number, fd, what.a, what.b, offset);
    check_memory(parts, result, reads);
    return result;
  });
}

// With flags, and the offset of -1 that means the descriptor's own: then it may wait.
long with_flags(const AtOffset& what, int fd, std::span<const iovec> parts, off_t offset, int flags,
                const void* pc) {
  const bool reads = what.at == Point::read_call;
  if (offset == -1 && flags == 0) {
    return reads ? read_parts(fd, parts, pc) : write_parts(fd, parts, pc);
  }
  const Kind kind = offset == -1 ? kind_of(fd) : Kind::file;
  Call call = descriptor_call(fd, kind, what.at, reads ? Users::acquire : Users::release);
  if (reads && kind == Kind::file) call.effects = 0;
  const bool patient = (flags & RWF_NOWAIT) == 0;
  return make_call(call, pc, [&] {
    const NonBlocking now(fd);
    const long result = raw_call(what.number, fd, what.a, what.b, offset, 0, flags);
    if (result > 0) check_memory(parts, result, reads);
    return patient ? now.judged(result) : result;
  });
}

// `move` makes the call with the given flags.
template <typename Move>
long between_pipes(int from, int to, unsigned flags, Move move, const void* pc) {
  constexpr unsigned nonblocking = SPLICE_F_NONBLOCK;
  Call call = descriptor_call(from, Kind::pipe, Point::read_call, Users::acquire);
  call.waits_for = effect_pipe | effect_socket;
  call.effects = effect_pipe | effect_socket | effect_file;
  const bool patient = (flags & nonblocking) == 0 && !is_nonblocking(from) && !is_nonblocking(to);
  const long result = make_call(call, pc, [&] {
    const NonBlocking source(from);
    const NonBlocking sink(to);
    const long moved = move(flags | nonblocking);
    return moved == -EAGAIN && patient ? would_block : moved;
  });
  if (result > 0) order_users_of_descriptor(Users::release, to);
  return result;
}

// Goes on until all is moved, or nothing more is there.
long send_file(int to, int from, off_t* offset, std::size_t bytes, const void* pc) {
  const Kind sink_kind = kind_of(to);
  Call call = descriptor_call(to, sink_kind, Point::write_call, Users::release);
  call.waits_for = effect_pipe | effect_socket;
  point(call.at, call.key, pc);
  order_users_of_descriptor(Users::acquire, from);
  const bool patient = !is_nonblocking(to) && !is_nonblocking(from);
  long sent = 0;
  const long result = try_call(call, pc, [&] {
    for (;;) {
      const NonBlocking source(from);
      const NonBlocking sink(to);
      const long moved = raw_call(SYS_sendfile, to, from, word(offset),
                                  static_cast<long>(bytes - static_cast<std::size_t>(sent)));
      if (moved == -EAGAIN && patient) return would_block;
      if (moved <= 0) return sent > 0 ? sent : moved;
      sent += moved;
      if (!patient || static_cast<std::size_t>(sent) == bytes) return sent;
      succeeded(call);
    }
  });
  return result < 0 && sent > 0 ? sent : result;
}

// Of a pipe: into its write end, or out of the other.
long splice_memory(int fd, std::span<const iovec> parts, unsigned flags, const void* pc) {
  constexpr unsigned nonblocking = SPLICE_F_NONBLOCK;
  const bool reads = (raw_call(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
  const Call call = descriptor_call(fd, Kind::pipe, reads ? Point::read_call : Point::write_call,
                                    reads ? Users::acquire : Users::release);
  const bool patient = (flags & nonblocking) == 0 && !is_nonblocking(fd);
  return make_call(call, pc, [&] {
    const long moved = raw_call(SYS_vmsplice, fd, word(parts.data()),
                                static_cast<long>(parts.size()), flags | nonblocking);
    if (moved == -EAGAIN && patient) return would_block;
    check_memory(parts, moved, reads);
    return moved;
  });
}

// The memory of another process, which nothing orders.
long other_memory(long number, pid_t process, std::span<const iovec> local, const iovec* remote,
                  unsigned long count, unsigned long flags, const void* pc) {
  const bool reads = number == SYS_process_vm_readv;
  const Call call{.at = reads ? Point::read_call : Point::write_call,
                  .effects = reads ? 0u : std::uint32_t{effect_any}};
  return make_call(call, pc, [&] {
    const long result =
        raw_call(number, to_real(process), word(local.data()), static_cast<long>(local.size()),
                 word(remote), static_cast<long>(count), static_cast<long>(flags));
    check_memory(local, result, reads);
    return result;
  });
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- at an offset

ssize_t pread(int fd, void* to, size_t bytes, off_t offset) {
  const auto size = static_cast<long>(bytes);
  if (!controlled()) return answer(raw_call(SYS_pread64, fd, word(to), size, offset));
  const iovec part{.iov_base = to, .iov_len = bytes};
  return answer(at_offset({SYS_pread64, Point::read_call, word(to), size}, fd, {&part, 1}, offset,
                          __builtin_return_address(0)));
}

ssize_t pwrite(int fd, const void* from, size_t bytes, off_t offset) {
  const auto size = static_cast<long>(bytes);
  if (!controlled()) return answer(raw_call(SYS_pwrite64, fd, word(from), size, offset));
  const iovec part{.iov_base = const_cast<void*>(from), .iov_len = bytes};
  return answer(at_offset({SYS_pwrite64, Point::write_call, word(from), size}, fd, {&part, 1},
                          offset, __builtin_return_address(0)));
}

ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) {
  if (!controlled() || count < 0) {
    return answer(raw_call(SYS_preadv, fd, word(parts), count, offset));
  }
  return answer(at_offset({SYS_preadv, Point::read_call, word(parts), count}, fd,
                          span_of(parts, count), offset, __builtin_return_address(0)));
}

ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  if (!controlled() || count < 0) {
    return answer(raw_call(SYS_pwritev, fd, word(parts), count, offset));
  }
  return answer(at_offset({SYS_pwritev, Point::write_call, word(parts), count}, fd,
                          span_of(parts, count), offset, __builtin_return_address(0)));
}

// The same functions where off_t has 64 bits anyway.
[[gnu::alias("pread")]] ssize_t pread64(int fd, void* to, size_t bytes, off64_t offset);
[[gnu::alias("pwrite")]] ssize_t pwrite64(int fd, const void* from, size_t bytes, off64_t offset);
[[gnu::alias("preadv")]] ssize_t preadv64(int fd, const iovec* parts, int count, off64_t offset);
[[gnu::alias("pwritev")]] ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset);

ssize_t preadv2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  if (!controlled() || count < 0 || is_standard_stream(fd)) {
    return answer(raw_call(SYS_preadv2, fd, word(parts), count, offset, 0, flags));
  }
  const AtOffset read{SYS_preadv2, Point::read_call, word(parts), count};
  return answer(
      with_flags(read, fd, span_of(parts, count), offset, flags, __builtin_return_address(0)));
}

ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  if (!controlled() || count < 0 || is_standard_stream(fd)) {
    return answer(raw_call(SYS_pwritev2, fd, word(parts), count, offset, 0, flags));
  }
  const AtOffset write{SYS_pwritev2, Point::write_call, word(parts), count};
  return answer(
      with_flags(write, fd, span_of(parts, count), offset, flags, __builtin_return_address(0)));
}
[[gnu::alias("preadv2")]] ssize_t preadv64v2(int fd, const iovec* parts, int count, off64_t offset,
                                             int flags);
[[gnu::alias("pwritev2")]] ssize_t pwritev64v2(int fd, const iovec* parts, int count,
                                               off64_t offset, int flags);

// --- between descriptors

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t bytes,
               unsigned flags) {
  const auto move = [&](unsigned how) {
    return raw_call(SYS_splice, from, word(from_offset), to, word(to_offset),
                    static_cast<long>(bytes), how);
  };
  if (!controlled()) return answer(move(flags));
  return answer(between_pipes(from, to, flags, move, __builtin_return_address(0)));
}

ssize_t tee(int from, int to, size_t bytes, unsigned flags) {
  const auto copy = [&](unsigned how) {
    return raw_call(SYS_tee, from, to, static_cast<long>(bytes), how);
  };
  if (!controlled()) return answer(copy(flags));
  return answer(between_pipes(from, to, flags, copy, __builtin_return_address(0)));
}

ssize_t vmsplice(int fd, const iovec* parts, size_t count, unsigned flags) {
  if (!controlled()) {
    return answer(raw_call(SYS_vmsplice, fd, word(parts), static_cast<long>(count), flags));
  }
  return answer(splice_memory(fd, {parts, count}, flags, __builtin_return_address(0)));
}

ssize_t sendfile(int to, int from, off_t* offset, size_t bytes) noexcept {
  if (!controlled()) {
    return answer(raw_call(SYS_sendfile, to, from, word(offset), static_cast<long>(bytes)));
  }
  const void* pc = __builtin_return_address(0);
  return answer(restarting([&] { return send_file(to, from, offset, bytes, pc); }));
}
[[gnu::alias("sendfile")]] ssize_t sendfile64(int to, int from, off64_t* offset,
                                              size_t bytes) noexcept;

// Between files, which never wait.
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t bytes,
                        unsigned flags) {
  const auto copy = [&] {
    return raw_call(SYS_copy_file_range, from, word(from_offset), to, word(to_offset),
                    static_cast<long>(bytes), flags);
  };
  if (!controlled()) return answer(copy());
  Call call = descriptor_call(to, Kind::file, Point::write_call, Users::release);
  call.errors = errors_of::room;
  const void* pc = __builtin_return_address(0);
  return answer(make_call(call, pc, [&] {
    order_users_of_descriptor(Users::acquire, from);
    return copy();
  }));
}

// --- memory of another process

ssize_t process_vm_readv(pid_t process, const iovec* local, unsigned long locals,
                         const iovec* remote, unsigned long remotes, unsigned long flags) noexcept {
  if (!controlled()) {
    return answer(raw_call(SYS_process_vm_readv, process, word(local), static_cast<long>(locals),
                           word(remote), static_cast<long>(remotes), static_cast<long>(flags)));
  }
  return answer(other_memory(SYS_process_vm_readv, process, {local, locals}, remote, remotes, flags,
                             __builtin_return_address(0)));
}

ssize_t process_vm_writev(pid_t process, const iovec* local, unsigned long locals,
                          const iovec* remote, unsigned long remotes,
                          unsigned long flags) noexcept {
  if (!controlled()) {
    return answer(raw_call(SYS_process_vm_writev, process, word(local), static_cast<long>(locals),
                           word(remote), static_cast<long>(remotes), static_cast<long>(flags)));
  }
  return answer(other_memory(SYS_process_vm_writev, process, {local, locals}, remote, remotes,
                             flags, __builtin_return_address(0)));
}

}  // extern "C"
