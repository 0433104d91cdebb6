#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// The message is accepted at 100 ms; the consumer sleeps in one receive until `wakes`, then gets
// it.
HistoryBuilder sleeper(Stamp wakes) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.receive(0, 0, 0, 10_ms, wakes + 1000);
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(0)), 20_ms, wakes, 1);
  return b;
}

TEST(Stall, ASleepWhileAMessageWaits) {
  const Finding fast = sleeper(1000_ms).judge(Promise::stall);
  EXPECT_EQ(fast.verdict, Verdict::pass);
  EXPECT_EQ(fast.occasions, 1u);
  const Finding slow = sleeper(2200_ms).judge(Promise::stall);
  EXPECT_EQ(slow.verdict, Verdict::violation);
  EXPECT_NE(slow.what.find("consumer 0 slept 2100 ms in receive while message 0 of producer 0"),
            std::string::npos)
      << slow.what;
}

TEST(Stall, ATimeoutDoesNotHideIt) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.nothing(0, Outcome::timed_out, 10_ms, 2500_ms);
  b.receive(0, 0, 0, 2500_ms, 2501_ms);
  b.evidence(Fact::asleep, 1, 20_ms, 2400_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation);
}

// Of two consumers one was killed, and may have taken the message along; the other sleeps on.
HistoryBuilder bereaved(Stamp death, std::uint32_t lost_max) {
  HistoryBuilder b(1, 2);
  b.contract.lost_per_death_max = lost_max;
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.waits(1, 10_ms);
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(1)), 20_ms, 9000_ms, 1);
  b.evidence(Fact::killed, static_cast<int>(b.consumer(0)), death, death);
  return b;
}

TEST(Stall, ADeathMayTakeTheMessageAlong) {
  EXPECT_NE(bereaved(150_ms, 1).judge(Promise::stall).verdict, Verdict::violation);
  EXPECT_EQ(bereaved(150_ms, 0).judge(Promise::stall).verdict, Verdict::violation);
  EXPECT_EQ(bereaved(8999_ms, 1).judge(Promise::stall).verdict, Verdict::violation)
      << "killed because of it";
}

TEST(Stall, ADisturbedMachineIsNoProof) {
  HistoryBuilder b = sleeper(2200_ms);
  b.evidence(Fact::starved, 0, 500_ms, 1500_ms, 900'000'000);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::inconclusive);
  HistoryBuilder later = sleeper(2200_ms);
  later.evidence(Fact::loaded, -1, 3000_ms, 4000_ms, 800);
  EXPECT_EQ(later.judge(Promise::stall).verdict, Verdict::violation);
}

TEST(Stall, SleepingBetweenOperationsIsNotWaiting) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.receive(0, 0, 0, 2300_ms, 2301_ms);
  b.evidence(Fact::asleep, 1, 20_ms, 2200_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass);
}

TEST(Stall, AnotherConsumerWhoIsAwakeCouldTakeIt) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.nothing(0, Outcome::timed_out, 10_ms, 2500_ms);
  b.receive(1, 0, 0, 2000_ms, 2400_ms);
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(0)), 20_ms, 2450_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass);
  b.records(b.consumer(1))[1].invoked = 2300_ms;
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation) << "it came after the bound";
}

TEST(Stall, SomebodyRunnableInsideAnOperationExplainsIt) {
  HistoryBuilder b = sleeper(2200_ms);
  b.send(0, 1, 200_ms, 2000_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass);
  b.evidence(Fact::asleep, 0, 201_ms, 1999_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation);
}

TEST(Stall, ABoundMessageConcernsItsConsumerAlone) {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::bound_consumer;
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.nothing(0, Outcome::timed_out, 10_ms, 2500_ms);
  b.receive(1, 0, 0, 2300_ms, 2400_ms);
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(0)), 20_ms, 2450_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass) << "consumer 1 was not listening";
}

TEST(Stall, BroadcastChargesTheSleeper) {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::broadcast;
  b.attach_all();
  b.send(0, 0, 99_ms, 100_ms);
  b.receive(0, 0, 0, 10_ms, 101_ms);
  b.receive(1, 0, 0, 10_ms, 2500_ms);
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(1)), 20_ms, 2450_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::violation);
  b.raw().evidence.clear();
  b.evidence(Fact::asleep, static_cast<int>(b.consumer(1)), 20_ms, 2000_ms);
  EXPECT_EQ(b.judge(Promise::stall).verdict, Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
