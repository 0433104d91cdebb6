#include "stress/export_history.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "harness/check/history_builder.h"
#include "harness/linear/contract.h"
#include "harness/linear/text.h"

namespace ipctorture {
namespace {

using linear::Truth;

linear::Answer judged(const HistoryBuilder& b, linear::Contract contract) {
  const std::string text = exported_history(b.history(), b.contract);
  return judge(linear::parse_history(text, linear::Values::sent_once).history, contract);
}

// Message 1 is received before the receive of message 0 begins, by another consumer.
HistoryBuilder overtaken(Stamp second_begins) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 50, 60);
  b.receive(1, 0, 0, second_begins, 200);
  return b;
}

TEST(ExportHistory, IsJudgedAsOurOracleJudges) {
  for (const Stamp begins : {Stamp{55}, Stamp{70}}) {
    HistoryBuilder b = overtaken(begins);
    const bool right = b.judge(Promise::order).verdict == Verdict::pass;
    EXPECT_EQ(right, begins == 55);
    EXPECT_EQ(judged(b, linear::Contract::per_producer).truth,
              right ? Truth::linearizable : Truth::violation);
    EXPECT_EQ(judged(b, linear::Contract::set).truth, Truth::linearizable);
  }
}

TEST(ExportHistory, StampsThatMayDisagreeClaimNoOrder) {
  HistoryBuilder b = overtaken(100);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
  b.raw().stamps.slack_ticks = 40;
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
}

TEST(ExportHistory, OnlyExactAnswersClaimSomething) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.nothing(0, Outcome::empty, 30, 40);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
  b.contract.exact_empty = true;
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
}

TEST(ExportHistory, WhatNeverReturnedIsUnknown) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.waits(0, 45);
  b.receive(1, 0, 1, 50, 60);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
}

// One consumer of two is told closed; the other one has a message still.
TEST(ExportHistory, WhereEachConsumerHasItsOwnMessagesOrderIsThatOfAPair) {
  for (const bool swapped : {false, true}) {
    HistoryBuilder b(1, 2);
    b.contract.fan_out = FanOut::bound_consumer;
    b.contract.reports_closed = true;
    b.attach_all();
    b.send(0, 0, 10, 20);
    b.send(0, 1, 30, 40);
    b.send(0, 2, 50, 60);
    b.receive(0, 0, swapped ? 2 : 1, 70, 80);
    b.receive(0, 0, swapped ? 1 : 2, 90, 100);
    b.nothing(0, Outcome::closed, 110, 120, DeadlineMode::never);
    b.receive(1, 0, 0, 130, 140);
    EXPECT_EQ(judged(b, linear::Contract::per_producer).truth,
              swapped ? Truth::violation : Truth::linearizable);
  }
}

TEST(ExportHistory, WhatMayBeLostIsNotInTheWay) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 50, 60);
  b.nothing(0, Outcome::closed, 70, 80, DeadlineMode::never);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
  b.contract.delivery = Delivery::at_most_once;
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
  b.receive(0, 0, 0, 90, 100);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
}

TEST(ExportHistory, WhatADeathMayTakeAlongIsNotInTheWay) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 70, 80);
  b.evidence(Fact::killed, static_cast<int>(b.consumer(1)), 50, 50, killed_as_fault);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
  b.contract.lost_per_death_max = 1;
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
}

// `told`: of the message that was overwritten.
HistoryBuilder lapped(bool told) {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::broadcast;
  b.contract.late_consumer = LateConsumer::from_attach;
  b.attach_all();
  for (std::uint64_t i = 0; i < 4; ++i) {
    b.send(0, i, 100 * i + 10, 100 * i + 20);
    b.receive(0, 0, i, 100 * i + 30, 100 * i + 40);
  }
  b.receive(1, 0, 0, 500, 510);
  b.receive(1, 0, 2, 520, 530);
  if (told) b.note(b.consumer(1), Op::missed, 530, 1);
  b.receive(1, 0, 3, 540, 550);
  return b;
}

TEST(ExportHistory, AGapOfABroadcastMustBeTold) {
  EXPECT_EQ(judged(lapped(false), linear::Contract::broadcast).truth, Truth::violation);
  EXPECT_EQ(judged(lapped(true), linear::Contract::broadcast).truth, Truth::linearizable);
  HistoryBuilder again = lapped(true);
  again.receive(1, 0, 2, 560, 570);  // after the gap the order is the common one too
  EXPECT_EQ(judged(again, linear::Contract::broadcast).truth, Truth::violation);
}

TEST(ExportHistory, WhoAttachesLateGetsTheRestOfABroadcast) {
  for (const Stamp attached : {Stamp{5}, Stamp{45}}) {
    HistoryBuilder b(1, 1);
    b.contract.fan_out = FanOut::broadcast;
    b.contract.late_consumer = LateConsumer::from_attach;
    b.add(b.consumer(0), Op::attach, Outcome::ok, 1, attached);
    b.send(0, 0, 10, 20);
    b.send(0, 1, 50, 60);
    b.receive(0, 0, 1, 70, 80);
    EXPECT_EQ(judged(b, linear::Contract::broadcast).truth,
              attached == 5 ? Truth::violation : Truth::linearizable);
  }
}

TEST(ExportHistory, AnAnswerThatAFailedCallExcusesClaimsNothing) {
  HistoryBuilder b(1, 1);
  b.contract.exact_empty = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.nothing(0, Outcome::empty, 30, 40);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::violation);
  b.evidence(Fact::shortage, static_cast<int>(b.consumer(0)), 35, 35, 12);
  EXPECT_EQ(judged(b, linear::Contract::fifo).truth, Truth::linearizable);
}

// The record of a send that was cut has no priority.
TEST(ExportHistory, WhatWasCutIsSentWithThePriorityOfItsReceipt) {
  for (const unsigned arrives_with : {0u, 5u}) {
    HistoryBuilder b(2, 1);
    b.contract.ordering = Ordering::priority;
    b.contract.priorities = 8;
    b.attach_all();
    b.send(0, 0, 10, 20).detail = 3;
    b.send(1, 0, 30, 0, Outcome::unknown);
    b.receive(0, 1, 0, 50, 60).detail = static_cast<std::uint16_t>(arrives_with << 8);
    b.receive(0, 0, 0, 70, 80).detail = 3 << 8;
    EXPECT_EQ(judged(b, linear::Contract::priority).truth,
              arrives_with == 5 ? Truth::linearizable : Truth::violation);
  }
}

TEST(ExportHistory, WhatIsCutWasNeverSent) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40, 4);
  EXPECT_EQ(judged(b, linear::Contract::set).truth, Truth::violation);
}

TEST(ExportHistory, IsHeldToNoMoreThanItsContract) {
  Contract contract;
  Scenario scenario;
  scenario.capacity = 4;
  const auto promise = [&] { return plain_promise(contract, scenario).value(); };
  contract.ordering = Ordering::total;
  EXPECT_EQ(promise().contract, linear::Contract::fifo);
  EXPECT_EQ(promise().capacity, 0u);
  contract.capacity_max = 64;
  EXPECT_EQ(promise().capacity, 4u);
  scenario.faults.consumer_kills = 1;
  EXPECT_EQ(promise().capacity, 0u);
  contract.ordering = Ordering::priority;
  EXPECT_EQ(promise().contract, linear::Contract::priority);
  contract.ordering = Ordering::none;
  EXPECT_EQ(promise().contract, linear::Contract::set);
  contract.ordering = Ordering::total;
  contract.fan_out = FanOut::bound_consumer;
  EXPECT_EQ(promise().contract, linear::Contract::per_producer);
  contract.fan_out = FanOut::broadcast;
  EXPECT_EQ(promise().contract, linear::Contract::broadcast);
  contract.ordering = Ordering::per_producer;
  EXPECT_FALSE(plain_promise(contract, scenario));
  contract.delivery = Delivery::latest_value;
  EXPECT_EQ(promise().contract, linear::Contract::latest);
}

TEST(ExportHistory, WhatAPlainHistoryCannotSayIsRefused) {
  HistoryBuilder b(1, 1);
  b.send(0, 0, 10, 20, Outcome::ok, 4);
  EXPECT_THROW(exported_history(b.history(), b.contract), std::runtime_error);
  Scenario scenario;
  scenario.size_count = 2;
  scenario.sizes = {64, 7};
  EXPECT_NE(no_plain_form(scenario), "");
  scenario.size_count = 1;
  EXPECT_EQ(no_plain_form(scenario), "");
  scenario.workload = Workload::request_reply;
  EXPECT_NE(no_plain_form(scenario), "");
}

}  // namespace
}  // namespace ipctorture
