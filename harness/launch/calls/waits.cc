// Calls that wait, and may be interrupted while they do: poll(2), epoll_wait(2), message queues,
// semaphores, locks, futex(2).
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdarg>

#include "harness/launch/calls/taken_over.h"

#ifdef IPCTORTURE_CALLS_TAKEN_OVER

extern "C" [[noreturn]] void __chk_fail() noexcept;

namespace ipctorture::calls {

bool waits_taken_over() { return true; }

// --- readiness

TAKE_OVER(poll);
int poll(pollfd* fds, nfds_t count, int timeout) {
  return wait("poll", [=] { return timeout != 0; }, [=] { return next_poll(fds, count, timeout); });
}
extern "C" [[gnu::weak]] int __poll_chk(pollfd* fds, nfds_t count, int timeout, size_t room) {
  if (room / sizeof *fds < count) __chk_fail();
  return poll(fds, count, timeout);
}

TAKE_OVER(ppoll);
int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  return wait(
      "ppoll", [=] { return lasts(timeout); },
      [=] { return next_ppoll(fds, count, timeout, mask); });
}

TAKE_OVER(select);
int select(int count, fd_set* reads, fd_set* writes, fd_set* others, timeval* timeout) {
  const auto patient = [=] {
    return timeout == nullptr || timeout->tv_sec > 0 || timeout->tv_usec > 0;
  };
  return wait("select", patient,
              [=] { return next_select(count, reads, writes, others, timeout); });
}

TAKE_OVER(pselect);
int pselect(int count, fd_set* reads, fd_set* writes, fd_set* others, const timespec* timeout,
            const sigset_t* mask) {
  return wait(
      "pselect", [=] { return lasts(timeout); },
      [=] { return next_pselect(count, reads, writes, others, timeout, mask); });
}

TAKE_OVER(epoll_wait);
int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  return wait(
      "epoll_wait", [=] { return timeout != 0; },
      [=] { return next_epoll_wait(epoll, events, count, timeout); });
}

TAKE_OVER(epoll_pwait);
int epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* mask) {
  return wait(
      "epoll_pwait", [=] { return timeout != 0; },
      [=] { return next_epoll_pwait(epoll, events, count, timeout, mask); });
}

// --- message queues

TAKE_OVER(mq_send);
int mq_send(mqd_t queue, const char* from, size_t bytes, unsigned priority) {
  return wait(
      "mq_send", [=] { return waits(queue); },
      [=] { return next_mq_send(queue, from, bytes, priority); });
}

TAKE_OVER(mq_timedsend);
int mq_timedsend(mqd_t queue, const char* from, size_t bytes, unsigned priority,
                 const timespec* until) {
  return wait(
      "mq_timedsend", [=] { return waits(queue) && ahead(until, CLOCK_REALTIME); },
      [=] { return next_mq_timedsend(queue, from, bytes, priority, until); });
}

TAKE_OVER(mq_receive);
ssize_t mq_receive(mqd_t queue, char* to, size_t bytes, unsigned* priority) {
  return wait(
      "mq_receive", [=] { return waits(queue); },
      [=] { return next_mq_receive(queue, to, bytes, priority); });
}

TAKE_OVER(mq_timedreceive);
ssize_t mq_timedreceive(mqd_t queue, char* to, size_t bytes, unsigned* priority,
                        const timespec* until) {
  return wait(
      "mq_timedreceive", [=] { return waits(queue) && ahead(until, CLOCK_REALTIME); },
      [=] { return next_mq_timedreceive(queue, to, bytes, priority, until); });
}

// --- System V

TAKE_OVER(msgsnd);
int msgsnd(int queue, const void* message, size_t bytes, int flags) {
  const auto may = [=] {
    return FailingCalls::May{errors_of::system_v_message, (flags & IPC_NOWAIT) == 0};
  };
  return ask("msgsnd", may, [=] { return next_msgsnd(queue, message, bytes, flags); });
}

TAKE_OVER(msgrcv);
ssize_t msgrcv(int queue, void* message, size_t bytes, long type, int flags) {
  return wait(
      "msgrcv", [=] { return (flags & IPC_NOWAIT) == 0; },
      [=] { return next_msgrcv(queue, message, bytes, type, flags); });
}

namespace {
bool all_wait(const sembuf* operations, std::size_t count) {
  return std::none_of(operations, operations + count,
                      [](const sembuf& one) { return (one.sem_flg & IPC_NOWAIT) != 0; });
}
}  // namespace

TAKE_OVER(semop);
int semop(int set, sembuf* operations, size_t count) noexcept {
  return wait(
      "semop", [=] { return all_wait(operations, count); },
      [=] { return next_semop(set, operations, count); });
}

TAKE_OVER(semtimedop);
int semtimedop(int set, sembuf* operations, size_t count, const timespec* timeout) noexcept {
  return wait(
      "semtimedop", [=] { return all_wait(operations, count) && lasts(timeout); },
      [=] { return next_semtimedop(set, operations, count, timeout); });
}

// --- semaphores, signals, locks

TAKE_OVER(sem_wait);
int sem_wait(sem_t* semaphore) {
  return wait("sem_wait", [] { return true; }, [=] { return next_sem_wait(semaphore); });
}

TAKE_OVER(sem_timedwait);
int sem_timedwait(sem_t* semaphore, const timespec* until) {
  return wait(
      "sem_timedwait", [=] { return ahead(until, CLOCK_REALTIME); },
      [=] { return next_sem_timedwait(semaphore, until); });
}

TAKE_OVER(sem_clockwait);
int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* until) {
  return wait(
      "sem_clockwait", [=] { return ahead(until, clock); },
      [=] { return next_sem_clockwait(semaphore, clock, until); });
}

TAKE_OVER(sigwaitinfo);
int sigwaitinfo(const sigset_t* signals, siginfo_t* info) {
  return wait("sigwaitinfo", [] { return true; }, [=] { return next_sigwaitinfo(signals, info); });
}

TAKE_OVER(sigtimedwait);
int sigtimedwait(const sigset_t* signals, siginfo_t* info, const timespec* timeout) {
  return wait(
      "sigtimedwait", [=] { return lasts(timeout); },
      [=] { return next_sigtimedwait(signals, info, timeout); });
}

TAKE_OVER(flock);
int flock(int fd, int operation) noexcept {
  const auto patient = [=] { return (operation & (LOCK_NB | LOCK_UN)) == 0; };
  return wait("flock", patient, [=] { return next_flock(fd, operation); });
}

TAKE_OVER(fcntl);
int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  const auto call = [=] { return next_fcntl(fd, command, argument); };
  switch (command) {
    case F_SETLKW:
    case F_OFD_SETLKW:
      return wait(
          "fcntl", [=] { return static_cast<flock64*>(argument)->l_type != F_UNLCK; }, call);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return make("fcntl", errors_of::open, call);
    default:
      return call();
  }
}
extern "C" [[gnu::weak, gnu::alias("fcntl")]] int fcntl64(int, int, ...);

// --- futex(2), which has no other name

namespace {
bool futex_waits(int operation, const timespec* timeout) {
  const bool realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
      return lasts(timeout);
    case FUTEX_WAIT_BITSET:
      return ahead(timeout, realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    default:
      return false;
  }
}
}  // namespace

TAKE_OVER(syscall);
long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long a[6];
  for (long& argument : a) argument = va_arg(arguments, long);
  va_end(arguments);
  const auto call = [=] { return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number != SYS_futex) return call();
  return wait(
      "futex",
      [=] { return futex_waits(static_cast<int>(a[1]), reinterpret_cast<const timespec*>(a[3])); },
      call);
}

}  // namespace ipctorture::calls

#endif
