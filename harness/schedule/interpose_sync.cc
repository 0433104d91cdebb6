// Locks of the thread library: mutexes, condition variables, semaphores, reader-writer locks,
// spin locks.
//
// A mutex and a semaphore are the library's own, tried without waiting: so a robust mutex notices
// the death of its owner as ever. Waiting is the scheduler's. A condition variable is the
// scheduler's alone; the library's state of it is never touched. What was not initialised with
// PTHREAD_PROCESS_SHARED wakes only waiters of its own process, even in shared memory.
//
// Where it stops: lanes that are fibers share one thread id, so transports that share an address
// space must not use error-checking or recursive mutexes: every lane would be the owner. A barrier
// ends the schedule. A semaphore or reader-writer lock outside the arena orders all users of such.
// Priority inheritance has no effect.
#include <pthread.h>
#include <semaphore.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>

#include "harness/schedule/interpose_calls.h"

namespace ipctorture::schedule {
namespace {

// --- who can wake whom: the key to wait for. Bits of the library's state (glibc since 2.25).

std::uint64_t waiting_key(const void* object, bool is_shared) {
  return is_shared || !in_arena(object) ? key_of_object(object) : futex_key(object, true);
}

std::uint64_t waiting_key(const pthread_mutex_t* mutex) {
  constexpr int shared = 128, robust = 16;  // a robust one always sleeps on shared futexes
  return waiting_key(mutex, (mutex->__data.__kind & (shared | robust)) != 0);
}

std::uint64_t waiting_key(const pthread_cond_t* condition) {
  constexpr unsigned shared = 1;
  return waiting_key(condition, (condition->__data.__wrefs & shared) != 0);
}

std::uint64_t waiting_key(const sem_t* semaphore) {
  unsigned words[3];  // the value, who waits, and FUTEX_PRIVATE_FLAG: it is shared
  std::memcpy(words, semaphore, sizeof words);
  return waiting_key(semaphore, words[2] != 0);
}

// --- mutexes

using MutexCall = int (*)(pthread_mutex_t*);

// What a lane did before it died happened before its lock is recovered.
void acquire_from_the_dead() {
  if (!control->detect_races) return;
  MemoryModel& memory = control->memory;
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (control->lane[lane].waiting != Waiting::dead) continue;
    memory.now[current_lane].join(memory.now[lane]);
    memory.visible[current_lane].join(memory.now[lane]);
  }
}

int try_mutex(pthread_mutex_t* mutex, std::uint64_t key) {
  static const auto call = real<MutexCall>("pthread_mutex_trylock");
  const int error = call(mutex);
  if (error == EOWNERDEAD) acquire_from_the_dead();
  if (error == 0 || error == EOWNERDEAD) acquire_object(sync_tag | key);
  if (error != EBUSY) note_value(static_cast<std::uint64_t>(error));
  return error;
}

// Nobody else has this lane's thread id.
bool is_alone_in_process() {
  const Control& c = *control;
  const auto in_same = [&](const LaneControl& lane) {
    return lane.process == c.lane[current_lane].process;
  };
  return std::count_if(c.lane, c.lane + c.lanes, in_same) == 1;
}

// Is it an error-checking mutex that the caller has already?
bool is_own(const pthread_mutex_t* mutex) {
  constexpr int type_bits = 3;
  return (mutex->__data.__kind & type_bits) == PTHREAD_MUTEX_ERRORCHECK &&
         mutex->__data.__owner == raw_call(SYS_gettid) && is_alone_in_process();
}

int lock_mutex(pthread_mutex_t* mutex, std::int64_t deadline, const void* pc) {
  const std::uint64_t key = key_of_object(mutex);
  point(Point::mutex_lock, key, pc);
  for (;;) {
    const int error = try_mutex(mutex, key);
    if (error != EBUSY) return error;
    if (is_own(mutex)) return EDEADLK;
    if (deadline != 0 && deadline <= control->time) return ETIMEDOUT;
    if (!wait_for_key(Point::mutex_lock, waiting_key(mutex), deadline, pc)) return ETIMEDOUT;
  }
}

// Without a point.
int unlock_mutex(pthread_mutex_t* mutex, const void* pc) {
  static const auto call = real<MutexCall>("pthread_mutex_unlock");
  const std::uint64_t key = key_of_object(mutex);
  const int error = call(mutex);
  note_value(static_cast<std::uint64_t>(error));
  if (error != 0) return error;
  release_object(sync_tag | key);
  wake(waiting_key(mutex), 1, pc);
  return 0;
}

// --- condition variables

// Between giving the mutex away and waiting there is no point: so no signal is lost.
int wait_condition(pthread_cond_t* condition, pthread_mutex_t* mutex, std::int64_t deadline,
                   const void* pc) {
  const std::uint64_t key = waiting_key(condition);
  point(Point::condition_wait, key, pc);
  if (const int error = unlock_mutex(mutex, pc); error != 0) return error;
  bool in_time = true;
  if (deadline != 0 && deadline <= control->time) {
    in_time = false;
  } else if (ask(Question::spurious, 2, pc) == 0) {
    in_time = wait_for_key(Point::condition_wait, key, deadline, pc);
  }
  const int error = lock_mutex(mutex, 0, pc);
  if (error != 0) return error;
  return in_time ? 0 : ETIMEDOUT;
}

int signal_condition(pthread_cond_t* condition, unsigned most, const void* pc) {
  const std::uint64_t key = waiting_key(condition);
  point(Point::condition_signal, key, pc);
  note_value(wake(key, most, pc));
  return 0;
}

// Which clock the condition was made for: a bit of the library's state (glibc since 2.25).
clockid_t clock_of(const pthread_cond_t* condition) {
  constexpr unsigned monotonic = 2;
  return (condition->__data.__wrefs & monotonic) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

// --- semaphores

using SemaphoreCall = int (*)(sem_t*);

// A named one is mapped by the library itself, at another address in each process.
Call semaphore_call(const sem_t* semaphore, Point at) {
  const bool known = in_arena(semaphore);
  return {.at = at,
          .key = known ? waiting_key(semaphore) : 0,
          .waits_for = effect_mutex,
          .effects = known ? 0u : effect_mutex,
          .users = at == Point::semaphore_post ? Users::release : Users::acquire,
          .object = sync_tag | (known ? key_of_object(semaphore) : all_names),
          .by_key = known};
}

long try_semaphore(sem_t* semaphore, bool waits) {
  static const auto call = real<SemaphoreCall>("sem_trywait");
  const long result = as_result(call(semaphore));
  if (result == 0 && !in_arena(semaphore)) note_kernel_call();
  return waits && result == -EAGAIN ? would_block : result;
}

int wait_semaphore(sem_t* semaphore, std::int64_t deadline, const void* pc) {
  Call call = semaphore_call(semaphore, Point::semaphore_wait);
  call.effects = 0;  // nobody waits until it is taken
  call.deadline = deadline;
  return make_int_call(call, pc, [&] { return try_semaphore(semaphore, true); });
}

// --- reader-writer locks

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

// --- spin locks

using SpinCall = int (*)(pthread_spinlock_t*);

std::uint64_t key_of_spin(pthread_spinlock_t* lock) {
  return key_of_object(const_cast<int*>(lock));
}

int try_spin(pthread_spinlock_t* lock, std::uint64_t key) {
  static const auto call = real<SpinCall>("pthread_spin_trylock");
  const int error = call(lock);
  if (error == 0) acquire_object(sync_tag | key);
  note_value(static_cast<std::uint64_t>(error));
  return error;
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- mutexes

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  static const auto call = real<MutexCall>("pthread_mutex_lock");
  if (!controlled()) return call(mutex);
  return lock_mutex(mutex, 0, __builtin_return_address(0));
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  static const auto call = real<MutexCall>("pthread_mutex_trylock");
  if (!controlled()) return call(mutex);
  const std::uint64_t key = key_of_object(mutex);
  point(Point::mutex_lock, key, __builtin_return_address(0));
  return try_mutex(mutex, key);
}

int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_mutex_t*, const timespec*)>(__func__);
  if (!controlled()) return call(mutex, until);
  return lock_mutex(mutex, deadline_at(until, CLOCK_REALTIME), __builtin_return_address(0));
}

int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                            const timespec* until) noexcept {
  static const auto call = real<int (*)(pthread_mutex_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(mutex, clock, until);
  return lock_mutex(mutex, deadline_at(until, clock), __builtin_return_address(0));
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  static const auto call = real<MutexCall>("pthread_mutex_unlock");
  if (!controlled()) return call(mutex);
  const void* pc = __builtin_return_address(0);
  point(Point::mutex_unlock, key_of_object(mutex), pc);
  return unlock_mutex(mutex, pc);
}

// --- condition variables

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  static const auto call = real<int (*)(pthread_cond_t*, pthread_mutex_t*)>(__func__);
  if (!controlled()) return call(condition, mutex);
  return wait_condition(condition, mutex, 0, __builtin_return_address(0));
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  static const auto call =
      real<int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*)>(__func__);
  if (!controlled()) return call(condition, mutex, until);
  const std::int64_t deadline = deadline_at(until, clock_of(condition));
  return wait_condition(condition, mutex, deadline, __builtin_return_address(0));
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  static const auto call =
      real<int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(condition, mutex, clock, until);
  const std::int64_t deadline = deadline_at(until, clock);
  return wait_condition(condition, mutex, deadline, __builtin_return_address(0));
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  static const auto call = real<int (*)(pthread_cond_t*)>(__func__);
  if (!controlled()) return call(condition);
  return signal_condition(condition, 1, __builtin_return_address(0));
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  static const auto call = real<int (*)(pthread_cond_t*)>(__func__);
  if (!controlled()) return call(condition);
  return signal_condition(condition, lanes_max, __builtin_return_address(0));
}

// --- semaphores

int sem_wait(sem_t* semaphore) {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  return wait_semaphore(semaphore, 0, __builtin_return_address(0));
}

int sem_timedwait(sem_t* semaphore, const timespec* until) {
  static const auto call = real<int (*)(sem_t*, const timespec*)>(__func__);
  if (!controlled()) return call(semaphore, until);
  const std::int64_t deadline = deadline_at(until, CLOCK_REALTIME);
  return wait_semaphore(semaphore, deadline, __builtin_return_address(0));
}

int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* until) {
  static const auto call = real<int (*)(sem_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(semaphore, clock, until);
  return wait_semaphore(semaphore, deadline_at(until, clock), __builtin_return_address(0));
}

int sem_trywait(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  Call once = semaphore_call(semaphore, Point::semaphore_wait);
  once.effects = 0;
  return make_int_call(once, __builtin_return_address(0),
                       [&] { return try_semaphore(semaphore, false); });
}

int sem_post(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  const void* pc = __builtin_return_address(0);
  const Call post = semaphore_call(semaphore, Point::semaphore_post);
  const int result = make_int_call(post, pc, [&] { return as_result(call(semaphore)); });
  if (result == 0 && post.by_key) wake(post.key, 1, pc);
  return result;
}

// --- reader-writer locks

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

// --- spin locks: whoever would spin waits

int pthread_spin_lock(pthread_spinlock_t* lock) noexcept {
  static const auto call = real<SpinCall>(__func__);
  if (!controlled()) return call(lock);
  const void* pc = __builtin_return_address(0);
  const std::uint64_t key = key_of_spin(lock);
  point(Point::mutex_lock, key, pc);
  for (;;) {
    if (const int error = try_spin(lock, key); error != EBUSY) return error;
    wait_for_key(Point::mutex_lock, key, 0, pc);
  }
}

int pthread_spin_trylock(pthread_spinlock_t* lock) noexcept {
  static const auto call = real<SpinCall>(__func__);
  if (!controlled()) return call(lock);
  const std::uint64_t key = key_of_spin(lock);
  point(Point::mutex_lock, key, __builtin_return_address(0));
  return try_spin(lock, key);
}

int pthread_spin_unlock(pthread_spinlock_t* lock) noexcept {
  static const auto call = real<SpinCall>(__func__);
  if (!controlled()) return call(lock);
  const void* pc = __builtin_return_address(0);
  const std::uint64_t key = key_of_spin(lock);
  point(Point::mutex_unlock, key, pc);
  release_object(sync_tag | key);
  const int error = call(lock);
  wake(key, 1, pc);
  return error;
}

// --- barriers

int pthread_barrier_wait(pthread_barrier_t* barrier) noexcept {
  static const auto call = real<int (*)(pthread_barrier_t*)>(__func__);
  if (controlled()) blocks_uncontrolled(__func__);
  return call(barrier);
}

// --- named semaphores

sem_t* sem_open(const char* name, int flags, ...) noexcept {
  static const auto call = real<sem_t* (*)(const char*, int, ...)>(__func__);
  va_list arguments;
  va_start(arguments, flags);
  const bool makes = (flags & O_CREAT) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  const unsigned value = makes ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  if (!controlled()) return call(name, flags, mode, value);
  point(Point::open, 0, __builtin_return_address(0));
  sem_t* semaphore = call(name, flags, mode, value);
  succeeded({.effects = effect_file, .users = Users::both, .object = all_names});
  return semaphore;
}

int sem_close(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (controlled()) note_kernel_call();
  return call(semaphore);
}

int sem_unlink(const char* name) noexcept {
  static const auto call = real<int (*)(const char*)>(__func__);
  if (!controlled()) return call(name);
  const Call unlink{
      .at = Point::file, .effects = effect_file, .users = Users::both, .object = all_names};
  return make_int_call(unlink, __builtin_return_address(0), [&] { return as_result(call(name)); });
}

}  // extern "C"
