#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// Message 0 of producer 0 is received after `later` messages of producer 1, all sent after it.
HistoryBuilder overtaken(std::uint64_t later) {
  HistoryBuilder b(2, 1);
  b.contract.overtakes_max = 4;
  b.attach_all();
  b.send(0, 0, 10, 20);
  for (std::uint64_t i = 0; i < later; ++i) {
    b.send(1, i, 100 * i + 130, 100 * i + 140);
    b.receive(0, 1, i, 100 * i + 150, 100 * i + 160);
  }
  b.receive(0, 0, 0, 100 * later + 150, 100 * later + 160);
  return b;
}

TEST(Starvation, OvertakesAreCounted) {
  EXPECT_EQ(overtaken(4).judge(Promise::starvation).verdict, Verdict::pass);
  const Finding finding = overtaken(5).judge(Promise::starvation);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_NE(finding.what.find("overtaken by 5 messages"), std::string::npos) << finding.what;
}

TEST(Starvation, NothingIsClaimedWithoutAPromise) {
  HistoryBuilder b = overtaken(50);
  b.contract.overtakes_max.reset();
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::unsupported);
  EXPECT_EQ(b.judge().fairness.overtakes, 50u) << "but it is measured";
}

TEST(Starvation, ADisturbedMachineIsNoProof) {
  HistoryBuilder b = overtaken(5);
  b.evidence(Fact::loaded, -1, 1, 10'000, 900);
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::inconclusive);
}

// A queue that is FIFO in real time lets none overtake: that holds on any machine.
TEST(Starvation, NoneAtAllIsNoMatterOfLoad) {
  HistoryBuilder b = overtaken(1);
  b.contract.overtakes_max = 0;
  b.evidence(Fact::loaded, -1, 1, 10'000, 900);
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::violation);
  EXPECT_EQ(overtaken(0).judge(Promise::starvation).verdict, Verdict::pass);
}

TEST(Starvation, AnOccasionIsAMessageThatWaitsWhileALaterOneIsThere) {
  EXPECT_EQ(overtaken(4).judge(Promise::starvation).occasions, 1u);
  EXPECT_EQ(overtaken(0).judge(Promise::starvation).occasions, 0u);
}

// Producer 1 sends 30 messages, producer 0 as many as are asked for, while both are at it.
HistoryBuilder shared_by(std::uint64_t sent_by_0) {
  HistoryBuilder b(2, 2);
  b.attach_all();
  for (std::uint64_t i = 0; i < 30; ++i) {
    const Stamp at = 1000 * (i + 1);
    if (i < sent_by_0 - 1 || i == 29) b.send(0, std::min(i, sent_by_0 - 1), at, at + 10);
    b.send(1, i, at, at + 20);
    b.receive(0, 1, i, at + 100, at + 130);
  }
  b.receive(1, 0, 0, 1100, 40'000);
  return b;
}

TEST(Fairness, SharesAreComparedWhileAllWereAtIt) {
  const auto even = shared_by(30).judge().fairness;
  EXPECT_NEAR(even.jain_producers.value(), 1.0, 0.01);
  EXPECT_NEAR(even.jain_consumers.value(), 0.53, 0.01) << "30 of 31 messages went to consumer 0";
  EXPECT_NEAR(shared_by(2).judge().fairness.jain_producers.value(), 0.56, 0.05);
  HistoryBuilder early = shared_by(30);
  early.records(0).resize(12);  // it had sent all of its own by then
  EXPECT_NEAR(early.judge().fairness.jain_producers.value(), 1.0, 0.01);
  early.records(0).resize(4);
  EXPECT_FALSE(early.judge().fairness.jain_producers.has_value()) << "too little to compare";
}

TEST(Fairness, TheLongestWaitsAreThoseOfOneMessageAndOneSend) {
  HistoryBuilder b = overtaken(3);
  b.send(0, 1, 1000, 5000);
  for (std::uint64_t i = 3; i < 8; ++i) b.send(1, i, 1000 * (i - 2) + 10, 1000 * (i - 2) + 20);
  b.receive(0, 0, 1, 5100, 5200);
  for (std::uint64_t i = 3; i < 8; ++i) b.receive(0, 1, i, 5000 + 100 * i, 5010 + 100 * i);
  const Fairness fairness = b.judge().fairness;
  EXPECT_EQ(fairness.messages, 10u);
  EXPECT_EQ(fairness.peer_wait_ns, 4000);
  EXPECT_EQ(fairness.peer_overtakes, 4u);
  EXPECT_EQ(fairness.wait_ns, 5310 - 1020);
}

// A consumer that closes half-way has no share of what comes after.
TEST(Fairness, WhoLeftEarlyWasNotKeptFromItsShare) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Stamp at = 1000 * (i + 1);
    b.send(0, i, at, at + 10);
    b.receive(i % 2 == 0 && i < 40 ? 1 : 0, 0, i, at + 20, at + 30);
    if (i == 40) b.close(b.consumer(1), at + 1, at + 2);
  }
  EXPECT_NEAR(b.judge().fairness.jain_consumers.value(), 1.0, 0.01);
}

TEST(Starvation, MessagesSentAtTheSameTimeDoNotOvertake) {
  HistoryBuilder b = overtaken(10);
  b.records(0)[1].returned = 700;
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
