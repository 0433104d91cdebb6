// Descriptors and other objects: open(2), socket(2), mmap(2), mq_open(3), fork(2) and their like,
// which fail where there is no room for one more.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <cstdarg>
#include <cstdio>

#include "harness/launch/calls/taken_over.h"

#ifdef IPCTORTURE_CALLS_TAKEN_OVER

namespace ipctorture::calls {

std::atomic<bool> edges_matter{false};

bool objects_taken_over() { return true; }

// --- files

namespace {

bool may_make(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

FailingCalls::May may_open(int directory, const char* path, int flags) {
  struct stat status{};
  // Opening a FIFO waits for its other end.
  const bool patient = (flags & O_NONBLOCK) == 0 && ::fstatat(directory, path, &status, 0) == 0 &&
                       S_ISFIFO(status.st_mode);
  return {.fail = may_make(flags) ? errors_of::open_or_create : errors_of::open,
          .be_interrupted = patient};
}

}  // namespace

TAKE_OVER(open);
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = may_make(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return ask(
      "open", [=] { return may_open(AT_FDCWD, path, flags); },
      [=] { return next_open(path, flags, mode); });
}
extern "C" [[gnu::weak, gnu::alias("open")]] int open64(const char*, int, ...);

TAKE_OVER(openat);
int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = may_make(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return ask(
      "openat", [=] { return may_open(directory, path, flags); },
      [=] { return next_openat(directory, path, flags, mode); });
}
extern "C" [[gnu::weak, gnu::alias("openat")]] int openat64(int, const char*, int, ...);

TAKE_OVER(creat);
int creat(const char* path, mode_t mode) {
  return make("creat", errors_of::open_or_create, [=] { return next_creat(path, mode); });
}
extern "C" [[gnu::weak, gnu::alias("creat")]] int creat64(const char*, mode_t);

TAKE_OVER(fallocate);
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  return make("fallocate", errors_of::room,
              [=] { return next_fallocate(fd, mode, offset, bytes); });
}
extern "C" [[gnu::weak, gnu::alias("fallocate")]] int fallocate64(int, int, off64_t, off64_t);

// Answers with an errno.
TAKE_OVER(posix_fallocate);
int posix_fallocate(int fd, off_t offset, off_t bytes) {
  const int before = errno;
  const int result = make("posix_fallocate", errors_of::room,
                          [=] { return next_posix_fallocate(fd, offset, bytes); });
  return result == -1 ? std::exchange(errno, before) : result;
}
extern "C" [[gnu::weak, gnu::alias("posix_fallocate")]] int posix_fallocate64(int, off64_t,
                                                                              off64_t);

TAKE_OVER(fsync);
int fsync(int fd) {
  return make("fsync", errors_of::room, [=] { return next_fsync(fd); });
}

TAKE_OVER(fdatasync);
int fdatasync(int fd) {
  return make("fdatasync", errors_of::room, [=] { return next_fdatasync(fd); });
}

TAKE_OVER(rename);
int rename(const char* from, const char* to) noexcept {
  return make("rename", errors_of::room, [=] { return next_rename(from, to); });
}

TAKE_OVER(renameat);
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return make("renameat", errors_of::room,
              [=] { return next_renameat(from_directory, from, to_directory, to); });
}

TAKE_OVER(link);
int link(const char* from, const char* to) noexcept {
  return make("link", errors_of::room, [=] { return next_link(from, to); });
}

TAKE_OVER(linkat);
int linkat(int from_directory, const char* from, int to_directory, const char* to,
           int flags) noexcept {
  return make("linkat", errors_of::room,
              [=] { return next_linkat(from_directory, from, to_directory, to, flags); });
}

TAKE_OVER(symlink);
int symlink(const char* target, const char* path) noexcept {
  return make("symlink", errors_of::room, [=] { return next_symlink(target, path); });
}

TAKE_OVER(mkdir);
int mkdir(const char* path, mode_t mode) noexcept {
  return make("mkdir", errors_of::room, [=] { return next_mkdir(path, mode); });
}

TAKE_OVER(mkfifo);
int mkfifo(const char* path, mode_t mode) noexcept {
  return make("mkfifo", errors_of::room, [=] { return next_mkfifo(path, mode); });
}

// --- descriptors

TAKE_OVER(dup);
int dup(int fd) noexcept {
  return make("dup", errors_of::open, [=] { return next_dup(fd); });
}

TAKE_OVER(pipe);
int pipe(int* ends) noexcept {
  return make("pipe", errors_of::new_descriptor, [=] { return next_pipe(ends); });
}

TAKE_OVER(pipe2);
int pipe2(int* ends, int flags) noexcept {
  return make("pipe2", errors_of::new_descriptor, [=] { return next_pipe2(ends, flags); });
}

TAKE_OVER(socket);
int socket(int domain, int type, int protocol) noexcept {
  return make("socket", errors_of::new_descriptor,
              [=] { return next_socket(domain, type, protocol); });
}

TAKE_OVER(socketpair);
int socketpair(int domain, int type, int protocol, int* ends) noexcept {
  return make("socketpair", errors_of::new_descriptor,
              [=] { return next_socketpair(domain, type, protocol, ends); });
}

TAKE_OVER(accept4);
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  return ask(
      "accept4", [=] { return FailingCalls::May{errors_of::open, waits(fd)}; },
      [=] { return next_accept4(fd, address, length, flags); });
}

TAKE_OVER(accept);
int accept(int fd, sockaddr* address, socklen_t* length) {
  return ask(
      "accept", [=] { return FailingCalls::May{errors_of::open, waits(fd)}; },
      [=] { return next_accept(fd, address, length); });
}

TAKE_OVER(eventfd);
int eventfd(unsigned count, int flags) noexcept {
  return make("eventfd", errors_of::new_descriptor, [=] { return next_eventfd(count, flags); });
}

TAKE_OVER(timerfd_create);
int timerfd_create(clockid_t clock, int flags) noexcept {
  return make("timerfd_create", errors_of::new_descriptor,
              [=] { return next_timerfd_create(clock, flags); });
}

TAKE_OVER(signalfd);
int signalfd(int fd, const sigset_t* signals, int flags) noexcept {
  return make("signalfd", fd < 0 ? errors_of::new_descriptor : errors_of::none,
              [=] { return next_signalfd(fd, signals, flags); });
}

TAKE_OVER(inotify_init1);
int inotify_init1(int flags) noexcept {
  return make("inotify_init1", errors_of::new_descriptor,
              [=] { return next_inotify_init1(flags); });
}

TAKE_OVER(inotify_add_watch);
int inotify_add_watch(int fd, const char* path, std::uint32_t events) noexcept {
  return make("inotify_add_watch", errors_of::watch,
              [=] { return next_inotify_add_watch(fd, path, events); });
}

TAKE_OVER(epoll_create1);
int epoll_create1(int flags) noexcept {
  return make("epoll_create1", errors_of::new_descriptor,
              [=] { return next_epoll_create1(flags); });
}

TAKE_OVER(epoll_ctl);
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (event != nullptr && (event->events & EPOLLET) != 0) {
    edges_matter.store(true, std::memory_order_relaxed);
  }
  return make("epoll_ctl", operation == EPOLL_CTL_ADD ? errors_of::watch : errors_of::none,
              [=] { return next_epoll_ctl(epoll, operation, fd, event); });
}

// --- memory

TAKE_OVER(memfd_create);
int memfd_create(const char* name, unsigned flags) noexcept {
  return make("memfd_create", errors_of::new_descriptor,
              [=] { return next_memfd_create(name, flags); });
}

TAKE_OVER(shm_open);
int shm_open(const char* name, int flags, mode_t mode) {
  return make("shm_open", errors_of::open, [=] { return next_shm_open(name, flags, mode); });
}

TAKE_OVER(mmap);
void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  const bool shared = (flags & MAP_TYPE) != MAP_PRIVATE && (flags & MAP_FIXED) == 0;
  if (inside != nullptr && shared) [[unlikely]] {
    const auto may = [] { return FailingCalls::May{.fail = errors_of::map}; };
    if (const int error = inside->refuse("mmap", may); error != 0) {
      errno = error;
      return MAP_FAILED;
    }
  }
  return next_mmap(address, bytes, protection, flags, fd, offset);
}
extern "C" [[gnu::weak, gnu::alias("mmap")]] void* mmap64(void*, size_t, int, int, int,
                                                          off64_t) noexcept;

TAKE_OVER(shmat);
void* shmat(int id, const void* address, int flags) noexcept {
  if (inside != nullptr) [[unlikely]] {
    const auto may = [] { return FailingCalls::May{.fail = errors_of::map}; };
    if (const int error = inside->refuse("shmat", may); error != 0) {
      errno = error;
      return reinterpret_cast<void*>(-1);
    }
  }
  return next_shmat(id, address, flags);
}

// --- queues and System V

TAKE_OVER(mq_open);
mqd_t mq_open(const char* name, int flags, ...) noexcept {
  va_list arguments;
  va_start(arguments, flags);
  const bool makes = (flags & O_CREAT) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  mq_attr* attributes = makes ? va_arg(arguments, mq_attr*) : nullptr;
  va_end(arguments);
  return make("mq_open", makes ? errors_of::open_or_create : errors_of::open,
              [=] { return next_mq_open(name, flags, mode, attributes); });
}

namespace {
PossibleErrors to_get(int flags) {
  return (flags & IPC_CREAT) != 0 ? errors_of::room : errors_of::none;
}
}  // namespace

TAKE_OVER(msgget);
int msgget(key_t key, int flags) noexcept {
  return make("msgget", to_get(flags), [=] { return next_msgget(key, flags); });
}

TAKE_OVER(semget);
int semget(key_t key, int count, int flags) noexcept {
  return make("semget", to_get(flags), [=] { return next_semget(key, count, flags); });
}

TAKE_OVER(shmget);
int shmget(key_t key, size_t bytes, int flags) noexcept {
  return make("shmget", to_get(flags), [=] { return next_shmget(key, bytes, flags); });
}

// --- signals, threads, processes

TAKE_OVER(sigqueue);
int sigqueue(pid_t process, int signal, const union sigval value) noexcept {
  return make("sigqueue", errors_of::queue_signal,
              [=] { return next_sigqueue(process, signal, value); });
}

TAKE_OVER(pthread_create);
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  const int before = errno;
  const int result = make("pthread_create", errors_of::thread,
                          [=] { return next_pthread_create(thread, attributes, start, argument); });
  return result == -1 ? std::exchange(errno, before) : result;
}

TAKE_OVER(fork);
pid_t fork() noexcept {
  return make("fork", errors_of::process, [=] { return next_fork(); });
}

}  // namespace ipctorture::calls

#endif
