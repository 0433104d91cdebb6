#include "harness/base/robust_mutex.h"

#include <algorithm>
#include <cerrno>

#include "harness/base/descriptor.h"

namespace ipctorture {

void create_robust_mutex(pthread_mutex_t& mutex, std::string_view object) {
  pthread_mutexattr_t attributes;
  int error = ::pthread_mutexattr_init(&attributes);
  if (error != 0) throw_system_error("pthread_mutexattr_init", object, error);
  error = ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (error == 0) error = ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (error == 0) error = ::pthread_mutex_init(&mutex, &attributes);
  ::pthread_mutexattr_destroy(&attributes);
  if (error != 0) throw_system_error("pthread_mutex_init", object, error);
}

int lock_robust(pthread_mutex_t& mutex, Deadline deadline) {
  int error = ::pthread_mutex_trylock(&mutex);
  if (error != EBUSY || deadline.is_now()) return error;
  for (;;) {
    Instant until = monotonic_now() + robust_lock_slice_ns;
    if (deadline.is_timed()) until = std::min(until, deadline.instant());
    const timespec when = to_timespec(until);
    error = ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &when);
    if (error != ETIMEDOUT || deadline.passed()) return error;
  }
}

}  // namespace ipctorture
