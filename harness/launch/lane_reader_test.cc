// A supervisor believes nothing of a lane that another program wrote.
#include "harness/launch/lane_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <vector>

namespace ipctorture {
namespace {

constexpr std::uint64_t capacity = 4;

struct alignas(64) Page {
  std::byte bytes[64];
};

class LaneReader : public testing::Test {
 protected:
  LaneReader() : memory_(lane_bytes(capacity) / sizeof(Page)), lane_(memory_.data()->bytes) {
    lane_.reset(StampSource::monotonic, true, capacity);
  }
  std::span<std::byte> file() { return {memory_.data()->bytes, lane_bytes(capacity)}; }
  History gathered() {
    History history;
    gather_lane(lane_, 0, Scenario{}, capacity, &history);
    return history;
  }

  std::vector<Page> memory_;
  Lane lane_;
};

TEST_F(LaneReader, NoMoreRecordsThanThereIsRoomFor) {
  lane_.header().head = ~std::uint64_t{0};
  lane_.header().opened = ~std::uint64_t{0};
  EXPECT_EQ(gathered().lanes[0].records.size(), capacity);
}

TEST_F(LaneReader, ARecordThatWasCutCountsForNothing) {
  lane_.header().head = 1;
  lane_.header().opened = 2;
  lane_.records()[1] = {.invoked = 5,
                        .returned = 6,
                        .message = 7,
                        .size = 8,
                        .what = Record::encode(Op::receive, 0, DeadlineMode::never),
                        .outcome = static_cast<std::uint8_t>(Outcome::ok)};
  const auto records = gathered().lanes[0].records;
  ASSERT_EQ(records.size(), 2u);
  EXPECT_TRUE(records[1].open());
  EXPECT_EQ(records[1].result(), Outcome::unknown);
  EXPECT_EQ(records[1].message, 0u);
}

TEST_F(LaneReader, TextsAndCountsEndWhereTheirMemoryDoes) {
  LaneHeader& header = lane_.header();
  header.state = static_cast<std::uint32_t>(LaneState::failed);
  header.calls_failed = 1'000'000;
  std::memset(header.error_text, 'x', sizeof header.error_text);
  for (unsigned i = 0; i < lane_failures_max; ++i) std::memset(lane_.failures()[i].call, 'y', 20);
  const auto evidence = gathered().evidence;
  ASSERT_EQ(evidence.size(), 1u + lane_failures_max);
  EXPECT_EQ(evidence[0].text, std::string(256, 'x'));
  EXPECT_EQ(evidence[1].text, std::string(20, 'y'));
}

TEST_F(LaneReader, AWorkerRefusesWhatIsNoLane) {
  EXPECT_NO_THROW(refuse_unless_lane(file(), "lane"));
  EXPECT_THROW(refuse_unless_lane(file().first(100), "lane"), std::invalid_argument);
  lane_.header().capacity = capacity + 1;
  EXPECT_THROW(refuse_unless_lane(file(), "lane"), std::invalid_argument);
  lane_.header().capacity = capacity;
  lane_.header().magic = 0;
  EXPECT_THROW(refuse_unless_lane(file(), "lane"), std::invalid_argument);
}

}  // namespace
}  // namespace ipctorture
