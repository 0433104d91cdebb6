#include "harness/history/history.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

struct Small {
  std::vector<Record> sends, receives;
  History history;

  Small() {
    history.lanes.resize(2);
    history.lanes[0].producer_on = {0};
    history.lanes[1].consumer_on = {0};
    sends.push_back({.invoked = 10,
                     .returned = 20,
                     .what = Record::encode(Op::send, 0, DeadlineMode::never),
                     .outcome = static_cast<std::uint8_t>(Outcome::ok)});
    sends.push_back(sends[0]);
    sends[1].invoked = 20;
    receives.push_back({.invoked = 30, .what = Record::encode(Op::receive, 0, DeadlineMode::at)});
  }
  std::vector<std::string> faults() {
    history.lanes[0].records = sends;
    history.lanes[1].records = receives;
    return history_faults(history);
  }
};

TEST(HistoryFaults, AWellFormedHistoryHasNone) { EXPECT_TRUE(Small().faults().empty()); }

struct Breakage {
  const char* name;
  void (*apply)(Small&);
};
class BrokenHistory : public testing::TestWithParam<Breakage> {};

TEST_P(BrokenHistory, IsFound) {
  Small small;
  GetParam().apply(small);
  EXPECT_EQ(small.faults().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    HistoryFaults, BrokenHistory,
    testing::Values(
        Breakage{"returned_early",
                 [](Small& s) { s.sends[1].returned = 19, s.sends[1].invoked = 20; }},
        Breakage{"backwards", [](Small& s) { s.sends[1].invoked = 19; }},
        Breakage{"open_in_the_middle",
                 [](Small& s) {
                   s.sends[0].returned = 0;
                   s.sends[0].outcome = 0;
                 }},
        Breakage{"open_with_outcome", [](Small& s) { s.receives[0].outcome = 1; }},
        Breakage{"unknown_operation", [](Small& s) { s.sends[0].what = 15; }},
        Breakage{"no_operation", [](Small& s) { s.sends[0].what = 0; }},
        Breakage{"unknown_outcome", [](Small& s) { s.sends[0].outcome = 8; }},
        Breakage{
            "unknown_mode",
            [](Small& s) { s.sends[0].what = static_cast<std::uint8_t>(s.sends[0].what | 192); }},
        Breakage{
            "unknown_channel",
            [](Small& s) { s.sends[0].what = static_cast<std::uint8_t>(s.sends[0].what | 16); }},
        Breakage{"another_producers_name",
                 [](Small& s) { s.sends[0].message = std::uint64_t{1} << 56; }},
        Breakage{"send_by_a_consumer", [](Small& s) { s.receives[0].what = s.sends[0].what; }},
        Breakage{
            "receive_by_a_producer",
            [](Small& s) { s.sends[0].what = Record::encode(Op::receive, 0, DeadlineMode::at); }},
        Breakage{"unknown_content",
                 [](Small& s) {
                   s.receives[0].returned = 40;
                   s.receives[0].outcome = 1;
                   s.receives[0].detail = 3;
                 }},
        Breakage{"index_taken_twice",
                 [](Small& s) {
                   s.history.lanes.push_back({});
                   s.history.lanes[2].producer_on = {0};
                 }},
        Breakage{"negative_index", [](Small& s) { s.history.lanes[1].producer_on = {-2}; }},
        Breakage{"no_channels", [](Small& s) { s.history.channels = 0; }},
        Breakage{"no_clock", [](Small& s) { s.history.stamps.ticks_per_ns = 0; }},
        Breakage{"evidence_of_nobody",
                 [](Small& s) { s.history.evidence.push_back({.fact = Fact::died, .lane = 2}); }},
        Breakage{"evidence_backwards",
                 [](Small& s) { s.history.evidence.push_back({.from = 5, .to = 4}); }},
        Breakage{"unknown_fact",
                 [](Small& s) {
                   s.history.evidence.push_back({.fact = static_cast<Fact>(fact_count)});
                 }}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(HistoryFaults, AreBounded) {
  Small small;
  small.sends.assign(1000, Record{});
  EXPECT_LE(small.faults().size(), 16u);
}

TEST(LaneName, SaysTheRole) {
  EXPECT_EQ((LaneHistory{.producer_on = {3}, .consumer_on = {-1}}).name(), "producer 3");
  EXPECT_EQ((LaneHistory{.producer_on = {-1}, .consumer_on = {2}}).name(), "consumer 2");
  EXPECT_EQ((LaneHistory{.producer_on = {1, -1}, .consumer_on = {-1, 1}}).name(), "client 1");
  EXPECT_EQ((LaneHistory{.producer_on = {-1, 0}, .consumer_on = {0, -1}}).name(), "server 0");
  EXPECT_EQ((LaneHistory{.worker = 4, .thread = 1}).name(), "worker 4 thread 1");
}

TEST(Facts, HaveNamesAndAreFound) {
  for (unsigned i = 0; i < fact_count; ++i) EXPECT_NE(to_string(static_cast<Fact>(i)), "?");
  EXPECT_EQ(to_string(static_cast<Fact>(fact_count)), "?");
  History history;
  EXPECT_FALSE(history.has(Fact::killed));
  history.evidence.push_back({.fact = Fact::killed});
  EXPECT_TRUE(history.has(Fact::killed));
}

}  // namespace
}  // namespace ipctorture
