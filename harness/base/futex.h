// futex(2) between processes: sleep until a shared word changes. No FUTEX_PRIVATE_FLAG anywhere: a
// private futex never wakes another process.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "harness/base/clock.h"

namespace ipctorture {

// Sleeps while `word` is `expected`, until woken, a signal, or the deadline. May return early for
// no reason: callers look at the word again. Returns 0 or the errno (EAGAIN, EINTR, ETIMEDOUT).
inline int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline) {
  const timespec until = deadline.is_never() ? timespec{} : deadline.monotonic_timespec();
  const long result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected,
                deadline.is_never() ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  return result == 0 ? 0 : errno;
}

inline void futex_wake(std::atomic<std::uint32_t>& word, int waiters = INT_MAX) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, waiters, nullptr, nullptr, 0);
}

}  // namespace ipctorture
