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

  pid_t pid() const { return pid_; }
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

// Two lanes in a receive without a deadline, whose threads sleep; time is what the test says.
class WatchOfLanes : public ::testing::Test {
 protected:
  WatchOfLanes()
      : memory_(create_unnamed_memory("lanes", 2 * stride, Backing::sparse)),
        mapping_(memory_.get(), 2 * stride, "lanes") {
    for (unsigned i = 0; i < 2; ++i) {
      lanes_.emplace_back(mapping_.data() + i * stride);
      lanes_[i].reset(StampSource::monotonic, true, 16);
      Journal(lanes_[i]).begin(Op::receive, 0, DeadlineMode::never, 0, 0);
      LaneHeader& header = lanes_[i].header();
      header.state.store(static_cast<std::uint32_t>(LaneState::running));
      (void)sleepers_[i].sample();  // it sleeps
      header.pid.store(sleepers_[i].pid());
      header.tid.store(sleepers_[i].pid());
    }
    watch_.begin(lanes_, 16);
  }
  void look_for(std::int64_t ns) {
    for (const Instant until = now_ + ns; now_ < until;) {
      watch_.tick(now_ += Watch::sample_every_ns);
    }
  }
  std::vector<int> asleep() {
    std::vector<int> lanes;
    for (const Evidence& e : watch_.take_evidence()) {
      if (e.fact == Fact::asleep) lanes.push_back(e.lane);
    }
    return lanes;
  }

  static constexpr std::size_t stride = lane_records_offset + 4096;
  Descriptor memory_;
  SharedMapping mapping_;
  std::vector<Lane> lanes_;
  Sleeper sleepers_[2]{Sleeper([] { ::pause(); }), Sleeper([] { ::pause(); })};
  Watch watch_{StampProperties{}};
  Instant now_ = monotonic_now();
};

TEST_F(WatchOfLanes, WhoIsHeldSleepsNot) {
  look_for(300'000'000);
  EXPECT_TRUE(watch_.nothing_can_move());
  watch_.hold(1, true);
  look_for(300'000'000);
  EXPECT_FALSE(watch_.nothing_can_move());
  (void)asleep();
  look_for(300'000'000);
  EXPECT_EQ(asleep(), std::vector<int>{0});
  watch_.hold(1, false);
  EXPECT_FALSE(watch_.nothing_can_move()) << "its sleep begins anew";
  look_for(300'000'000);
  EXPECT_TRUE(watch_.nothing_can_move());
}

TEST_F(WatchOfLanes, NobodyWaitsForTheDead) {
  lanes_[1].header().tid.store(0);
  look_for(300'000'000);
  EXPECT_FALSE(watch_.nothing_can_move()) << "it may be on its way";
  watch_.forget(1);
  look_for(300'000'000);
  EXPECT_TRUE(watch_.nothing_can_move());
}

}  // namespace
}  // namespace ipctorture
