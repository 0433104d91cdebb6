// What a score hears of the runs that it starts.
#include "stress/score_child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/report/json_lines.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Instant second = 1'000'000'000;

Failure failure(const char* fingerprint, const char* engine = "free") {
  return {.transport = "pipe__lose", .fingerprint = fingerprint, .engine = engine};
}

TEST(RunListener, KeepsTheFirstViolationAndTheNamesOfAll) {
  RunListener listener(0);
  Failure doubt = failure("stall/x/asleep");
  doubt.verdict = Verdict::inconclusive;
  listener.hear(json_failure(doubt), second);
  listener.hear(json_failure(failure("delivery/x/lost", "controlled")), 2 * second);
  listener.hear(json_failure(failure("order/x/reordered")), 3 * second);
  listener.hear(json_end({}, 1), 4 * second);
  const ScoredRun run = listener.end(5 * second);
  EXPECT_TRUE(run.caught);
  EXPECT_EQ(run.seconds, 2);
  EXPECT_EQ(run.engine, "controlled");
  EXPECT_EQ(run.fingerprint, "delivery/x/lost");
  EXPECT_THAT(run.fingerprints, ElementsAre("delivery/x/lost", "order/x/reordered"));
  EXPECT_FALSE(run.harness_failed);
}

TEST(RunListener, ReadsWhatTheRunCounted) {
  RunListener listener(0);
  listener.hear(json_transport({.transport = "pipe",
                                .verdict = Verdict::inconclusive,
                                .promises = {{.promise = Promise::order,
                                              .verdict = Verdict::inconclusive,
                                              .occasions = 12,
                                              .terms = {{Term::producer_order, 12, 7},
                                                        {Term::order_over_consumers, 0, 0}},
                                              .scenarios = 9,
                                              .tried_scenarios = 7,
                                              .what = "no occasion"},
                                             {.promise = Promise::crash, .occasions = 3}},
                                .scenarios = 9,
                                .inconclusive_scenarios = 2,
                                .inconclusive_reason = "busy",
                                .schedules = 40,
                                .doubt = "in part"}),
                second);
  listener.hear(json_end({}, 2), second);
  const ScoredRun run = listener.end(6 * second);
  EXPECT_EQ(run.seconds, 6);
  EXPECT_TRUE(run.inconclusive);
  const TransportTally& tally = run.tally;
  EXPECT_EQ(tally.verdict, Verdict::inconclusive);
  EXPECT_EQ(tally.scenarios, 9u);
  EXPECT_EQ(tally.inconclusive_scenarios, 2u);
  EXPECT_EQ(tally.inconclusive_reason, "busy");
  EXPECT_EQ(tally.schedules, 40u);
  EXPECT_EQ(tally.doubt, "in part");
  ASSERT_THAT(tally.promises, SizeIs(2));
  const PromiseTally& order = tally.promises[0];
  EXPECT_EQ(order.promise, Promise::order);
  EXPECT_EQ(order.verdict, Verdict::inconclusive);
  EXPECT_EQ(order.occasions, 12u);
  EXPECT_EQ(order.tried_scenarios, 7u);
  EXPECT_EQ(order.what, "no occasion");
  ASSERT_THAT(order.terms, SizeIs(2));
  EXPECT_EQ(order.terms[0].term, Term::producer_order);
  EXPECT_EQ(order.terms[0].occasions, 12u);
  EXPECT_EQ(order.terms[0].scenarios, 7u);
  EXPECT_THAT(tally.promises[1].terms, IsEmpty());
}

TEST(RunListener, ARunThatBreaksOffIsTheHarnessFailure) {
  RunListener silent(0);
  EXPECT_TRUE(silent.end(second).harness_failed);
  RunListener failed(0);
  failed.hear(json_harness_failure("pipe", "no zygote"), second);
  failed.hear(json_end({}, 3), second);
  EXPECT_TRUE(failed.end(second).harness_failed);
}

TEST(RunListener, PassesOverWhatItDoesNotKnow) {
  RunListener listener(0);
  for (const char* line :
       {"", "{", "[]", "null", "7", R"({"event":7})", R"({"event":"failure","verdict":[]})",
        R"({"event":"transport"})", R"({"event":"transport","promises":[7,{"promise":"bliss"}]})",
        R"({"event":"transport","promises":[{"promise":"order","terms":7,"occasions":-1}]})"}) {
    listener.hear(line, second);
  }
  listener.hear(json_end({}, 0), second);
  const ScoredRun run = listener.end(second);
  EXPECT_FALSE(run.caught);
  EXPECT_FALSE(run.harness_failed);
  ASSERT_THAT(run.tally.promises, SizeIs(1));
  EXPECT_EQ(run.tally.promises[0].occasions, 0u);
}

TEST(RunListener, WhatCannotRunIsNotCaught) {
  RunListener listener(0);
  listener.hear(json_transport({.transport = "x", .unsupported_reason = "no such call"}), second);
  listener.hear(json_end({}, 69), second);
  const ScoredRun run = listener.end(second);
  EXPECT_TRUE(run.unsupported);
  EXPECT_EQ(run.tally.unsupported_reason, "no such call");
}

}  // namespace
}  // namespace ipctorture
