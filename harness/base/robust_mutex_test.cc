// Waiting for a robust mutex: by a deadline, after a death, and after a wake-up that was lost.
#include "harness/base/robust_mutex.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

namespace ipctorture {
namespace {

class RobustMutex : public ::testing::Test {
 protected:
  RobustMutex() { create_robust_mutex(mutex_, "of the test"); }
  ~RobustMutex() override { ::pthread_mutex_destroy(&mutex_); }

  // The futex word inside: the holder's thread id, and this bit when somebody sleeps for it.
  std::atomic_ref<int> word() { return std::atomic_ref<int>(mutex_.__data.__lock); }
  static constexpr int waiters_bit = static_cast<int>(0x80000000u);

  pthread_mutex_t mutex_;
};

TEST_F(RobustMutex, WaitsByTheDeadlineAndNotAtAll) {
  ASSERT_EQ(lock_robust(mutex_, Deadline::now()), 0);
  std::thread([&] {
    EXPECT_EQ(lock_robust(mutex_, Deadline::now()), EBUSY);
    const Instant until = monotonic_now() + robust_lock_slice_ns * 3 / 2;
    EXPECT_EQ(lock_robust(mutex_, Deadline::at(until)), ETIMEDOUT);
    EXPECT_GE(monotonic_now(), until);
  }).join();
  ::pthread_mutex_unlock(&mutex_);
}

TEST_F(RobustMutex, ComesFromADeadHolder) {
  std::thread([&] { EXPECT_EQ(lock_robust(mutex_, Deadline::never()), 0); }).join();
  ASSERT_EQ(lock_robust(mutex_, Deadline::never()), EOWNERDEAD);
  EXPECT_EQ(::pthread_mutex_consistent(&mutex_), 0);
  ::pthread_mutex_unlock(&mutex_);
}

// As after the death of a waiter that was woken: somebody holds the mutex and does not know that
// others sleep for it.
TEST_F(RobustMutex, AWakeUpThatWasLostCostsASlice) {
  ::alarm(20);  // a sleeper that nobody wakes is the failure
  ASSERT_EQ(lock_robust(mutex_, Deadline::now()), 0);
  std::thread waiter([&] {
    EXPECT_EQ(lock_robust(mutex_, Deadline::never()), 0);
    ::pthread_mutex_unlock(&mutex_);
  });
  while ((word().load() & waiters_bit) == 0) std::this_thread::yield();
  word().fetch_and(~waiters_bit);
  ::pthread_mutex_unlock(&mutex_);
  waiter.join();
  ::alarm(0);
}

}  // namespace
}  // namespace ipctorture
