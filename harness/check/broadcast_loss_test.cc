#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// Consumer 0 receives everything; consumer 1 attaches after the third message and is lapped by two.
HistoryBuilder broadcast() {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::broadcast;
  b.contract.when_full = WhenFull::overwrites_oldest;
  b.contract.late_consumer = LateConsumer::from_attach;
  b.contract.reports_closed = true;
  b.add(0, Op::attach, Outcome::ok, 1, 2);
  b.add(b.consumer(0), Op::attach, Outcome::ok, 1, 2);
  for (std::uint64_t i = 0; i < 10; ++i) {
    b.send(0, i, 100 * i + 10, 100 * i + 20);
    b.receive(0, 0, i, 100 * i + 30, 100 * i + 40);
    if (i == 2) b.add(b.consumer(1), Op::attach, Outcome::ok, 250, 260);
    if (i < 5) continue;
    b.receive(1, 0, i, 100 * i + 50, 100 * i + 60);
    if (i == 5) b.note(b.consumer(1), Op::missed, 100 * i + 60, 2);
  }
  b.close(0, 2000, 2001);
  b.nothing(0, Outcome::closed, 2010, 2011, DeadlineMode::never);
  b.nothing(1, Outcome::closed, 2010, 2011, DeadlineMode::never);
  return b;
}

TEST(BroadcastLoss, PassesWhatEachConsumerIsOwed) {
  for (const Finding& f : broadcast().judge().findings)
    EXPECT_EQ(f.verdict, Verdict::pass) << f.what;
}

TEST(BroadcastLoss, FindsAMessageThatOneDidNotGet) {
  HistoryBuilder b = broadcast();
  auto& records = b.records(b.consumer(1));
  records.erase(records.begin() + 4);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "unreported");
  b.contract.when_full = WhenFull::blocks;
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "lost");
}

TEST(BroadcastLoss, TheReportOfMissedMessagesIsExact) {
  for (const std::uint64_t said : {1u, 3u}) {
    HistoryBuilder b = broadcast();
    b.records(b.consumer(1))[2].message = said;
    EXPECT_EQ(b.judge(Promise::delivery).symptom, said == 1 ? "unreported" : "overreported");
  }
}

TEST(BroadcastLoss, FindsTheLastMessageMissing) {
  HistoryBuilder b = broadcast();
  auto& records = b.records(b.consumer(1));
  records.erase(records.end() - 2);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "lost");
}

TEST(BroadcastLoss, WhoLeftIsOwedNothingMore) {
  HistoryBuilder b = broadcast();
  auto& records = b.records(b.consumer(1));
  records.resize(records.size() - 3);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
}

TEST(BroadcastLoss, FindsADuplicateOfOneConsumer) {
  HistoryBuilder b = broadcast();
  b.records(b.consumer(0))[5].message = HistoryBuilder::id(0, 3);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "duplicate");
}

}  // namespace
}  // namespace ipctorture
