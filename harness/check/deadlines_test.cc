#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// A receive whose deadline was overrun by 60 ms, of which the thread was kept from running so long.
HistoryBuilder late(std::uint32_t starved_us) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.nothing(0, Outcome::timed_out, 10_ms, 80_ms);
  b.note(1, Op::late, 80_ms, 60'000'000, starved_us);
  return b;
}

TEST(Deadlines, AnOverrunBeyondTheSlack) {
  const Finding finding = late(0).judge(Promise::deadlines);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, "receive at");
  EXPECT_EQ(finding.occasions, 1u);
  EXPECT_EQ(late(11'000).judge(Promise::deadlines).verdict, Verdict::pass) << "it was starved";
}

TEST(Deadlines, TheMachineStoodStill) {
  HistoryBuilder b = late(0);
  b.evidence(Fact::machine_stalled, -1, 20_ms, 40_ms, 20'000'000);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::pass);
  HistoryBuilder loaded = late(0);
  loaded.evidence(Fact::loaded, -1, 0, 100_ms, 800);
  EXPECT_EQ(loaded.judge(Promise::deadlines).verdict, Verdict::inconclusive);
}

TEST(Deadlines, AnotherWasStarvedAndMayHaveHeldALock) {
  HistoryBuilder b = late(0);
  b.evidence(Fact::starved, 0, 20_ms, 70_ms, 9'000'000);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::violation) << "not for as long";
  b.evidence(Fact::starved, 0, 70_ms, 80_ms, 2'000'000);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::inconclusive);
  HistoryBuilder after = late(0);
  after.evidence(Fact::starved, 0, 90_ms, 95_ms, 60'000'000);
  EXPECT_EQ(after.judge(Promise::deadlines).verdict, Verdict::violation) << "at another time";
}

TEST(Deadlines, WhoHasNoDeadlineDoesNotGiveUp) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.nothing(0, Outcome::timed_out, 10, 20, DeadlineMode::never);
  EXPECT_EQ(b.judge(Promise::deadlines).symptom, "receive gave up");
  HistoryBuilder empty(1, 1);
  empty.nothing(0, Outcome::empty, 10, 20, DeadlineMode::at);
  EXPECT_EQ(empty.judge(Promise::deadlines).symptom, "receive gave up");
  HistoryBuilder full(1, 1);
  full.send(0, 0, 10, 20, Outcome::full);
  EXPECT_EQ(full.judge(Promise::deadlines).symptom, "send gave up");
  full.contract.when_full = WhenFull::rejects;
  EXPECT_EQ(full.judge(Promise::deadlines).verdict, Verdict::pass);
}

TEST(Deadlines, AnOperationThatNeverReturned) {
  HistoryBuilder b(1, 1);
  b.scenario.receive_deadlines = {.at_permille = 1000, .at_us = 100'000};
  b.attach_all();
  b.waits(0, 10_ms, DeadlineMode::at);
  b.evidence(Fact::asleep, 1, 20_ms, 140_ms);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::pass);
  b.evidence(Fact::asleep, 1, 140_ms, 200_ms);
  EXPECT_EQ(b.judge(Promise::deadlines).symptom, "receive never returned");
}

}  // namespace
}  // namespace ipctorture
