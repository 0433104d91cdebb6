// Descriptors: what makes, joins, locks and closes them. open(2), close(2), fcntl(2), flock(2),
// sockets up to connect(2) and accept(2), and the calls that only make a descriptor: those are no
// points, since nobody else can see it yet.
//
// Where it stops: fcntl's EDEADLK is not looked for, a cycle of locks is a deadlock of the
// schedule. In fibers all lanes are one process, to which POSIX locks belong. A TCP connection that
// a full backlog holds up comes in the kernel's own time, which nobody waits for.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cstdarg>

#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring.h"
#include "harness/schedule/calls/virtual_pid.h"

namespace ipctorture::schedule {
namespace {

std::uint64_t key_of(int fd) { return static_cast<std::uint32_t>(fd); }

// A call that only makes descriptors: no point.
template <typename Make>
int make_descriptor(const void* pc, Make call) {
  if (!controlled()) return static_cast<int>(answer(call()));
  if (const int error = shortage(Point::open, errors_of::new_descriptor, pc); error != 0) {
    return static_cast<int>(answer(-error));
  }
  const long result = call();
  if (result >= 0) note_kernel_call();
  return static_cast<int>(answer(result));
}

// --- open(2)

constexpr Call open_call{.at = Point::open,
                         .key = 0,
                         .waits_for = effect_pipe | effect_file,
                         .users = Users::both,
                         .object = all_names,
                         .errors = errors_of::open};

bool is_fifo(int directory, const char* path) {
  struct stat status{};
  return raw_call(SYS_newfstatat, directory, word(path), word(&status), 0) == 0 &&
         S_ISFIFO(status.st_mode);
}

// What others can see of it.
void opened(int fd, int flags) {
  note_kernel_call();
  if (kind_of(fd) == Kind::pipe) {
    effect(effect_pipe | effect_file);
  } else if ((flags & (O_CREAT | O_TRUNC)) != 0) {
    effect(effect_file);
  }
}

// Of a FIFO's read end that was opened without waiting: is a writer there, or was one? When it is
// empty, read(2) tells the two apart without taking anything.
bool writer_came(int fd) {
  int bytes = 0;
  if (raw_call(SYS_ioctl, fd, FIONREAD, word(&bytes)) == 0 && bytes > 0) return true;
  pollfd end{.fd = fd, .events = 0, .revents = 0};
  if (raw_call(SYS_poll, word(&end), 1, 0) > 0) return true;
  char none;
  return raw_call(SYS_read, fd, word(&none), 1) == -EAGAIN;
}

// The end is held while its opener waits for a peer, as in the kernel: so the peer finds it.
long open_fifo(int directory, const char* path, int flags, mode_t mode, const void* pc) {
  int end = -1;
  const auto attempt = [&]() -> long {
    if (end < 0) {
      const long result = raw_call(SYS_openat, directory, word(path), flags | O_NONBLOCK, mode);
      if (result == -ENXIO) return would_block;
      if (result < 0) return result;
      end = static_cast<int>(result);
      opened(end, flags);
    }
    const bool reads = (flags & O_ACCMODE) == O_RDONLY;
    return reads && !writer_came(end) ? would_block : end;
  };
  const long result = make_call(open_call, pc, attempt);
  if (end < 0) return result;
  if (result < 0) {
    raw_call(SYS_close, end);
  } else {
    raw_call(SYS_fcntl, end, F_SETFL, raw_call(SYS_fcntl, end, F_GETFL) & ~O_NONBLOCK);
  }
  return result;
}

long open_at(int directory, const char* path, int flags, mode_t mode, const void* pc) {
  const bool waits = (flags & (O_NONBLOCK | O_PATH)) == 0;
  if (controlled() && waits && is_fifo(directory, path)) {
    return open_fifo(directory, path, flags, mode, pc);
  }
  const auto open = [&] { return raw_call(SYS_openat, directory, word(path), flags, mode); };
  if (!controlled()) return open();
  Call call = open_call;
  if ((flags & O_CREAT) != 0) call.errors = errors_of::open_or_create;
  const long result = make_call(call, pc, open);
  if (result >= 0) opened(static_cast<int>(result), flags);
  return result;
}

// The mode is there only when a file may be made.
mode_t mode_argument(int flags, va_list arguments) {
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return makes ? va_arg(arguments, mode_t) : 0;
}

// --- locks

// Who locks may give up a lock, or a part of one, by that: from writing to reading, say.
Call lock_call(int fd, bool unlocks) {
  return {.at = Point::file_lock,
          .key = key_of(fd),
          .waits_for = effect_lock,
          .effects = effect_lock,
          .users = unlocks ? Users::release : Users::both,
          .fd = fd};
}

long lock_range(int fd, int command, struct flock* lock, const void* pc) {
  const bool waits = command == F_SETLKW || command == F_OFD_SETLKW;
  const int attempt = command == F_SETLKW       ? F_SETLK
                      : command == F_OFD_SETLKW ? F_OFD_SETLK
                                                : command;
  return restarting([&] {
    return make_call(lock_call(fd, lock->l_type == F_UNLCK), pc, [&] {
      const long result = raw_call(SYS_fcntl, fd, attempt, word(lock));
      return waits && (result == -EAGAIN || result == -EACCES) ? would_block : result;
    });
  });
}

long control_descriptor(int fd, int command, long argument, const void* pc) {
  const auto call = [&] { return raw_call(SYS_fcntl, fd, command, argument); };
  if (!controlled()) return call();
  switch (command) {
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return lock_range(fd, command, reinterpret_cast<struct flock*>(argument), pc);
    case F_GETLK:
    case F_OFD_GETLK: {
      const long result = make_call({.at = Point::file_lock, .key = key_of(fd)}, pc, call);
      auto* lock = reinterpret_cast<struct flock*>(argument);
      if (result == 0 && lock->l_type != F_UNLCK) lock->l_pid = to_virtual(lock->l_pid);
      return result;
    }
    case F_SETPIPE_SZ:
      return make_call({.at = Point::write_call, .key = key_of(fd), .effects = effect_pipe}, pc,
                       call);
    case F_GETFD:
    case F_GETFL:
    case F_GETPIPE_SZ:
      return call();
    default:
      note_kernel_call();
      return call();
  }
}

// --- sockets

Call socket_call(Point at, int fd, Users users = Users::unordered) {
  return {.at = at,
          .key = key_of(fd),
          .waits_for = effect_socket,
          .effects = effect_socket,
          .users = users,
          .fd = fd};
}

// How a connection under way stands.
long connected(int fd) {
  pollfd waiter{.fd = fd, .events = POLLOUT, .revents = 0};
  if (raw_call(SYS_poll, word(&waiter), 1, 0) <= 0) return would_block;
  int error = 0;
  socklen_t bytes = sizeof error;
  raw_call(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, word(&error), word(&bytes));
  return -error;
}

long connect_socket(int fd, const sockaddr* address, socklen_t length, const void* pc) {
  const Call call = socket_call(Point::connect, fd, Users::both);
  bool under_way = false;
  return make_call(call, pc, [&] {
    if (under_way) return connected(fd);
    const NonBlocking now(fd);
    const long result = raw_call(SYS_connect, fd, word(address), length);
    if (result == -EINPROGRESS) succeeded(call);  // the listener sees it already
    if (now.by_choice()) return result;
    if (result == -EAGAIN) return would_block;  // the backlog of a Unix socket is full
    under_way = result == -EINPROGRESS;
    return under_way ? connected(fd) : result;
  });
}

long accept_socket(int fd, sockaddr* address, socklen_t* length, int flags, const void* pc) {
  Call call = socket_call(Point::accept, fd, Users::acquire);
  call.errors = errors_of::open;
  return restarting([&] {
    return make_call(call, pc, [&] {
      progress_rings(pc);
      const NonBlocking now(fd);
      return now.judged(raw_call(SYS_accept4, fd, word(address), word(length), flags));
    });
  });
}

// --- close(2)

// `close` closes `fd`, and that may be the last of it: who reads it finds the end. Closing any
// descriptor of a file drops the process's locks on it.
template <typename Close>
int closing_call(int fd, const void* pc, Close close) {
  point(Point::close, key_of(fd), pc);
  const std::uint32_t effects = effects_of(kind_of(fd)) | effect_lock;
  order_users_of_descriptor(Users::release, fd);
  return static_cast<int>(answer(try_call({.effects = effects}, pc, close)));
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- open(2)

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(open_at(directory, path, flags, mode, pc)));
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(open_at(AT_FDCWD, path, flags, mode, pc)));
}

int creat(const char* path, mode_t mode) {
  constexpr int flags = O_CREAT | O_WRONLY | O_TRUNC;
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(open_at(AT_FDCWD, path, flags, mode, pc)));
}

// The same functions where off_t has 64 bits anyway.
[[gnu::alias("open")]] int open64(const char* path, int flags, ...);
[[gnu::alias("openat")]] int openat64(int directory, const char* path, int flags, ...);
[[gnu::alias("creat")]] int creat64(const char* path, mode_t mode);

// What _FORTIFY_SOURCE makes of them when there is no mode.
int __open_2(const char* path, int flags) {
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(open_at(AT_FDCWD, path, flags, 0, pc)));
}
int __openat_2(int directory, const char* path, int flags) {
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(open_at(directory, path, flags, 0, pc)));
}
[[gnu::alias("__open_2")]] int __open64_2(const char* path, int flags);
[[gnu::alias("__openat_2")]] int __openat64_2(int directory, const char* path, int flags);

// --- close(2), dup(2)

int close(int fd) {
  const auto call = [&] { return raw_call(SYS_close, fd); };
  if (!controlled() || fd < 0) return static_cast<int>(answer(call()));
  return closing_call(fd, __builtin_return_address(0), call);
}

int dup(int fd) noexcept {
  return make_descriptor(__builtin_return_address(0), [&] { return raw_call(SYS_dup, fd); });
}

int dup3(int fd, int as, int flags) noexcept {
  const auto call = [&] { return raw_call(SYS_dup3, fd, as, flags); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return closing_call(as, __builtin_return_address(0), call);
}

int dup2(int fd, int as) noexcept {
  // As dup3, but with itself it is an answer; and there are machines that have only dup3.
  const auto call = [&] {
    return fd == as ? (raw_call(SYS_fcntl, fd, F_GETFD) < 0 ? -EBADF : fd)
                    : raw_call(SYS_dup3, fd, as, 0);
  };
  if (!controlled()) return static_cast<int>(answer(call()));
  return closing_call(as, __builtin_return_address(0), call);
}

// --- fcntl(2), flock(2), ioctl(2)

int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(control_descriptor(fd, command, argument, pc)));
}
[[gnu::alias("fcntl")]] int fcntl64(int fd, int command, ...);

int flock(int fd, int operation) noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_flock, fd, operation)));
  const bool waits = (operation & LOCK_NB) == 0;
  const bool unlocks = (operation & ~LOCK_NB) == LOCK_UN;
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(restarting([&] {
    return make_call(lock_call(fd, unlocks), pc, [&] {
      const long result = raw_call(SYS_flock, fd, operation | LOCK_NB);
      return waits && result == -EWOULDBLOCK ? would_block : result;
    });
  })));
}

int lockf(int fd, int command, off_t bytes) {
  static const auto call = real<int (*)(int, int, off_t)>("lockf");
  if (!controlled() || command == F_TEST) return call(fd, command, bytes);
  struct flock lock{};
  lock.l_type = command == F_ULOCK ? F_UNLCK : F_WRLCK;
  lock.l_whence = SEEK_CUR;
  lock.l_len = bytes;
  const int how = command == F_LOCK ? F_SETLKW : F_SETLK;
  return static_cast<int>(answer(lock_range(fd, how, &lock, __builtin_return_address(0))));
}
[[gnu::alias("lockf")]] int lockf64(int fd, int command, off64_t bytes);

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  const auto call = [&] { return raw_call(SYS_ioctl, fd, static_cast<long>(request), argument); };
  if (!controlled()) return static_cast<int>(answer(call()));
  constexpr std::uint32_t any = effect_pipe | effect_socket | effect_file;
  const std::uint32_t effects = request == FIONREAD ? 0 : any;
  return make_int_call({.at = Point::read_call, .key = key_of(fd), .effects = effects},
                       __builtin_return_address(0), call);
}

// --- sockets

int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  const auto call = [&] { return raw_call(SYS_bind, fd, word(address), length); };
  if (!controlled()) return static_cast<int>(answer(call()));
  Call bind_call = socket_call(Point::connect, fd, Users::release);
  bind_call.effects |= effect_file;  // a Unix socket has a name there
  return make_int_call(bind_call, __builtin_return_address(0), call);
}

int listen(int fd, int backlog) noexcept {
  const auto call = [&] { return raw_call(SYS_listen, fd, backlog); };
  if (!controlled()) return static_cast<int>(answer(call()));
  const Call listen_call = socket_call(Point::connect, fd, Users::release);
  return make_int_call(listen_call, __builtin_return_address(0), call);
}

int connect(int fd, const sockaddr* address, socklen_t length) {
  if (!controlled()) {
    return static_cast<int>(answer(raw_call(SYS_connect, fd, word(address), length)));
  }
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(connect_socket(fd, address, length, pc)));
}

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (!controlled()) {
    return static_cast<int>(answer(raw_call(SYS_accept4, fd, word(address), word(length), flags)));
  }
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(accept_socket(fd, address, length, flags, pc)));
}

int accept(int fd, sockaddr* address, socklen_t* length) {
  if (!controlled()) {
    return static_cast<int>(answer(raw_call(SYS_accept4, fd, word(address), word(length), 0)));
  }
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(accept_socket(fd, address, length, 0, pc)));
}

int shutdown(int fd, int how) noexcept {
  const auto call = [&] { return raw_call(SYS_shutdown, fd, how); };
  if (!controlled()) return static_cast<int>(answer(call()));
  const Call shutdown_call = socket_call(Point::close, fd, Users::release);
  return make_int_call(shutdown_call, __builtin_return_address(0), call);
}

// --- what others cannot see yet

int pipe2(int ends[2], int flags) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_pipe2, word(ends), flags); });
}

int pipe(int ends[2]) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_pipe2, word(ends), 0); });
}

int socket(int domain, int type, int protocol) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_socket, domain, type, protocol); });
}

int socketpair(int domain, int type, int protocol, int ends[2]) noexcept {
  return make_descriptor(__builtin_return_address(0), [&] {
    return raw_call(SYS_socketpair, domain, type, protocol, word(ends));
  });
}

int eventfd(unsigned count, int flags) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_eventfd2, count, flags); });
}

int signalfd(int fd, const sigset_t* signals, int flags) noexcept {
  constexpr long kernel_set_bytes = 8;
  return make_descriptor(__builtin_return_address(0), [&] {
    return raw_call(SYS_signalfd4, fd, word(signals), kernel_set_bytes, flags);
  });
}

int inotify_init1(int flags) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_inotify_init1, flags); });
}

int inotify_init() noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_inotify_init1, 0); });
}

int epoll_create1(int flags) noexcept {
  return make_descriptor(__builtin_return_address(0),
                         [&] { return raw_call(SYS_epoll_create1, flags); });
}

// --- what they watch

// A point: what happened before is not seen.
int inotify_add_watch(int fd, const char* path, std::uint32_t events) noexcept {
  const auto call = [&] { return raw_call(SYS_inotify_add_watch, fd, word(path), events); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(
      {.at = Point::file, .key = key_of(fd), .effects = effect_file, .errors = errors_of::watch},
      __builtin_return_address(0), call);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  const auto call = [&] { return raw_call(SYS_epoll_ctl, epoll, operation, fd, word(event)); };
  if (!controlled()) return static_cast<int>(answer(call()));
  const bool adds = operation == EPOLL_CTL_ADD;
  if (operation != EPOLL_CTL_DEL) watch_timer(fd);
  return make_int_call({.at = Point::poll,
                        .key = key_of(epoll),
                        .effects = effect_pipe,
                        .errors = adds ? errors_of::watch : errors_of::none},
                       __builtin_return_address(0), call);
}

}  // extern "C"
