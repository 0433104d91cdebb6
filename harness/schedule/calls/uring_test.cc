// io_uring under control: what its operations do, in which order they may complete, and that a
// transport which relies on more order than it asked for is found.
#include "harness/schedule/calls/uring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#if __has_include(<liburing.h>)
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "harness/schedule/by_hand.h"
#include "harness/schedule/calls/uring_ring.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/planted.h"

namespace ipctorture::schedule {
namespace {

using testing::ElementsAre;
using testing::Pair;

static_assert(sizeof(io_uring) == sizeof(LibraryRing));
static_assert(offsetof(io_uring, cq) == offsetof(LibraryRing, cq));
static_assert(offsetof(io_uring, ring_fd) == offsetof(LibraryRing, ring_fd));

// The test is the only lane.
class Uring : public testing::Test {
 protected:
  Uring() {
    make_lane_heaps();
    lane_ = std::make_unique<AsLane>(0);
    EXPECT_EQ(io_uring_queue_init(8, &ring_, 0), 0);
    EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
  }
  ~Uring() override {
    if (current_lane >= 0) io_uring_queue_exit(&ring_);
    ::close(pipe_[0]), ::close(pipe_[1]);
  }

  io_uring_sqe* next(std::uint64_t tag, unsigned flags = 0) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    tag_ = tag, flags_ = flags;
    return sqe;
  }
  void tagged(io_uring_sqe* sqe) {
    io_uring_sqe_set_data64(sqe, tag_);
    io_uring_sqe_set_flags(sqe, flags_);
  }
  void write(std::uint64_t tag, const void* from, unsigned bytes, unsigned flags = 0) {
    io_uring_sqe* sqe = next(tag, flags);
    io_uring_prep_write(sqe, pipe_[1], from, bytes, 0);
    tagged(sqe);
  }
  void read(std::uint64_t tag, void* to, unsigned bytes, unsigned flags = 0) {
    io_uring_sqe* sqe = next(tag, flags);
    io_uring_prep_read(sqe, pipe_[0], to, bytes, 0);
    tagged(sqe);
  }
  // What there is, in its order: tag and result.
  std::vector<std::pair<std::uint64_t, int>> completions() {
    std::vector<std::pair<std::uint64_t, int>> all;
    io_uring_cqe* one = nullptr;
    while (io_uring_peek_cqe(&ring_, &one) == 0) {
      all.emplace_back(io_uring_cqe_get_data64(one), one->res);
      io_uring_cqe_seen(&ring_, one);
    }
    return all;
  }

  ByHand by_hand_{1};
  std::unique_ptr<AsLane> lane_;
  io_uring ring_{};
  int pipe_[2];

 private:
  std::uint64_t tag_ = 0;
  unsigned flags_ = 0;
};

TEST_F(Uring, CompletesInOrderByDefault) {
  char to[8] = {};
  write(1, "ab", 2), write(2, "cd", 2), read(3, to, 4);
  io_uring_sqe* sqe = next(4);
  io_uring_prep_nop(sqe);
  tagged(sqe);
  EXPECT_EQ(io_uring_submit(&ring_), 4);
  EXPECT_THAT(completions(), ElementsAre(Pair(1, 2), Pair(2, 2), Pair(3, 4), Pair(4, 0)));
  EXPECT_STREQ(to, "abcd");
}

TEST_F(Uring, WhichComesNextIsAChoiceUnlessLinked) {
  char to[8] = {};
  write(1, "ab", 2), write(2, "cd", 2);
  by_hand_.answer_next(0, 1);
  control->keyed[0].step += 1;  // behind the point
  io_uring_submit(&ring_);
  EXPECT_THAT(completions(), ElementsAre(Pair(2, 2), Pair(1, 2)));
  EXPECT_EQ(::read(pipe_[0], to, 4), 4);
  EXPECT_STREQ(to, "cdab");
  write(1, "ab", 2, IOSQE_IO_LINK), write(2, "cd", 2);
  by_hand_.answer_next(0, 1);
  control->keyed[0].step += 1;
  io_uring_submit(&ring_);  // it is put off
  EXPECT_THAT(completions(), ElementsAre(Pair(1, 2), Pair(2, 2)));
  EXPECT_EQ(::read(pipe_[0], to, 4), 4);
  EXPECT_STREQ(to, "abcd");
}

TEST_F(Uring, ABarrierWaitsForAllBeforeIt) {
  char to[2];
  read(1, to, 1), write(2, "x", 1, IOSQE_IO_DRAIN), write(3, "y", 1);
  io_uring_submit(&ring_);
  EXPECT_THAT(completions(), testing::IsEmpty());
  EXPECT_EQ(::write(pipe_[1], "z", 1), 1);
  EXPECT_THAT(completions(), ElementsAre(Pair(1, 1), Pair(2, 1), Pair(3, 1)));
}

TEST_F(Uring, AWriteThatDoesNotFitComesBackShortAndBreaksItsChain) {
  const std::vector<char> large(1u << 17);
  write(1, large.data(), 1u << 17, IOSQE_IO_LINK), write(2, "x", 1, IOSQE_IO_LINK);
  write(3, "y", 1);
  io_uring_submit(&ring_);
  EXPECT_THAT(completions(),
              ElementsAre(Pair(1, 1 << 16), Pair(2, -ECANCELED), Pair(3, -ECANCELED)));
  write(4, "x", 1);
  io_uring_submit(&ring_);
  EXPECT_THAT(completions(), testing::IsEmpty()) << "the pipe is full";
  std::vector<char> taken(1u << 16);
  EXPECT_EQ(::read(pipe_[0], taken.data(), taken.size()), 1 << 16);
  EXPECT_THAT(completions(), ElementsAre(Pair(4, 1)));
}

TEST_F(Uring, TimeoutsAndWaitsPassInVirtualTime) {
  __kernel_timespec long_time{.tv_sec = 3, .tv_nsec = 0}, short_time{.tv_sec = 1, .tv_nsec = 0};
  io_uring_sqe* sqe = next(1);
  io_uring_prep_timeout(sqe, &long_time, 0, 0);
  tagged(sqe);
  io_uring_submit(&ring_);
  const std::int64_t begin = control->time;
  io_uring_cqe* first = nullptr;
  EXPECT_EQ(io_uring_wait_cqe_timeout(&ring_, &first, &short_time), -ETIME);
  EXPECT_EQ(io_uring_wait_cqe(&ring_, &first), 0);
  EXPECT_EQ(first->res, -ETIME);
  EXPECT_NEAR(static_cast<double>(control->time - begin), 3e9, 1e6);
}

TEST_F(Uring, SocketsPollAndClose) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  char to[8] = {};
  io_uring_sqe* sqe = next(1);
  io_uring_prep_poll_add(sqe, ends[1], POLLIN);
  tagged(sqe);
  sqe = next(2);
  io_uring_prep_send(sqe, ends[0], "hello", 5, 0);
  tagged(sqe);
  io_uring_submit(&ring_);
  EXPECT_THAT(completions(), ElementsAre(Pair(2, 5), Pair(1, POLLIN)));
  sqe = next(3, IOSQE_IO_LINK);
  io_uring_prep_recv(sqe, ends[1], to, sizeof to, 0);
  tagged(sqe);
  sqe = next(4);
  io_uring_prep_close(sqe, ends[1]);
  tagged(sqe);
  EXPECT_EQ(io_uring_submit_and_wait(&ring_, 2), 2);
  EXPECT_THAT(completions(), ElementsAre(Pair(3, 5), Pair(4, 0)));
  EXPECT_STREQ(to, "hello");
  EXPECT_EQ(::close(ends[1]), -1);
  ::close(ends[0]);
}

TEST_F(Uring, TheRingItselfIsReadableWhileThereAreCompletions) {
  pollfd one{.fd = ring_.ring_fd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&one, 1, 0), 0);
  io_uring_sqe* sqe = next(1);
  io_uring_prep_nop(sqe);
  tagged(sqe);
  io_uring_submit(&ring_);
  EXPECT_EQ(::poll(&one, 1, -1), 1);
  EXPECT_THAT(completions(), ElementsAre(Pair(1, 0)));
  EXPECT_EQ(::poll(&one, 1, 0), 0);
}

TEST_F(Uring, WhatIsUnknownEndsTheScheduleByName) {
  io_uring_sqe* sqe = next(1);
  io_uring_prep_splice(sqe, 0, -1, 1, -1, 1, 0);
  tagged(sqe);
  try {
    io_uring_submit(&ring_);
    FAIL();
  } catch (const Ended& ended) {
    EXPECT_EQ(ended.ending, Ending::uncontrolled);
    EXPECT_THAT(ended.what(), testing::HasSubstr("opcode " + std::to_string(IORING_OP_SPLICE)));
  }
}

// --- in a schedule

// A message in two writes, submitted together.
template <unsigned flags>
class UringProducer : public PlainProducer {
 public:
  explicit UringProducer(Descriptor end) : PlainProducer(Descriptor()), end_(std::move(end)) {
    if (io_uring_queue_init(8, &ring_, 0) != 0) throw_system_error("io_uring_queue_init", "test");
  }
  ~UringProducer() override { io_uring_queue_exit(&ring_); }
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    constexpr unsigned half = planted_bytes / 2;
    for (unsigned part = 0; part < 2; ++part) {
      io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
      io_uring_prep_write(sqe, end_.get(), message.data() + part * half, half, 0);
      io_uring_sqe_set_flags(sqe, part == 0 ? flags : 0);
    }
    if (io_uring_submit(&ring_) != 2) return IoResult::failed(EIO);
    for (unsigned part = 0; part < 2; ++part) {
      io_uring_cqe* one = nullptr;
      while (io_uring_wait_cqe(&ring_, &one) == -EINTR) {
      }
      const bool whole = one->res == int{half};
      io_uring_cqe_seen(&ring_, one);
      if (!whole) return IoResult::failed(EIO);
    }
    return IoResult::sent();
  }

 private:
  Descriptor end_;
  io_uring ring_{};
};

bool has_torn(const Session& session) {
  const History history = session.history();
  const auto records = history.lanes[1].records;
  return std::any_of(records.begin(), records.end(), [](const Record& one) {
    return one.op() == Op::receive && one.result() == Outcome::ok &&
           one.content() != Content::intact;
  });
}

// Schedules, of so many, in which what was received is not what was sent.
template <unsigned flags>
unsigned torn_schedules(unsigned schedules) {
  const Registration registration = planted<UringProducer<flags>, PlainConsumer>();
  Room room(registration, planted_scenario(registration, 3), Backend::processes);
  Session& session = room.session();
  EXPECT_EQ(session.run({}), Ending::complete) << session.state().said;
  EXPECT_FALSE(has_torn(session));
  unsigned torn = 0;
  for (std::uint64_t seed = 1; seed <= schedules; ++seed) {
    const Ending ending = session.run({.source = Source::walk, .seed = seed});
    if (flags != 0) {
      EXPECT_EQ(ending, Ending::complete) << session.state().said;
    }
    const std::uint64_t hash = session.state().hash;
    if (has_torn(session)) ++torn;
    EXPECT_EQ(session.run(keyed_plan(taken_in(session))), ending);
    EXPECT_EQ(session.state().hash, hash) << "seed " << seed;
  }
  return torn;
}

TEST(UringInASchedule, UnorderedWritesAreFound) { EXPECT_GT(torn_schedules<0>(20), 0u); }
TEST(UringInASchedule, LinkedWritesKeepTheirOrder) {
  EXPECT_EQ(torn_schedules<IOSQE_IO_LINK>(20), 0u);
}

}  // namespace
}  // namespace ipctorture::schedule
#endif  // <liburing.h>
