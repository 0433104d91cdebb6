#include <gtest/gtest.h>

#include <cerrno>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

TEST(Refusal, WhatIsTooLargeMustBeRefusedAsThat) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::too_large, 4097);
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass);
  for (const Outcome wrong : {Outcome::full, Outcome::error, Outcome::timed_out}) {
    b.records(0)[1].outcome = static_cast<std::uint8_t>(wrong);
    EXPECT_EQ(b.judge(Promise::refusal).symptom, "oversize not refused") << to_string(wrong);
  }
}

TEST(Refusal, WhatIsWithinLimitsIsNeverTooLarge) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::too_large, 4096);
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "refused as too large");
  b.scenario.sizes[0] = 64;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass) << "beyond this run's Options";
}

TEST(Refusal, ErrorsAreViolationsUnlessTheMachineIsShort) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::error).detail = EINVAL;
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "send error");
  b.records(0)[1].detail = ENOMEM;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::inconclusive);
}

TEST(Refusal, AnAttachThatFails) {
  HistoryBuilder b(1, 1);
  b.add(0, Op::attach, Outcome::error, 1, 2).detail = ENOENT;
  b.evidence(Fact::worker_failed, 0, 1, 2, ENOENT, "open /x: No such file or directory");
  const Finding finding = b.judge(Promise::refusal);
  EXPECT_EQ(finding.symptom, "attach error");
  EXPECT_NE(finding.what.find("open /x"), std::string::npos);
}

TEST(Refusal, WhatWasMadeToFailMayAnswerAnError) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::error).detail = EPIPE;
  b.evidence(Fact::shortage, 0, 15, 15, ENOBUFS, "write()");
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass);
  b.send(0, 0, 30, 40, Outcome::error).detail = EPIPE;
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "send error") << "that was before";
  HistoryBuilder other(2, 1);
  other.attach_all();
  other.send(0, 0, 10, 20, Outcome::error).detail = EPIPE;
  other.evidence(Fact::shortage, 1, 15, 15, ENOBUFS, "write()");
  EXPECT_EQ(other.judge(Promise::refusal).symptom, "send error") << "that was another lane's";
}

TEST(Refusal, AnAttachThatWasMadeToFail) {
  HistoryBuilder b(1, 1);
  b.add(0, Op::attach, Outcome::error, 1, 4).detail = EMFILE;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::inconclusive);
  b.evidence(Fact::shortage, 0, 2, 2, EMFILE, "open()");
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass);
}

// Capacity 2: one message in, `full` answered while it is there, or while a second may be.
HistoryBuilder full(bool second) {
  HistoryBuilder b(2, 1);
  b.contract.exact_full = true;
  b.contract.capacity_max = 8;
  b.scenario.capacity = 2;
  b.attach_all();
  b.send(0, 0, 10, 20);
  if (second) b.send(1, 0, 30, 100, Outcome::unknown);
  b.send(0, 1, 50, 60, Outcome::full).what = Record::encode(Op::send, 0, DeadlineMode::now);
  b.receive(0, 0, 0, 200, 210);
  return b;
}

TEST(Refusal, FullIsTrue) {
  EXPECT_EQ(full(true).judge(Promise::refusal).verdict, Verdict::pass);
  const Finding finding = full(false).judge(Promise::refusal);
  EXPECT_EQ(finding.symptom, "false full");
  HistoryBuilder inexact = full(false);
  inexact.contract.exact_full = false;
  EXPECT_EQ(inexact.judge(Promise::refusal).verdict, Verdict::pass);
}

TEST(Refusal, FullAndEmptyAreNoClaimWhereACallWasMadeToFail) {
  HistoryBuilder b = full(false);
  b.evidence(Fact::shortage, 0, 55, 55, EAGAIN, "write()");
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass);
  HistoryBuilder before = full(false);
  before.evidence(Fact::shortage, 0, 45, 45, EAGAIN, "write()");
  EXPECT_EQ(before.judge(Promise::refusal).symptom, "false full");
}

HistoryBuilder empty(Stamp asked) {
  HistoryBuilder b(1, 2);
  b.contract.exact_empty = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.nothing(0, Outcome::empty, asked, 40, DeadlineMode::now);
  b.receive(1, 0, 0, 50, 60);
  return b;
}

TEST(Refusal, EmptyIsTrue) {
  EXPECT_EQ(empty(20).judge(Promise::refusal).verdict, Verdict::pass);
  EXPECT_EQ(empty(21).judge(Promise::refusal).symptom, "false empty");
  HistoryBuilder taken = empty(21);
  taken.records(taken.consumer(1))[1].invoked = 40;
  EXPECT_EQ(taken.judge(Promise::refusal).verdict, Verdict::pass) << "it may have been gone";
}

TEST(Refusal, EmptyIsTrueForEachConsumerOfABroadcast) {
  HistoryBuilder b = empty(21);
  b.contract.fan_out = FanOut::broadcast;
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "false empty");
  b.records(b.consumer(0))[1].invoked = 20;
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass) << "at the same time";
  HistoryBuilder late = empty(31);
  late.contract.fan_out = FanOut::broadcast;
  late.records(late.consumer(0))[0].returned = 30;
  EXPECT_EQ(late.judge(Promise::refusal).verdict, Verdict::pass) << "it was sent before the attach";
}

TEST(Refusal, ALostMessageMakesEmptyFalse) {
  HistoryBuilder b = empty(21);
  b.records(b.consumer(1)).pop_back();
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "false empty");
  b.evidence(Fact::killed, static_cast<int>(b.consumer(1)), 0, 100);
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass) << "a death may have taken it along";
}

// Everything was received at 40; from then on the sender only hears `full`.
HistoryBuilder refused(Stamp until) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  for (Stamp at = 1_ms; at <= until; at += 100_ms) {
    b.send(0, 1, at, at + 1000, Outcome::full).what =
        Record::encode(Op::send, 0, DeadlineMode::now);
  }
  return b;
}

TEST(Refusal, ForEverWhileThereIsRoom) {
  EXPECT_EQ(refused(1900_ms).judge(Promise::refusal).verdict, Verdict::pass);
  EXPECT_EQ(refused(2200_ms).judge(Promise::refusal).symptom, "refused for ever");
  HistoryBuilder log = refused(2200_ms);
  log.contract.when_full = WhenFull::rejects;
  EXPECT_EQ(log.judge(Promise::refusal).verdict, Verdict::pass) << "a full log stays full";
  HistoryBuilder whole = refused(2200_ms);
  whole.contract.now_message_max = 63;
  EXPECT_EQ(whole.judge(Promise::refusal).verdict, Verdict::pass) << "it never fits at once";
  HistoryBuilder held = refused(2200_ms);
  held.records(1).pop_back();
  EXPECT_EQ(held.judge(Promise::refusal).verdict, Verdict::pass) << "something is in the channel";
  HistoryBuilder blind = refused(2200_ms);
  for (Record& r : blind.records(0)) {
    const bool full = r.result() == Outcome::full;
    if (full) r.outcome = static_cast<std::uint8_t>(Outcome::timed_out);
  }
  EXPECT_EQ(blind.judge(Promise::refusal).verdict, Verdict::pass) << "kept from looking";
}

// One of two consumers left early: the other is there, so the sender may not be refused.
TEST(Refusal, ForEverAlthoughAConsumerLeft) {
  const auto judged = [](FanOut fan_out, bool other_leaves) {
    HistoryBuilder b(1, 2);
    b.contract.fan_out = fan_out;
    b.attach_all();
    b.send(0, 0, 10, 20);
    b.receive(0, 0, 0, 30, 40);
    b.close(b.consumer(0), 50, 60);
    if (other_leaves) b.close(b.consumer(1), 1_ms, 2_ms);
    for (Stamp at = 3_ms; at <= 2400_ms; at += 100_ms) {
      b.send(0, 1, at, at + 1000, Outcome::full).what =
          Record::encode(Op::send, 0, DeadlineMode::now);
    }
    return b.judge(Promise::refusal);
  };
  EXPECT_EQ(judged(FanOut::any_consumer, false).symptom, "refused for ever");
  EXPECT_EQ(judged(FanOut::any_consumer, true).verdict, Verdict::pass) << "nobody will make room";
  EXPECT_EQ(judged(FanOut::bound_consumer, false).verdict, Verdict::pass);
}

TEST(Refusal, ASenderAsleepBeforeAnEmptyChannel) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 2300_ms);
  b.receive(0, 0, 0, 30, 40);
  b.receive(0, 0, 1, 50, 2301_ms);
  b.evidence(Fact::asleep, 0, 10_ms, 2290_ms, 1);
  b.evidence(Fact::asleep, 1, 10_ms, 2290_ms, 1);
  EXPECT_EQ(b.judge(Promise::refusal).symptom, "sender asleep");
  b.records(1)[1].returned = 2000_ms;
  b.records(1)[2].invoked = 2000_ms;
  b.raw().evidence.pop_back();
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::pass) << "room alone is no reason to wake";
}

// A transport whose constructor throws in a worker leaves no record of an attach.
TEST(Refusal, AnExceptionOutsideOfAttach) {
  HistoryBuilder b(1, 1);
  b.add(1, Op::attach, Outcome::ok, 1, 2);
  b.evidence(Fact::worker_failed, 0, 1, 2, EINVAL, "made of nothing");
  b.evidence(Fact::killed, 1, 3, 3);
  const Finding finding = b.judge(Promise::refusal);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, "exception");
  b.raw().evidence.front().value = EAGAIN;  // no thread to be had
  EXPECT_EQ(b.judge(Promise::refusal).verdict, Verdict::inconclusive);
}

}  // namespace
}  // namespace ipctorture
