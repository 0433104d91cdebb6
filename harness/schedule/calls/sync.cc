// Locks of the thread library: mutexes, condition variables, spin locks, barriers.
//
// A mutex is the library's own, tried without waiting: so a robust mutex notices the death of its
// owner as ever. Waiting is the scheduler's. The lanes of one process are one thread to the
// library: which of them has a mutex whose kind asks for that is in Control::held. A condition
// variable is the scheduler's alone; the library's state of it is never touched. A barrier counts
// in the library's fields, but never waits there, nor in pthread_barrier_destroy.
//
// Where it stops: priority inheritance has no effect. A thread that ends, while its process goes
// on, does not give its robust mutexes back.
#include <pthread.h>

#include <algorithm>
#include <cstring>

#include "harness/schedule/calls/locks.h"

namespace ipctorture::schedule {
namespace {

// --- who can wake whom: the key to wait for. Bits of the library's state (glibc since 2.25).

std::uint64_t waiting_key(const pthread_mutex_t* mutex) {
  constexpr int shared = 128, robust = 16;  // a robust one always sleeps on shared futexes
  return key_to_wait_for(mutex, (mutex->__data.__kind & (shared | robust)) != 0);
}

std::uint64_t waiting_key(const pthread_cond_t* condition) {
  constexpr unsigned shared = 1;
  return key_to_wait_for(condition, (condition->__data.__wrefs & shared) != 0);
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

// Who has a recursive, error-checking or robust mutex, of the lanes that share the caller's kernel
// thread; null: none of them, as far as is known.
bool knows_owner(const pthread_mutex_t* mutex) {
  constexpr int type = 3, robust = 16;
  const int kind = mutex->__data.__kind;
  return (kind & robust) != 0 || (kind & type) == PTHREAD_MUTEX_RECURSIVE ||
         (kind & type) == PTHREAD_MUTEX_ERRORCHECK;
}

HeldMutex* held_by(const pthread_mutex_t* mutex, std::uint64_t key) {
  Control& c = *control;
  HeldMutex* const end = c.held + c.held_count;
  HeldMutex* const found =
      std::find_if(c.held, end, [&](const HeldMutex& held) { return held.key == key; });
  if (found == end) return nullptr;
  if (mutex->__data.__lock != 0) return found;
  *found = c.held[--c.held_count];  // it was made anew
  return nullptr;
}

bool is_mine(const HeldMutex& held) { return held.lane == static_cast<unsigned>(current_lane); }

// Another lane of this process has it.
bool is_of_another(const HeldMutex& held) {
  const Control& c = *control;
  return !is_mine(held) && c.lane[held.lane].process == c.lane[current_lane].process;
}

// `held`: what was known of it.
void note_held(HeldMutex* held, std::uint64_t key) {
  Control& c = *control;
  if (held != nullptr) {
    held->lane = static_cast<std::uint32_t>(current_lane);
    return;
  }
  if (c.held_count == held_max) {
    end_schedule(Ending::uncontrolled, "more than %u mutexes held whose owner counts", held_max);
  }
  c.held[c.held_count++] = {.key = key, .lane = static_cast<std::uint32_t>(current_lane)};
}

int try_mutex(pthread_mutex_t* mutex, std::uint64_t key) {
  static const auto call = real<MutexCall>("pthread_mutex_trylock");
  const bool owned = knows_owner(mutex);
  HeldMutex* const held = owned ? held_by(mutex, key) : nullptr;
  if (held != nullptr && is_of_another(*held)) return EBUSY;
  const int error = call(mutex);
  if (owned && (error == 0 || error == EOWNERDEAD)) note_held(held, key);
  if (error == EOWNERDEAD) acquire_from_the_dead();
  if (error == 0 || error == EOWNERDEAD) acquire_object(sync_tag | key);
  if (error != EBUSY) note_value(static_cast<std::uint64_t>(error));
  return error;
}

// Is it an error-checking mutex that the caller has already?
bool is_own(const pthread_mutex_t* mutex, std::uint64_t key) {
  constexpr int type = 3;
  if ((mutex->__data.__kind & type) != PTHREAD_MUTEX_ERRORCHECK) return false;
  const HeldMutex* const held = held_by(mutex, key);
  return held != nullptr && is_mine(*held);
}

int lock_mutex(pthread_mutex_t* mutex, std::int64_t deadline, const void* pc) {
  const std::uint64_t key = key_of_object(mutex);
  point(Point::mutex_lock, key, pc);
  for (;;) {
    const int error = try_mutex(mutex, key);
    if (error != EBUSY) return error;
    if (is_own(mutex, key)) return EDEADLK;
    if (deadline != 0 && deadline <= control->time) return ETIMEDOUT;
    if (!wait_for_key(Point::mutex_lock, waiting_key(mutex), deadline, pc)) return ETIMEDOUT;
  }
}

// Without a point.
int unlock_mutex(pthread_mutex_t* mutex, const void* pc) {
  static const auto call = real<MutexCall>("pthread_mutex_unlock");
  const std::uint64_t key = key_of_object(mutex);
  HeldMutex* const held = knows_owner(mutex) ? held_by(mutex, key) : nullptr;
  const int error = held != nullptr && is_of_another(*held) ? EPERM : call(mutex);
  note_value(static_cast<std::uint64_t>(error));
  if (error != 0) return error;
  if (held != nullptr && mutex->__data.__owner == 0) *held = control->held[--control->held_count];
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

// --- barriers

// How glibc (since 2.24) lays one out, and whoever initialised it left it.
struct BarrierState {
  unsigned waiting;  // since the last round was complete
  unsigned round;
  unsigned count;  // that make a round
  int shared;
  unsigned out;
};
static_assert(sizeof(BarrierState) <= sizeof(pthread_barrier_t));

int wait_at(pthread_barrier_t* barrier, const void* pc) {
  auto& state = *reinterpret_cast<BarrierState*>(barrier);
  const std::uint64_t place = key_of_object(barrier);
  point(Point::barrier, place, pc);
  // Who is still to leave the last round must not take over what comes in this one.
  const std::uint64_t object = sync_tag | (place + state.round % 2);
  const std::uint64_t key = key_to_wait_for(barrier, state.shared != 0);
  release_object(object);
  if (++state.waiting < state.count) {
    // Woken by the last one only. The barrier may be gone by then.
    wait_for_key(Point::barrier, key, 0, pc);
    acquire_object(object);
    return 0;
  }
  state.waiting = 0;
  ++state.round;
  acquire_object(object);
  wake(key, lanes_max, pc);
  return PTHREAD_BARRIER_SERIAL_THREAD;
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
  if (!controlled()) return call(barrier);
  return wait_at(barrier, __builtin_return_address(0));
}

// The library would wait for those that a schedule left in it when that ended.
int pthread_barrier_destroy(pthread_barrier_t*) noexcept { return 0; }

}  // extern "C"
