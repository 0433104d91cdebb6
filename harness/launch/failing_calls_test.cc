// The calls that are taken over: which fail, are short or interrupted inside an operation, how, and
// that nothing happens to them anywhere else.
#include "harness/launch/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "harness/base/descriptor.h"
#include "harness/base/futex.h"

namespace ipctorture {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;

constexpr std::uint32_t always = 10'000;

class TakenOver : public ::testing::Test {
 protected:
  TakenOver() : memory_(lane_bytes(4)), lane_(memory_.data()) {
    lane_.reset(StampSource::monotonic, true, 4);
  }
  void SetUp() override {
    if (!calls_can_fail()) GTEST_SKIP() << "a sanitizer's runtime has the same names";
  }

  // What `call` answers in so many tries, each inside an operation: 0 or errno of each.
  std::set<int> errors_of_tries(const Faults& faults, const std::function<bool()>& call) {
    std::set<int> errors;
    FailingCalls calls(faults, 7, 0, lane_);
    for (int i = 0; i < 40; ++i) {
      calls.enter(Op::send);
      errno = 0;
      const int error = call() ? 0 : errno;
      calls.leave();
      errors.insert(error);
    }
    return errors;
  }

  const LaneHeader& header() const { return lane_.header(); }

  std::vector<std::byte> memory_;
  Lane lane_;
};

struct Ends {
  Descriptor in, out;
};
Ends make_pipe(int flags) {
  int ends[2];
  if (::pipe2(ends, flags | O_CLOEXEC) != 0) throw_system_error("pipe2", "of a test");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}
Ends make_sockets(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) {
    throw_system_error("socketpair", "of a test");
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

TEST_F(TakenOver, LibrariesBindToThem) {
  for (const char* name : {"read", "write", "poll", "open64", "mmap", "pthread_create"}) {
    Dl_info found{};
    ASSERT_NE(::dladdr(::dlsym(RTLD_DEFAULT, name), &found), 0) << name;
    Dl_info program{};
    ::dladdr(reinterpret_cast<void*>(&calls_can_fail), &program);
    EXPECT_EQ(found.dli_fbase, program.dli_fbase) << name;
  }
}

TEST_F(TakenOver, FailAsTheTableSays) {
  const Ends sockets = make_sockets(SOCK_STREAM | SOCK_NONBLOCK);
  const Ends patient = make_sockets(SOCK_STREAM);
  const auto closes = [](int fd) { return fd >= 0 && ::close(fd) == 0; };
  const std::array<char, 4> bytes{};
  const std::map<std::string, std::pair<std::function<bool()>, std::set<int>>> calls{
      {"eventfd", {[&] { return closes(::eventfd(0, EFD_CLOEXEC)); }, {0, EMFILE, ENOMEM}}},
      {"socket",
       {[&] { return closes(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); },
        {0, EMFILE, ENOMEM}}},
      {"memfd_create", {[&] { return closes(::memfd_create("x", 0)); }, {0, EMFILE, ENOMEM}}},
      {"open", {[&] { return closes(::open("/dev/null", O_RDONLY)); }, {0, EMFILE}}},
      {"open64", {[&] { return closes(::open64("/dev/null", O_RDONLY)); }, {0, EMFILE}}},
      {"fcntl", {[&] { return closes(::fcntl(0, F_DUPFD_CLOEXEC, 0)); }, {0, EMFILE}}},
      {"F_GETFL", {[&] { return ::fcntl(sockets.in.get(), F_GETFL) >= 0; }, {0}}},
      {"mmap",
       {[&] {
          void* at = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
          return at != MAP_FAILED && ::munmap(at, 4096) == 0;
        },
        {0, ENOMEM}}},
      {"private mmap",
       {[&] {
          void* at = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          return at != MAP_FAILED && ::munmap(at, 4096) == 0;
        },
        {0}}},
      {"send",
       {[&] { return ::send(sockets.out.get(), bytes.data(), 4, 0) == 4; }, {0, ENOBUFS, EAGAIN}}},
      {"recv",
       {[&] {
          char byte;
          return ::recv(sockets.in.get(), &byte, 1, 0) == 1;
        },
        {0, EAGAIN}}},
      {"patient send",
       {[&] { return ::send(patient.out.get(), bytes.data(), 4, 0) == 4; }, {0, ENOBUFS}}},
      {"patient read",
       {[&] {
          char byte;
          return ::read(patient.in.get(), &byte, 1) == 1;
        },
        {0}}},
      {"close", {[&] { return ::close(::dup(sockets.in.get())) == 0; }, {0, EBADF, EMFILE}}},
  };
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(::write(patient.out.get(), bytes.data(), 4), 4);
    ASSERT_EQ(::write(sockets.out.get(), bytes.data(), 4), 4);
  }
  for (const auto& [name, expected] : calls) {
    lane_.reset(StampSource::monotonic, true, 4);
    const std::set<int> seen = errors_of_tries({.failing_calls = always}, expected.first);
    EXPECT_THAT(seen, IsSubsetOf(expected.second)) << name;
    EXPECT_THAT(seen, Contains(0)) << name << ": never twice in a row";
    if (expected.second.size() > 1) {
      EXPECT_EQ(header().calls_failed, 20u) << name;
    } else {
      EXPECT_EQ(header().calls_failed, 0u) << name;
    }
  }
}

TEST_F(TakenOver, FailuresAreNotedForTheCheckers) {
  const Stamp before = stamp_begin(StampSource::monotonic);
  FailingCalls calls({.failing_calls = always}, 1, 0, lane_);
  calls.enter(Op::send);
  EXPECT_EQ(::eventfd(0, 0), -1);
  calls.leave();
  ASSERT_EQ(calls.failed(), 1u);
  const CallFailure& noted = lane_.failures()[0];
  EXPECT_STREQ(noted.call, "eventfd");
  EXPECT_TRUE(noted.error == EMFILE || noted.error == ENOMEM);
  EXPECT_GE(noted.at, before);
  EXPECT_LE(noted.at, stamp_end(StampSource::monotonic));
}

TEST_F(TakenOver, AsManyFailAsCanBeNoted) {
  FailingCalls calls({.failing_calls = always}, 1, 0, lane_);
  const auto tries = [&](Op op, int count) {
    for (int i = 0; i < count; ++i) {
      calls.enter(op);
      const int fd = ::eventfd(0, EFD_CLOEXEC);
      calls.leave();
      if (fd >= 0) ::close(fd);
    }
    return calls.failed();
  };
  EXPECT_EQ(tries(Op::attach, 300), lane_failures_max / 4) << "an attach leaves some to the rest";
  EXPECT_EQ(tries(Op::send, 1000), lane_failures_max);
  EXPECT_EQ(header().calls_failed, lane_failures_max);
}

TEST_F(TakenOver, OutsideAnOperationAndOnOtherThreadsNothingFails) {
  FailingCalls calls({.failing_calls = always, .short_calls = always}, 1, 0, lane_);
  const auto all_well = [] {
    for (int i = 0; i < 100; ++i) {
      const Descriptor fd(::eventfd(1, EFD_CLOEXEC));
      std::uint64_t count = 0;
      if (!fd.valid() || ::read(fd.get(), &count, sizeof count) != sizeof count) return false;
    }
    return true;
  };
  EXPECT_TRUE(all_well());
  bool elsewhere = false;
  std::thread other;
  calls.enter(Op::send);
  calls.leave();
  EXPECT_TRUE(all_well());
  calls.enter(Op::send);
  while (!other.joinable()) {
    try {
      other = std::thread([&] { elsewhere = all_well(); });
    } catch (const std::system_error& e) {
      EXPECT_EQ(e.code().value(), EAGAIN) << "the table's";
    }
  }
  other.join();
  calls.leave();
  EXPECT_TRUE(elsewhere);
}

TEST_F(TakenOver, AChildOfTheTransportIsLeftAlone) {
  FailingCalls calls({.failing_calls = always}, 1, 0, lane_);
  calls.enter(Op::send);
  pid_t child = -1;
  while (child < 0) child = ::fork();
  if (child == 0) {
    for (int i = 0; i < 10; ++i) {
      if (::eventfd(0, 0) < 0) ::_exit(1);
    }
    ::_exit(0);
  }
  calls.leave();
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// How many bytes go over in one call, of so many that are there, in 200 tries.
class Short : public TakenOver {
 protected:
  std::set<ssize_t> sizes(std::size_t bytes, const std::function<ssize_t(std::size_t)>& put,
                          const std::function<ssize_t(std::size_t)>& take, bool puts) {
    std::set<ssize_t> seen;
    FailingCalls calls({.short_calls = always}, 3, 0, lane_);
    for (int i = 0; i < 200; ++i) {
      if (puts) calls.enter(Op::send);
      const ssize_t given = put(bytes);
      calls.leave();
      if (!puts && given != static_cast<ssize_t>(bytes)) throw_system_error("put", "of a test");
      if (!puts) calls.enter(Op::receive);
      const ssize_t taken = take(bytes);
      calls.leave();
      const ssize_t result = puts ? given : taken;
      if (result >= 0) seen.insert(result);
      // Whatever is left.
      while (take(bytes) > 0) {
      }
    }
    return seen;
  }
  std::vector<std::byte> buffer_ = std::vector<std::byte>(16384);
};

struct Channel {
  const char* name;
  std::function<Ends()> make;
  std::size_t bytes;
  bool put_short, take_short;
};

TEST_F(Short, CountsAreThoseOfStreamsAlone) {
  const Channel channels[] = {
      {"pipe", [] { return make_pipe(O_NONBLOCK); }, 4096, false, true},
      {"large pipe", [] { return make_pipe(O_NONBLOCK); }, 8192, true, true},
      {"packet pipe", [] { return make_pipe(O_NONBLOCK | O_DIRECT); }, 4096, false, false},
      {"stream", [] { return make_sockets(SOCK_STREAM | SOCK_NONBLOCK); }, 100, true, true},
      {"seqpacket", [] { return make_sockets(SOCK_SEQPACKET | SOCK_NONBLOCK); }, 100, false, false},
      {"datagram", [] { return make_sockets(SOCK_DGRAM | SOCK_NONBLOCK); }, 100, false, false},
  };
  for (const Channel& channel : channels) {
    const Ends ends = channel.make();
    const auto put = [&](std::size_t n) { return ::write(ends.out.get(), buffer_.data(), n); };
    const auto take = [&](std::size_t n) { return ::read(ends.in.get(), buffer_.data(), n); };
    const auto put_parts = [&](std::size_t n) {
      const iovec parts[] = {{buffer_.data(), n / 3}, {buffer_.data() + n / 3, n - n / 3}};
      return ::writev(ends.out.get(), parts, 2);
    };
    const auto take_parts = [&](std::size_t n) {
      const iovec parts[] = {{buffer_.data(), n / 3}, {buffer_.data() + n / 3, n - n / 3}};
      return ::readv(ends.in.get(), parts, 2);
    };
    const auto whole = static_cast<ssize_t>(channel.bytes);
    for (const bool parts : {false, true}) {
      const auto given = parts ? sizes(channel.bytes, put_parts, take, true)
                               : sizes(channel.bytes, put, take, true);
      const auto taken = parts ? sizes(channel.bytes, put, take_parts, false)
                               : sizes(channel.bytes, put, take, false);
      const std::pair<std::set<ssize_t>, bool> cases[] = {std::pair{given, channel.put_short},
                                                          std::pair{taken, channel.take_short}};
      for (const auto& [seen, may_be_short] : cases) {
        if (may_be_short) {
          EXPECT_GT(seen.size(), 3u) << channel.name;
          EXPECT_THAT(seen, Contains(1)) << channel.name;
          EXPECT_GE(*seen.begin(), 1) << channel.name << ": 0 would be the end";
          EXPECT_LE(*seen.rbegin(), whole) << channel.name;
        } else {
          EXPECT_THAT(seen, Each(whole)) << channel.name;
        }
      }
    }
  }
  EXPECT_GT(header().calls_shortened, 0u);
}

TEST_F(Short, ManyPartsAndWholeMessagesAreLeftWhole) {
  const Ends ends = make_sockets(SOCK_STREAM);
  std::vector<iovec> parts(20, iovec{buffer_.data(), 10});
  FailingCalls calls({.short_calls = always}, 3, 0, lane_);
  for (int i = 0; i < 50; ++i) {
    calls.enter(Op::send);
    ssize_t given = -1;
    while (given < 0) given = ::writev(ends.out.get(), parts.data(), 20);
    ssize_t taken = -1;
    while (taken < 0) taken = ::recv(ends.in.get(), buffer_.data(), 200, MSG_WAITALL);
    calls.leave();
    EXPECT_EQ(given, 200);
    EXPECT_EQ(taken, 200);
  }
}

TEST_F(TakenOver, OnlyWhoWaitsIsInterrupted) {
  const Ends patient = make_pipe(0), hasty = make_pipe(O_NONBLOCK);
  ASSERT_EQ(::write(patient.out.get(), "0123456789012345678901234567890123456789", 40), 40);
  ASSERT_EQ(::write(hasty.out.get(), "0123456789012345678901234567890123456789", 40), 40);
  char byte;
  pollfd ready{.fd = patient.out.get(), .events = POLLOUT, .revents = 0};
  sem_t semaphore;
  ASSERT_EQ(::sem_init(&semaphore, 0, 40), 0);
  std::atomic<std::uint32_t> word{1};
  const std::map<std::string, std::pair<std::function<bool()>, std::set<int>>> calls{
      {"read", {[&] { return ::read(patient.in.get(), &byte, 1) == 1; }, {0, EINTR}}},
      {"hasty read", {[&] { return ::read(hasty.in.get(), &byte, 1) == 1; }, {0}}},
      {"poll", {[&] { return ::poll(&ready, 1, -1) == 1; }, {0, EINTR}}},
      {"poll at once", {[&] { return ::poll(&ready, 1, 0) == 1; }, {0}}},
      {"sem_wait", {[&] { return ::sem_wait(&semaphore) == 0; }, {0, EINTR}}},
      {"futex",
       {[&] {
          errno = futex_wait(word, 0, Deadline::never());
          return errno == EAGAIN;
        },
        {0, EINTR}}}};
  for (const auto& [name, expected] : calls) {
    const std::set<int> seen = errors_of_tries({.short_calls = always}, expected.first);
    EXPECT_EQ(seen, expected.second) << name;
  }
  EXPECT_GT(header().calls_interrupted, 0u);
  EXPECT_EQ(header().calls_failed, 0u);
  ::sem_destroy(&semaphore);
}

// Told to come again although something is there, such a reader would wait for the next edge. Last:
// it holds for the rest of the process.
TEST_F(TakenOver, WhoWatchesForEdgesIsNotToldToComeAgain) {
  const Ends sockets = make_sockets(SOCK_STREAM | SOCK_NONBLOCK);
  const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
  ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, sockets.in.get(), &event), 0);
  const std::set<int> seen = errors_of_tries(
      {.failing_calls = always}, [&] { return ::send(sockets.out.get(), "x", 1, 0) == 1; });
  EXPECT_EQ(seen, (std::set<int>{0, ENOBUFS}));
}

}  // namespace
}  // namespace ipctorture
