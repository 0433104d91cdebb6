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

TEST(ExportHistory, WhatAPlainHistoryCannotSayIsRefused) {
  HistoryBuilder b(1, 1);
  b.send(0, 0, 10, 20, Outcome::ok, 4);
  EXPECT_THROW(exported_history(b.history(), b.contract), std::runtime_error);
  HistoryBuilder lapped(1, 1);
  lapped.note(lapped.consumer(0), Op::missed, 10, 3);
  EXPECT_THROW(exported_history(lapped.history(), lapped.contract), std::runtime_error);
}

}  // namespace
}  // namespace ipctorture
