#include "stress/bench/long_run.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

// What is measured is long, overlaps, and is right by every oracle.
TEST(LongRun, IsRightAndAsLongAsWanted) {
  for (const unsigned peers : {1u, 4u}) {
    const RunOfMany run = make_long_run({.producers = peers, .consumers = peers, .messages = 5000});
    EXPECT_EQ(run.operations, 10'000u);
    EXPECT_EQ(run.history.lanes.size(), 2 * peers);
    const Judgement judgement = check({run.history, run.contract, run.scenario});
    for (const Finding& finding : judgement.findings) {
      EXPECT_EQ(finding.verdict, Verdict::pass) << to_string(finding.promise) << finding.what;
    }
    EXPECT_EQ(judgement.findings.at(0).occasions, 5000u);
  }
}

TEST(LongRun, OneExchangeIsFound) {
  RunOfMany run = make_long_run({.producers = 4, .consumers = 4, .messages = 5000});
  const auto lane = run.history.lanes.back().records;
  std::vector<Record> exchanged(lane.begin(), lane.end());
  std::swap(exchanged.at(500).message, exchanged.at(900).message);
  run.history.lanes.back().records = exchanged;
  EXPECT_EQ(check({run.history, run.contract, run.scenario}).verdict(), Verdict::violation);
}

}  // namespace
}  // namespace ipctorture
