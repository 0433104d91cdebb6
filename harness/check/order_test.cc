#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

TEST(Order, OneConsumerSeesAProducersOrder) {
  HistoryBuilder b(2, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.send(1, 0, 10, 40);
  b.receive(0, 0, 0, 50, 60);
  b.receive(0, 1, 0, 61, 70);
  b.receive(0, 0, 1, 71, 80);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
  std::swap(b.records(b.consumer(0))[1].message, b.records(b.consumer(0))[3].message);
  const Finding finding = b.judge(Promise::order);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.witness.size(), 4u);
  b.contract.ordering = Ordering::none;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::unsupported);
}

// Message 1 was received before the receive of message 0 began, by another consumer.
HistoryBuilder two_consumers(Stamp second_begins) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 50, 60);
  b.receive(1, 0, 0, second_begins, 200);
  return b;
}

TEST(Order, ConsumersTogetherSeeAProducersOrder) {
  EXPECT_EQ(two_consumers(60).judge(Promise::order).verdict, Verdict::pass);
  EXPECT_EQ(two_consumers(61).judge(Promise::order).verdict, Verdict::violation);
}

TEST(Order, RealTimeIsClaimedOnlyBeyondTheSlackAndWithFences) {
  HistoryBuilder b = two_consumers(100);
  b.raw().stamps.slack_ticks = 40;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
  b.raw().stamps.slack_ticks = 39;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::violation);
  b.raw().serialised = false;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
}

TEST(Order, ABoundMessageMayWaitForItsSlowConsumer) {
  HistoryBuilder b = two_consumers(100);
  b.contract.fan_out = FanOut::bound_consumer;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
}

HistoryBuilder two_producers(Stamp second_sent) {
  HistoryBuilder b(2, 1);
  b.contract.ordering = Ordering::total;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(1, 0, second_sent, 200);
  b.receive(0, 1, 0, 250, 260);
  b.receive(0, 0, 0, 270, 280);
  return b;
}

TEST(Order, TotalOrderHoldsBetweenProducers) {
  EXPECT_EQ(two_producers(20).judge(Promise::order).verdict, Verdict::pass);
  HistoryBuilder b = two_producers(21);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::violation);
  b.contract.ordering = Ordering::per_producer;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
}

HistoryBuilder priorities(std::uint8_t first, std::uint8_t second, Stamp receive) {
  HistoryBuilder b(1, 1);
  b.contract.ordering = Ordering::priority;
  b.contract.priorities = 8;
  b.attach_all();
  b.send(0, 0, 10, 20).detail = first;
  b.send(0, 1, 30, 40).detail = second;
  b.receive(0, 0, 0, receive, 100).detail = static_cast<std::uint16_t>(first << 8);
  b.receive(0, 0, 1, 110, 120).detail = static_cast<std::uint16_t>(second << 8);
  return b;
}

TEST(Order, HigherPriorityComesFirst) {
  EXPECT_EQ(priorities(5, 1, 50).judge(Promise::order).verdict, Verdict::pass);
  EXPECT_EQ(priorities(1, 5, 50).judge(Promise::order).verdict, Verdict::violation);
  EXPECT_EQ(priorities(1, 5, 35).judge(Promise::order).verdict, Verdict::pass)
      << "the receive began before the higher one was accepted";
}

TEST(Order, WithinAPriorityItIsFirstInFirstOut) {
  HistoryBuilder b = priorities(3, 3, 50);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
  std::swap(b.records(1)[1].message, b.records(1)[2].message);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::violation);
  HistoryBuilder two(2, 1);
  two.contract.ordering = Ordering::priority;
  two.contract.priorities = 2;
  two.attach_all();
  two.send(0, 0, 10, 20);
  two.send(1, 0, 30, 40);
  two.receive(0, 1, 0, 50, 60);
  two.receive(0, 0, 0, 70, 80);
  EXPECT_EQ(two.judge(Promise::order).verdict, Verdict::violation);
}

TEST(Order, BroadcastConsumersAgreeOnATotalOrder) {
  HistoryBuilder b(2, 2);
  b.contract.ordering = Ordering::total;
  b.contract.fan_out = FanOut::broadcast;
  b.attach_all();
  b.send(0, 0, 10, 100);
  b.send(1, 0, 10, 100);
  for (unsigned consumer : {0u, 1u}) {
    b.receive(consumer, consumer, 0, 110, 120);
    b.receive(consumer, 1 - consumer, 0, 130, 140);
  }
  EXPECT_EQ(b.judge(Promise::order).symptom, "disagreement");
  auto& second = b.records(b.consumer(1));
  std::swap(second[1].message, second[2].message);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
  b.records(1)[1].returned = 20;
  b.records(0)[1].invoked = 30;
  EXPECT_EQ(b.judge(Promise::order).symptom, "reordered");
}

}  // namespace
}  // namespace ipctorture
