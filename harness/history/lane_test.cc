#include "harness/history/lane.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>

namespace ipctorture {
namespace {

// docs/worker-protocol.md promises these to programs in other languages.
TEST(LaneLayout, IsTheDocumentedOne) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  EXPECT_EQ(offsetof(LaneHeader, stays), 20u);
  EXPECT_EQ(offsetof(LaneHeader, capacity), 24u);
  EXPECT_EQ(offsetof(LaneHeader, opened), 64u);
  EXPECT_EQ(offsetof(LaneHeader, head), 72u);
  EXPECT_EQ(offsetof(LaneHeader, accepted), 80u);
  EXPECT_EQ(offsetof(LaneHeader, received), 88u);
  EXPECT_EQ(offsetof(LaneHeader, state), 128u);
  EXPECT_EQ(offsetof(LaneHeader, error), 140u);
  EXPECT_EQ(offsetof(LaneHeader, obeyed), 160u);
  EXPECT_EQ(offsetof(LaneHeader, error_text), 164u);
  EXPECT_EQ(offsetof(LaneHeader, descriptors_max), 420u);
  EXPECT_EQ(offsetof(LaneHeader, calls_failed), 424u);
  EXPECT_EQ(offsetof(LaneHeader, calls_shortened), 428u);
  EXPECT_EQ(offsetof(LaneHeader, calls_interrupted), 432u);
  EXPECT_EQ(offsetof(LaneHeader, order), 448u);
  EXPECT_EQ(offsetof(LaneHeader, stop), 456u);
  EXPECT_EQ(offsetof(Record, size), 24u);
  EXPECT_EQ(offsetof(Record, detail), 30u);
#pragma GCC diagnostic pop
}

class LaneInMemory : public ::testing::Test {
 protected:
  static constexpr std::uint64_t capacity = 1u << 16;
  LaneInMemory() {
    const Descriptor fd = create_unnamed_memory("lane-test", lane_bytes(capacity), Backing::sparse);
    mapping_ = SharedMapping(fd.get(), lane_bytes(capacity), "lane-test");
    lane_ = Lane(mapping_.data());
    lane_.reset(StampSource::monotonic, /*serialised=*/false, capacity);
  }
  SharedMapping mapping_;
  Lane lane_;
};

TEST_F(LaneInMemory, JournalsAnOperationAndANote) {
  Journal journal(lane_);
  journal.begin(Op::send, 1, DeadlineMode::at, MessageId{.sequence = 7, .producer = 2}.packed(),
                64);
  EXPECT_TRUE(lane_.records()[0].open());
  EXPECT_EQ(lane_.header().opened.load(), 1u);
  EXPECT_EQ(lane_.header().head.load(), 0u);
  journal.end(journal.returned(), Outcome::full, 11);
  journal.note(Op::finished, 0, 5, 6, 3);
  ASSERT_EQ(lane_.header().head.load(), 2u);
  const Record& sent = lane_.records()[0];
  EXPECT_EQ(sent.op(), Op::send);
  EXPECT_EQ(sent.channel(), 1u);
  EXPECT_EQ(sent.mode(), DeadlineMode::at);
  EXPECT_EQ(sent.result(), Outcome::full);
  EXPECT_EQ(sent.detail, 11);
  EXPECT_EQ(sent.id(), (MessageId{.sequence = 7, .producer = 2}));
  EXPECT_GE(sent.returned, sent.invoked);
  const Record& note = lane_.records()[1];
  EXPECT_EQ(note.message, 5u);
  EXPECT_EQ(note.size, 6u);
  EXPECT_EQ(note.detail, 3u);
}

// Whatever the moment of a SIGKILL, records below `head` are whole.
TEST_F(LaneInMemory, SurvivesSigkill) {
  for (int round = 0; round < 50; ++round) {
    lane_.reset(StampSource::monotonic, /*serialised=*/false, capacity);
    const pid_t child = ::fork();
    if (child == 0) {
      for (;;) {
        Journal journal(lane_);
        lane_.header().head.store(0);
        lane_.header().opened.store(0);
        journal = Journal(lane_);
        while (journal.room(1)) {
          const std::uint64_t number = journal.head();
          journal.begin(Op::send, 0, DeadlineMode::never, number * 7, 1);
          journal.end(number + 1, Outcome::ok, static_cast<std::uint16_t>(number));
        }
      }
    }
    while (lane_.header().head.load() < 100u * static_cast<unsigned>(round)) {
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::uint64_t head = lane_.header().head.load();
    ASSERT_LE(head, capacity);
    for (std::uint64_t i = 0; i < head; ++i) {
      const Record& record = lane_.records()[i];
      ASSERT_EQ(record.message, i * 7);
      ASSERT_EQ(record.returned, i + 1);
      ASSERT_EQ(record.detail, static_cast<std::uint16_t>(i));
    }
  }
}

}  // namespace
}  // namespace ipctorture
