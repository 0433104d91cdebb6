#include "stress/latency.h"

#include <gtest/gtest.h>

#include <vector>

namespace ipctorture {
namespace {

TEST(LatencyHistogram, PercentilesAreWithinSixPercent) {
  LatencyHistogram histogram;
  for (std::int64_t ns = 1; ns <= 100'000; ++ns) histogram.add(ns);
  for (const unsigned per_mille : {10u, 500u, 900u, 990u, 1000u}) {
    const double truth = per_mille * 100.0;
    EXPECT_GE(static_cast<double>(histogram.percentile_ns(per_mille)), truth);
    EXPECT_LE(static_cast<double>(histogram.percentile_ns(per_mille)), truth * 1.07);
  }
}

TEST(LatencyHistogram, ExtremesAndNothing) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile_ns(500), 0);
  histogram.add(-5);
  EXPECT_EQ(histogram.percentile_ns(500), 0);
  histogram.add(INT64_MAX);
  EXPECT_GE(histogram.percentile_ns(1000), INT64_MAX / 20 * 19);
}

TEST(LatencyHistogram, MergeIsAddition) {
  LatencyHistogram one, other, both;
  for (std::int64_t ns : {10, 20, 5000}) one.add(ns), both.add(ns);
  for (std::int64_t ns : {7, 900'000}) other.add(ns), both.add(ns);
  one.merge(other);
  EXPECT_EQ(one.count(), 5u);
  for (unsigned p = 100; p <= 1000; p += 100)
    EXPECT_EQ(one.percentile_ns(p), both.percentile_ns(p));
}

Record record(Op op, std::uint64_t sequence, Stamp invoked, Stamp returned, std::uint32_t size) {
  Record r;
  r.invoked = invoked;
  r.returned = returned;
  r.message = MessageId{.sequence = sequence}.packed();
  r.size = size;
  r.what = Record::encode(op, 0, DeadlineMode::never);
  r.outcome = static_cast<std::uint8_t>(Outcome::ok);
  return r;
}

TEST(SampleLatency, MatchesSendAndReceive) {
  const std::vector<Record> sends{record(Op::send, 0, 100, 150, 64),
                                  record(Op::send, 1, 200, 250, 64),
                                  record(Op::send, 2, 300, 350, 4)};
  const std::vector<Record> receives{record(Op::receive, 0, 90, 600, 64),
                                     record(Op::receive, 1, 610, 700, 64),
                                     record(Op::receive, 2, 710, 9999, 4),    // names itself partly
                                     record(Op::receive, 77, 710, 720, 64)};  // never sent
  History history;
  history.lanes.push_back({.producer_on = {0}, .consumer_on = {-1}, .records = sends});
  history.lanes.push_back({.producer_on = {-1}, .consumer_on = {0}, .records = receives});
  LatencyHistogram histogram;
  sample_latency(history, &histogram);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_NEAR(static_cast<double>(histogram.percentile_ns(1000)), 500, 32);
}

TEST(SampleLatency, BoundsItsWork) {
  std::vector<Record> sends, receives;
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    sends.push_back(record(Op::send, i, i * 10 + 1, i * 10 + 2, 64));
    receives.push_back(record(Op::receive, i, i * 10 + 1, i * 10 + 5, 64));
  }
  History history;
  history.lanes.push_back({.producer_on = {0}, .consumer_on = {-1}, .records = sends});
  history.lanes.push_back({.producer_on = {-1}, .consumer_on = {0}, .records = receives});
  LatencyHistogram histogram;
  sample_latency(history, &histogram);
  EXPECT_GT(histogram.count(), 500u);
  EXPECT_LT(histogram.count(), 4000u);
  EXPECT_EQ(histogram.percentile_ns(990), 4);
}

}  // namespace
}  // namespace ipctorture
