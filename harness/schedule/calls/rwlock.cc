// Reader-writer locks: the library's own, tried without waiting.
//
// Where it stops: one outside the arena orders all users of such.
#include <pthread.h>

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {
namespace {

using LockCall = int (*)(pthread_rwlock_t*);

// It waits for effects, which know no processes: a private one that others may use is not followed.
void check_lock(const pthread_rwlock_t* lock) {
  if (!in_arena(lock) || lock->__data.__shared != 0 || control->processes == 1) return;
  end_schedule(Ending::misuse, "a process-private rwlock in shared memory");
}

// A call that answers with its errno.
int lock_shared_or_not(LockCall attempt, pthread_rwlock_t* lock, std::int64_t deadline,
                       const void* pc) {
  check_lock(lock);
  const std::uint64_t key = key_of_object(lock);
  const Call call{.at = Point::rwlock,
                  .key = key,
                  .waits_for = effect_mutex,
                  .users = Users::acquire,
                  .object = sync_tag | key,
                  .deadline = deadline,
                  .may_interrupt = false};
  return static_cast<int>(-make_call(call, pc, [&]() -> long {
    const int error = attempt(lock);
    return error == EBUSY ? would_block : -error;
  }));
}

LockCall try_to_read() {
  static const auto call = real<LockCall>("pthread_rwlock_tryrdlock");
  return call;
}
LockCall try_to_write() {
  static const auto call = real<LockCall>("pthread_rwlock_trywrlock");
  return call;
}

// Without waiting.
int touch_lock(LockCall call, pthread_rwlock_t* lock, Users users, const void* pc) {
  check_lock(lock);
  const std::uint64_t key = key_of_object(lock);
  point(Point::rwlock, key, pc);
  const int error = call(lock);
  note_value(static_cast<std::uint64_t>(error));
  if (error != 0) return error;
  order_users(users, sync_tag | key);
  if (users == Users::release) effect(effect_mutex);
  return 0;
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  static const auto call = real<LockCall>(__func__);
  if (!controlled()) return call(lock);
  return lock_shared_or_not(try_to_read(), lock, 0, __builtin_return_address(0));
}

int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  static const auto call = real<LockCall>(__func__);
  if (!controlled()) return call(lock);
  return lock_shared_or_not(try_to_write(), lock, 0, __builtin_return_address(0));
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_rwlock_t*, const timespec*)>(__func__);
  if (!controlled()) return call(lock, until);
  const std::int64_t deadline = deadline_at(until, CLOCK_REALTIME);
  return lock_shared_or_not(try_to_read(), lock, deadline, __builtin_return_address(0));
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_rwlock_t*, const timespec*)>(__func__);
  if (!controlled()) return call(lock, until);
  const std::int64_t deadline = deadline_at(until, CLOCK_REALTIME);
  return lock_shared_or_not(try_to_write(), lock, deadline, __builtin_return_address(0));
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock,
                               const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_rwlock_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(lock, clock, until);
  const std::int64_t deadline = deadline_at(until, clock);
  return lock_shared_or_not(try_to_read(), lock, deadline, __builtin_return_address(0));
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock,
                               const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_rwlock_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(lock, clock, until);
  const std::int64_t deadline = deadline_at(until, clock);
  return lock_shared_or_not(try_to_write(), lock, deadline, __builtin_return_address(0));
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) noexcept {
  if (!controlled()) return try_to_read()(lock);
  return touch_lock(try_to_read(), lock, Users::acquire, __builtin_return_address(0));
}

int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) noexcept {
  if (!controlled()) return try_to_write()(lock);
  return touch_lock(try_to_write(), lock, Users::acquire, __builtin_return_address(0));
}

int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
  static const auto call = real<LockCall>(__func__);
  if (!controlled()) return call(lock);
  return touch_lock(call, lock, Users::release, __builtin_return_address(0));
}

}  // extern "C"
