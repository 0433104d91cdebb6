#include "harness/launch/watch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ipctorture {
namespace {

// A child that does `body` after it said so, until it is killed.
class Sleeper {
 public:
  explicit Sleeper(void (*body)()) {
    int ends[2];
    if (::pipe(ends) != 0) throw_system_error("pipe", "");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[0]);
      ::close(ends[1]);
      body();
      ::_exit(0);
    }
    ::close(ends[1]);
    char byte;
    EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // end of file: it is on its way
    ::close(ends[0]);
  }
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // The first sample in which it does not run.
  ThreadSample sample() const {
    for (;;) {
      const auto seen = sample_thread(pid_, pid_);
      if (!seen || seen->asleep || seen->blocked) return seen.value_or(ThreadSample{});
      ::sched_yield();
    }
  }

 private:
  pid_t pid_ = -1;
};

TEST(Watch, WhoWaitsForAPeerIsAsleep) {
  const Sleeper sleeper([] { ::pause(); });
  const ThreadSample sample = sleeper.sample();
  EXPECT_TRUE(sample.asleep);
  EXPECT_FALSE(sample.blocked);
}

// vfork(2) holds the parent in an uninterruptible wait until its child is gone.
TEST(Watch, WhoWaitsForTheKernelIsNot) {
  const Sleeper sleeper([] {
    const pid_t parent = ::getpid();
    if (::vfork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (::getppid() == parent) ::pause();
      ::_exit(0);
    }
  });
  const ThreadSample sample = sleeper.sample();
  EXPECT_TRUE(sample.blocked);
  EXPECT_FALSE(sample.asleep);
}

}  // namespace
}  // namespace ipctorture
