#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

HistoryBuilder values() {
  HistoryBuilder b(1, 1);
  b.contract.delivery = Delivery::latest_value;
  b.contract.when_full = WhenFull::overwrites;
  b.contract.fan_out = FanOut::broadcast;
  b.contract.fires_only_on_change = true;
  b.attach_all();
  for (std::uint64_t i = 0; i < 4; ++i) b.send(0, i, 100 * i + 10, 100 * i + 20);
  return b;
}

TEST(LatestValue, ValuesMayBePassedOver) {
  HistoryBuilder b = values();
  b.receive(0, 0, 0, 30, 40);
  b.receive(0, 0, 3, 320, 330);
  b.nothing(0, Outcome::timed_out, 400, 3000_ms);
  const Judgement judgement = b.judge();
  for (const Finding& f : judgement.findings) EXPECT_EQ(f.verdict, Verdict::pass) << f.what;
  const Finding finding = b.judge(Promise::latest_value);
  EXPECT_EQ(finding.tried_of(Term::never_older), 1u);
  EXPECT_EQ(finding.tried_of(Term::fires_on_change), 0u) << "nothing was written again";
  EXPECT_EQ(finding.tried_of(Term::converges), 1u);
}

TEST(LatestValue, NeverOlderThanSeen) {
  HistoryBuilder b = values();
  b.receive(0, 0, 2, 205, 330);
  b.receive(0, 0, 1, 331, 340);
  EXPECT_EQ(b.judge(Promise::latest_value).symptom, "older than seen");
}

TEST(LatestValue, NeverOlderThanWhatWasThere) {
  HistoryBuilder b = values();
  b.receive(0, 0, 1, 220, 230);
  EXPECT_EQ(b.judge(Promise::latest_value).verdict, Verdict::pass) << "at the same time";
  HistoryBuilder stale = values();
  stale.receive(0, 0, 1, 221, 230);
  EXPECT_EQ(stale.judge(Promise::latest_value).symptom, "stale");
}

// Who was refused sends the same value again.
TEST(LatestValue, WhatWasRefusedIsNotSeenBeforeItIsSentAgain) {
  const auto sent_twice = [](Outcome first) {
    HistoryBuilder b = values();
    b.send(0, 4, 500, 510, first);
    b.send(0, 4, 700, 710);
    return b;
  };
  for (const Outcome refusal : {Outcome::full, Outcome::timed_out}) {
    HistoryBuilder seen = sent_twice(refusal);
    seen.receive(0, 0, 4, 520, 699);
    const Finding finding = seen.judge(Promise::delivery);
    EXPECT_EQ(finding.verdict, Verdict::violation);
    EXPECT_EQ(finding.symptom, "refused but delivered");
  }
  HistoryBuilder together = sent_twice(Outcome::full);
  together.receive(0, 0, 4, 520, 701);
  EXPECT_EQ(together.judge(Promise::delivery).verdict, Verdict::pass) << "it was being sent again";
  HistoryBuilder unknown = sent_twice(Outcome::unknown);
  unknown.receive(0, 0, 4, 520, 699);
  EXPECT_EQ(unknown.judge(Promise::delivery).verdict, Verdict::pass) << "it may have been accepted";
}

TEST(LatestValue, DoesNotFireWithoutAChange) {
  HistoryBuilder b(1, 1);
  b.contract = values().contract;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.note(0, Op::repeated, 25, HistoryBuilder::id(0, 0));
  b.send(0, 0, 30, 40);
  b.receive(0, 0, 0, 21, 29);
  EXPECT_EQ(b.judge(Promise::latest_value).verdict, Verdict::pass);
  EXPECT_EQ(b.judge(Promise::latest_value).tried_of(Term::fires_on_change), 0u);
  b.receive(0, 0, 0, 30, 50);
  EXPECT_EQ(b.judge(Promise::latest_value).tried_of(Term::fires_on_change), 1u);
  EXPECT_EQ(b.judge(Promise::latest_value).symptom, "fired without change");
  b.contract.fires_only_on_change = false;
  EXPECT_EQ(b.judge(Promise::latest_value).verdict, Verdict::pass);
}

TEST(LatestValue, ConvergesToTheLast) {
  HistoryBuilder b = values();
  b.receive(0, 0, 2, 205, 330);
  b.nothing(0, Outcome::timed_out, 340, 1000_ms);
  EXPECT_EQ(b.judge(Promise::latest_value).verdict, Verdict::pass);
  b.nothing(0, Outcome::timed_out, 1000_ms, 2100_ms);
  EXPECT_EQ(b.judge(Promise::latest_value).symptom, "not converged");
  b.evidence(Fact::pressure, -1, 0, 1_ms, 0, "throttled");
  EXPECT_EQ(b.judge(Promise::latest_value).verdict, Verdict::inconclusive);
}

}  // namespace
}  // namespace ipctorture
