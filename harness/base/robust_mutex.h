// A robust mutex between processes, and the one way in which this project waits for it.
//
// The kernel passes a robust mutex on when its holder dies, but not a wake-up: a waiter that unlock
// woke and that is killed before it runs takes the wake-up with it, and when somebody else has
// locked meanwhile (without knowing of waiters), neither unlock nor kernel ever thinks of the other
// waiters. So nobody waits for longer than a slice at a time, and then asks again, which makes the
// holder know of it.
//
// Where it stops: the kernel's list of what a thread holds is per thread, so it is unlocked by the
// thread that locked it. A holder that is stopped, not killed, makes everybody wait.
#pragma once

#include <pthread.h>

#include <string_view>

#include "harness/base/clock.h"

namespace ipctorture {

// How much later than it could, at worst, a waiter gets a mutex whose wake-up was lost.
inline constexpr Instant robust_lock_slice_ns = 50'000'000;

// Initialises one in shared memory; throws std::system_error that names `object`.
void create_robust_mutex(pthread_mutex_t& mutex, std::string_view object);

// 0, or EOWNERDEAD when its holder died: locked either way. What the holder guarded is for the
// caller to mend, pthread_mutex_consistent(3) too. EBUSY (`now`) or ETIMEDOUT: not by the deadline.
// Another errno: it is of no use any more.
int lock_robust(pthread_mutex_t& mutex, Deadline deadline);

}  // namespace ipctorture
