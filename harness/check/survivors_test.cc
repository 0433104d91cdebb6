// What is owed to those who outlive a death, what is not, and which deaths were occasions.
#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// Producer 0 was killed, and a message is gone with it; its successor, and the consumer, sleep.
HistoryBuilder stuck(Stamp until) {
  HistoryBuilder b(2, 1);
  b.contract.survives_producer_death = true;
  b.contract.lost_per_death_max = 1;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 0, Outcome::unknown);
  b.evidence(Fact::killed, 0, 40, 50);
  b.send(1, 0, 1_ms, 0, Outcome::unknown);
  b.waits(0, 2_ms);
  b.evidence(Fact::asleep, 1, 3_ms, until, 1);
  b.evidence(Fact::asleep, 2, 3_ms, until, 1);
  b.evidence(Fact::waiting_in, 1, until, until, 0, "futex");
  return b;
}

TEST(Survivors, ASenderAndAConsumerWaitForEachOther) {
  const Finding finding = stuck(2500_ms).judge(Promise::deadlock);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.term, "survivors of a death go on");
  EXPECT_EQ(finding.symptom, "survivors stuck");
  EXPECT_EQ(finding.what,
            "after a death a sender waits for room and a consumer for a message: futex");
}

TEST(Survivors, MayWaitForAsLongAsTheBound) {
  HistoryBuilder b = stuck(1900_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::pass);
  b.evidence(Fact::deadlocked, -1, 1900_ms, 1900_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).symptom, "survivors stuck") << "nobody is left to wake them";
}

TEST(Survivors, AreNotStuckWhereAFullChannelRejects) {
  HistoryBuilder b = stuck(2500_ms);
  b.contract.when_full = WhenFull::rejects;
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::pass);
}

TEST(Survivors, AConsumerAloneMayWaitForWhatIsGone) {
  HistoryBuilder b = stuck(2500_ms);
  b.records(1).back().returned = 2_ms;
  b.records(1).back().outcome = static_cast<std::uint8_t>(Outcome::full);
  b.evidence(Fact::deadlocked, -1, 2500_ms, 2500_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::pass);
  b.send(1, 0, 3_ms, 4_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::violation) << "two are more than may be";
}

TEST(Survivors, EachDeathIsAnOccasionAndOneInsideAnOther) {
  HistoryBuilder b = stuck(1900_ms);
  Finding finding = b.judge(Promise::deadlock);
  EXPECT_EQ(finding.tried_of(Term::outlives_producer), 1u);
  EXPECT_EQ(finding.tried_of(Term::outlives_producer_inside), 1u);
  b.records(0).pop_back();
  finding = b.judge(Promise::deadlock);
  EXPECT_EQ(finding.tried_of(Term::outlives_producer), 1u);
  EXPECT_EQ(finding.tried_of(Term::outlives_producer_inside), 0u);
  b.contract.survives_producer_death = false;
  EXPECT_EQ(b.judge(Promise::deadlock).tried_of(Term::outlives_producer), 0u);
}

TEST(Survivors, WhoIsEndedWithAllOthersIsNoOccasion) {
  HistoryBuilder b(1, 1);
  b.contract.survives_producer_death = true;
  b.attach_all();
  b.send(0, 0, 10, 0, Outcome::unknown);
  b.waits(0, 20);
  b.evidence(Fact::killed, 0, 30, 30);
  b.evidence(Fact::killed, 1, 31, 31);
  EXPECT_EQ(b.judge(Promise::deadlock).tried_of(Term::outlives_producer), 0u);
}

// Consumer 0 was killed in a receive; `lost` messages never arrive, a later one does.
HistoryBuilder lost_with_a_consumer(unsigned lost) {
  HistoryBuilder b(1, 2);
  b.contract.survives_consumer_death = true;
  b.contract.lost_per_death_max = 1;
  b.attach_all();
  b.waits(0, 5);
  for (unsigned i = 0; i <= lost; ++i) b.send(0, i, 10 + 20 * i, 20 + 20 * i);
  b.evidence(Fact::killed, 1, 100, 110);
  b.receive(1, 0, lost, 200, 210);
  return b;
}

TEST(Survivors, ADeathTakesAsManyMessagesAsTheContractSays) {
  EXPECT_EQ(lost_with_a_consumer(1).judge(Promise::delivery).verdict, Verdict::pass);
  HistoryBuilder several = lost_with_a_consumer(3);
  const Finding finding = several.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, "lost");
  several.contract.lost_per_death_max = 3;
  EXPECT_EQ(several.judge(Promise::delivery).verdict, Verdict::pass);
}

TEST(Survivors, AnErrorAfterASurvivedDeathIsAViolation) {
  HistoryBuilder b = lost_with_a_consumer(1);
  b.send(0, 2, 300, 310, Outcome::error).detail = EOWNERDEAD;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::violation);
  b.contract.survives_consumer_death = false;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::inconclusive);
}

// The successor's messages overwrote the dead one's, and the consumer was told that it missed one.
TEST(Survivors, WhatASuccessorOverwroteIsNotThere) {
  HistoryBuilder b(2, 1);
  b.contract.fan_out = FanOut::broadcast;
  b.contract.when_full = WhenFull::overwrites_oldest;
  b.contract.exact_empty = true;
  b.scenario.workload = Workload::broadcast;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.evidence(Fact::killed, 0, 25, 26, killed_as_fault);
  b.send(1, 0, 30, 40);
  b.receive(0, 1, 0, 50, 60);
  b.note(2, Op::missed, 61, 1);
  b.nothing(0, Outcome::empty, 70, 80, DeadlineMode::now);
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass);
  b.records(2).erase(b.records(2).begin() + 2);
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "false empty");
}

// A message waits while its consumer sleeps for longer than the bound.
HistoryBuilder asleep() {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10_ms, 11_ms);
  b.receive(0, 0, 0, 5_ms, 3000_ms);
  b.evidence(Fact::asleep, 1, 12_ms, 2900_ms, 1);
  return b;
}

TEST(Pauses, TheClockBeginsAnewWhenThePeerGoesOn) {
  HistoryBuilder b = asleep();
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation);
  b.evidence(Fact::paused, 0, 1500_ms, 1600_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass);
  b.raw().evidence.back().from = 100_ms, b.raw().evidence.back().to = 200_ms;
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation);
}

TEST(Pauses, WhoIsHeldOversleepsWithoutFault) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.nothing(0, Outcome::timed_out, 10_ms, 400_ms);
  b.note(1, Op::late, 401_ms, 300'000'000);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::violation);
  b.evidence(Fact::paused, 0, 50_ms, 350_ms);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::violation) << "that was another";
  b.evidence(Fact::paused, 1, 50_ms, 350_ms);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::pass);
  // The worker was stopped when it had its answer, before it looked at the clock.
  HistoryBuilder later(1, 1);
  later.attach_all();
  later.nothing(0, Outcome::empty, 10_ms, 11_ms, DeadlineMode::now);
  later.note(1, Op::late, 320_ms, 300'000'000);
  later.evidence(Fact::paused, 1, 12_ms, 310_ms);
  EXPECT_EQ(later.judge(Promise::deadlines).verdict, Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
