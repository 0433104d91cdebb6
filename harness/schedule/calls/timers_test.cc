// Timers under virtual time: descriptors that become readable, handlers that run, calls that they
// interrupt; and a transport that waits for one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "harness/schedule/by_hand.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/planted.h"

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t ms = 1'000'000;

itimerspec after(std::int64_t ns, std::int64_t every = 0) {
  return {.it_interval = {.tv_sec = 0, .tv_nsec = every}, .it_value = {.tv_sec = 0, .tv_nsec = ns}};
}

// The test is the only lane: who waits waits for virtual time alone.
class Timers : public testing::Test {
 protected:
  Timers() {
    make_lane_heaps();
    lane_ = std::make_unique<AsLane>(0);
  }
  std::int64_t now() const { return control->time; }

  ByHand by_hand_{1};
  std::unique_ptr<AsLane> lane_;
};

std::uint64_t expiries_read(int fd) {
  std::uint64_t count = 0;
  return ::read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

TEST_F(Timers, ADescriptorIsReadableWhenItsTimeHasCome) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(expiries_read(fd), 0u);
  EXPECT_EQ(errno, EAGAIN);
  const itimerspec in_5ms = after(5 * ms);
  ASSERT_EQ(::timerfd_settime(fd, 0, &in_5ms, nullptr), 0);
  const std::int64_t begin = now();
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&one, 1, 1), 0) << "too early";
  EXPECT_EQ(::poll(&one, 1, -1), 1);
  EXPECT_GE(now() - begin, 4 * ms);
  EXPECT_LE(now() - begin, 6 * ms);
  EXPECT_EQ(expiries_read(fd), 1u);
  EXPECT_EQ(expiries_read(fd), 0u);
  EXPECT_EQ(::poll(&one, 1, 0), 0);
  ::close(fd);
}

TEST_F(Timers, APeriodicOneCountsWhatWasNotRead) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const itimerspec every_ms = after(ms, ms);
  ASSERT_EQ(::timerfd_settime(fd, 0, &every_ms, nullptr), 0);
  EXPECT_EQ(expiries_read(fd), 1u) << "waits";
  ::usleep(4'500);
  EXPECT_EQ(expiries_read(fd), 4u);
  itimerspec left{};
  ASSERT_EQ(::timerfd_gettime(fd, &left), 0);
  EXPECT_EQ(left.it_interval.tv_nsec, ms);
  EXPECT_GT(left.it_value.tv_nsec, 0);
  EXPECT_LE(left.it_value.tv_nsec, ms);
  ::close(fd);
}

TEST_F(Timers, AnEpollSetAndADuplicateShowItToo) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), epoll = ::epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 7}};
  ASSERT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
  const itimerspec in_2ms = after(2 * ms);
  ASSERT_EQ(::timerfd_settime(fd, 0, &in_2ms, nullptr), 0);
  epoll_event found{};
  EXPECT_EQ(::epoll_wait(epoll, &found, 1, 100), 1);
  EXPECT_EQ(found.data.u64, 7u);
  const int twin = ::dup(fd);
  EXPECT_EQ(expiries_read(twin), 1u);
  EXPECT_EQ(::epoll_wait(epoll, &found, 1, 0), 0);
  ::close(twin), ::close(epoll), ::close(fd);
}

TEST_F(Timers, WhoWaitsForOneThatIsNotSetWaitsForEver) {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  try {
    expiries_read(fd);
    FAIL();
  } catch (const Ended& ended) {
    EXPECT_EQ(ended.ending, Ending::deadlock);
  }
  ::close(fd);
}

// --- signals

volatile sig_atomic_t handled = 0;
int written_to = -1;

class Handlers : public Timers {
 protected:
  static constexpr int signal = 40;

  Handlers() { handled = 0; }
  ~Handlers() override {
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(signal, &ignore, nullptr);
    ::sigaction(SIGALRM, &ignore, nullptr);
  }

  static void install(int number, int flags = 0) {
    struct sigaction action{};
    action.sa_handler = [](int) {
      handled = handled + 1;
      if (written_to >= 0) (void)!::write(written_to, "x", 1);
    };
    action.sa_flags = flags;
    ::sigaction(number, &action, nullptr);
  }
  static timer_t make_timer() {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signal;
    event.sigev_value.sival_int = 1234;
    timer_t timer{};
    EXPECT_EQ(::timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    return timer;
  }
  static void set(timer_t timer, itimerspec value) {
    EXPECT_EQ(::timer_settime(timer, 0, &value, nullptr), 0);
  }
};

TEST_F(Handlers, OneRunsAndInterruptsTheCallThatWaits) {
  install(signal);
  const timer_t timer = make_timer();
  set(timer, after(3 * ms));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::int64_t begin = now();
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), -1);
  EXPECT_EQ(errno, EINTR);
  EXPECT_EQ(handled, 1);
  EXPECT_GE(now() - begin, 2 * ms);
  EXPECT_LE(now() - begin, 4 * ms);
  ::timer_delete(timer);
  ::close(ends[0]), ::close(ends[1]);
}

TEST_F(Handlers, ACallRestartsWhenItIsInstalledSo) {
  install(signal, SA_RESTART);
  const timer_t timer = make_timer();
  set(timer, after(ms));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  written_to = ends[1];
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 1) << "what the handler wrote";
  written_to = -1;
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(handled, 1);
  ::timer_delete(timer);
  ::close(ends[0]), ::close(ends[1]);
}

TEST_F(Handlers, ASleepIsCutShort) {
  install(signal);
  const timer_t timer = make_timer();
  set(timer, after(2 * ms, 2 * ms));
  const timespec long_time{.tv_sec = 0, .tv_nsec = 10 * ms};
  timespec rest{};
  EXPECT_EQ(::nanosleep(&long_time, &rest), -1);
  EXPECT_EQ(errno, EINTR);
  EXPECT_NEAR(static_cast<double>(rest.tv_nsec), 8 * ms, ms / 2.0);
  ::usleep(20'000);
  EXPECT_EQ(handled, 2);
  ::timer_delete(timer);
}

TEST_F(Handlers, ABlockedSignalIsTakenWhenTheTimerExpires) {
  install(signal);
  sigset_t one, before;
  sigemptyset(&one);
  sigaddset(&one, signal);
  ::sigprocmask(SIG_BLOCK, &one, &before);
  const timer_t timer = make_timer();
  set(timer, after(ms));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  pollfd nothing{.fd = ends[0], .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&nothing, 1, 5), 0) << "not interrupted";
  siginfo_t info{};
  EXPECT_EQ(::sigwaitinfo(&one, &info), signal);
  EXPECT_EQ(info.si_code, SI_TIMER);
  EXPECT_EQ(info.si_value.sival_int, 1234);
  EXPECT_EQ(handled, 0);
  ::timer_delete(timer);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[0]), ::close(ends[1]);
}

TEST_F(Handlers, TheIntervalTimerAndTheAlarmOfTheProcess) {
  install(SIGALRM);
  const itimerval every_2ms{.it_interval = {.tv_sec = 0, .tv_usec = 2000},
                            .it_value = {.tv_sec = 0, .tv_usec = 2000}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &every_2ms, nullptr), 0);
  EXPECT_EQ(::pause(), -1);
  EXPECT_EQ(::pause(), -1);
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(::alarm(3), 1u) << "replaces it";
  const std::int64_t begin = now();
  EXPECT_EQ(::pause(), -1);
  EXPECT_EQ(handled, 3);
  EXPECT_GE(now() - begin, 2'900 * ms);
  EXPECT_EQ(::alarm(0), 0u);
}

TEST_F(Handlers, PauseMissesWhatCameBefore) {
  install(signal);
  const timer_t timer = make_timer();
  set(timer, after(ms));
  ::usleep(5'000);  // interrupted
  EXPECT_EQ(handled, 1);
  try {
    ::pause();
    FAIL();
  } catch (const Ended& ended) {
    EXPECT_EQ(ended.ending, Ending::deadlock);
  }
}

// --- in a schedule

// Looks at its pipe each time its timer expires, and never otherwise.
class TickingConsumer : public PlainConsumer {
 public:
  explicit TickingConsumer(Descriptor end)
      : PlainConsumer(std::move(end)), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)) {
    const itimerspec every_ms = after(ms, ms);
    ::timerfd_settime(timer_.get(), 0, &every_ms, nullptr);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    pollfd one{.fd = end(), .events = POLLIN, .revents = 0};
    while (::poll(&one, 1, 0) == 0) expiries_read(timer_.get());
    return PlainConsumer::receive(buffer, deadline);
  }

 private:
  Descriptor timer_;
};

TEST(TimersInASchedule, AreWaitedForAndReplayed) {
  const Registration ticking = planted<PlainProducer, TickingConsumer>();
  Room room(ticking, planted_scenario(ticking, 3), Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete) << session.state().said;
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    ASSERT_EQ(session.run({.source = Source::walk, .seed = seed}), Ending::complete)
        << session.state().said;
    const std::uint64_t hash = session.state().hash;
    ASSERT_EQ(session.run(keyed_plan(taken_in(session))), Ending::complete);
    EXPECT_EQ(session.state().hash, hash) << "seed " << seed;
  }
}

class ThreadConsumer : public PlainConsumer {
 public:
  explicit ThreadConsumer(Descriptor end) : PlainConsumer(std::move(end)) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    timer_t timer{};
    ::timer_create(CLOCK_MONOTONIC, &event, &timer);
  }
};

TEST(TimersInASchedule, ThatStartThreadsAreNotControlled) {
  const Registration starting = planted<PlainProducer, ThreadConsumer>();
  Room room(starting, planted_scenario(starting, 3), Backend::processes);
  EXPECT_EQ(room.session().run({}), Ending::uncontrolled);
  EXPECT_THAT(room.session().state().said, testing::HasSubstr("SIGEV_THREAD"));
}

// Waits for the alarm before each message, as one must not.
class AlarmedConsumer : public PlainConsumer {
 public:
  explicit AlarmedConsumer(Descriptor end) : PlainConsumer(std::move(end)) {
    struct sigaction action{};
    action.sa_handler = [](int) { handled = handled + 1; };
    ::sigaction(SIGALRM, &action, nullptr);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    handled = 0;
    ::alarm(1);
    while (handled == 0) ::pause();
    return PlainConsumer::receive(buffer, deadline);
  }
};

TEST(TimersInASchedule, HandlersRunThere) {
  const Registration alarmed = planted<PlainProducer, AlarmedConsumer>();
  Room room(alarmed, planted_scenario(alarmed, 3), Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete) << session.state().said;
}

}  // namespace
}  // namespace ipctorture::schedule
