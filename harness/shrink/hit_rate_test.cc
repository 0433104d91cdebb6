#include "harness/shrink/hit_rate.h"

#include <gtest/gtest.h>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

struct Share {
  double accepted = 0, attempts = 0;  // per test
};

// Candidates of the rate `real`, tested against `rate`; the same every time.
Share tested(double rate, double real) {
  constexpr int tests = 500;
  Prng rng(7);
  Share share;
  for (int i = 0; i < tests; ++i) {
    SequentialTest test(rate);
    std::optional<bool> answer;
    while (!answer) answer = test.after(static_cast<double>(rng.below(1'000'000)) < real * 1e6);
    share.accepted += *answer ? 1.0 / tests : 0;
    share.attempts += static_cast<double>(test.hits().attempts) / tests;
  }
  return share;
}

TEST(SequentialTest, OneLuckyRunIsNotEnough) {
  for (const double rate : {1.0, 0.5, 0.1, 0.01}) {
    SequentialTest test(rate);
    EXPECT_EQ(test.after(true), std::nullopt) << rate;
    EXPECT_EQ(test.after(true), std::nullopt) << rate;
    std::optional<bool> answer;
    while (!answer) answer = test.after(true);
    EXPECT_EQ(answer, true);
    EXPECT_LE(test.hits().attempts, 5u) << rate;
  }
}

TEST(SequentialTest, WhatAlwaysFailsTakesFewAttempts) {
  SequentialTest gone(1);
  EXPECT_EQ(gone.after(false), std::nullopt);
  EXPECT_EQ(gone.after(false), false);
}

TEST(SequentialTest, IsRarelyWrong) {
  for (const double rate : {1.0, 0.3, 0.1, 0.02}) {
    EXPECT_GT(tested(rate, rate).accepted, 0.9) << rate;
    EXPECT_LT(tested(rate, rate_worth_having(rate) * 0.9).accepted, 0.1) << rate;
    EXPECT_LT(tested(rate, 0).accepted, 0.001) << rate;
  }
}

TEST(SequentialTest, TakesMoreAttemptsForARarerFailureAndEnds) {
  EXPECT_LT(tested(1, 1).attempts, 6);
  EXPECT_LT(tested(0.1, 0.1).attempts, 100);
  EXPECT_LT(tested(0.1, 0).attempts, 60);
  SequentialTest undecided(0.1);
  std::optional<bool> answer;
  for (int i = 0; !answer; ++i) answer = undecided.after(i % 16 == 0);
  EXPECT_LE(undecided.hits().attempts, 301u);
}

TEST(HitRate, IsThatOfTheAttempts) {
  EXPECT_EQ(hit_rate({0, 100}), 0);
  EXPECT_EQ(hit_rate({1, 1}), 1);
  EXPECT_EQ(hit_rate({1, 50}), 0.02);
  EXPECT_EQ(hit_rate({5, 5}), 1);
  EXPECT_EQ(hit_rate({5, 41}), 0.1);
}

TEST(HitRate, TooFewIsWhatChanceDoesNotExplain) {
  EXPECT_FALSE(too_few({20, 20}, 1));
  EXPECT_TRUE(too_few({5, 20}, 1));
  EXPECT_FALSE(too_few({8, 20}, 1));
  EXPECT_FALSE(too_few({0, 20}, 0.1)) << "20 attempts are few for one in thirty";
  EXPECT_TRUE(too_few({0, 100}, 0.1));
}

}  // namespace
}  // namespace ipctorture
