#include "stress/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::Not;

ScoredRun caught(double seconds, const char* engine = "controlled") {
  return {.caught = true,
          .seconds = seconds,
          .engine = engine,
          .fingerprint = "deadlock/the processes together keep moving/livelock"};
}
ScoredRun missed() { return {.seconds = 60}; }

BugScore bug(std::vector<ScoredRun> runs, std::vector<ScoredRun> twins) {
  return {.name = "some_bug", .bug = std::move(runs), .twin = std::move(twins)};
}

TEST(Score, SharesHaveWilsonsInterval) {
  const Share none = share_of(0, 10), all = share_of(10, 10), half = share_of(5, 10);
  EXPECT_NEAR(none.low, 0, 1e-9);
  EXPECT_NEAR(none.high, 0.278, 0.001);
  EXPECT_NEAR(all.low, 0.722, 0.001);
  EXPECT_NEAR(all.high, 1, 1e-9);
  EXPECT_NEAR(half.low, 0.237, 0.001);
  EXPECT_NEAR(half.high, 0.763, 0.001);
  EXPECT_EQ(share_of(0, 0).high, 1) << "nothing is known";
}

TEST(Score, TheMedianIsOfTheSeedsThatCaughtIt) {
  EXPECT_EQ(median_seconds({missed(), missed()}), std::nullopt);
  EXPECT_EQ(median_seconds({caught(3), missed(), caught(1), caught(9)}), 3);
  EXPECT_EQ(median_seconds({caught(4), caught(1)}), 2.5);
}

TEST(Score, TellsWhatWasCaughtByWhom) {
  Score score{.seeds = 1};
  score.bugs.push_back(bug({caught(1.25)}, {missed()}));
  const std::string table = score_table(score, 200);
  EXPECT_THAT(table, HasSubstr("1/1"));
  EXPECT_THAT(table, HasSubstr("1.2 s"));
  EXPECT_THAT(table, HasSubstr("controlled"));
  EXPECT_THAT(table, HasSubstr("deadlock"));
  EXPECT_THAT(table, HasSubstr("0/1"));
  EXPECT_THAT(score_totals(score), HasSubstr("four of five seeds: 1 of 1"));
  EXPECT_THAT(score_totals(score), HasSubstr("twins blamed: 0 of 1"));
}

TEST(Score, FourOfFiveSeedsMustCatchIt) {
  Score score{.seeds = 5};
  score.bugs.push_back(bug({caught(1), caught(1), caught(1), caught(1), missed()}, {}));
  EXPECT_THAT(score_totals(score), HasSubstr("four of five seeds: 1 of 1"));
  score.bugs[0].bug[0] = missed();
  EXPECT_THAT(score_totals(score), HasSubstr("four of five seeds: 0 of 1"));
}

TEST(Score, WhatCannotRunHereIsNotMissed) {
  Score score{.seeds = 1};
  score.bugs.push_back(bug({{.unsupported = true}}, {{.unsupported = true}}));
  EXPECT_THAT(score_table(score, 200), HasSubstr("not run"));
  EXPECT_THAT(score_totals(score), HasSubstr("four of five seeds: 0 of 0"));
  EXPECT_THAT(score_totals(score), HasSubstr("cannot run on this machine: 1"));
}

TEST(Score, ThePageHasARowForEachAndTheTotals) {
  Score score{.version = "0.1.0", .machine = "2 cores", .date = "2026-01-01", .budget = "9 s each"};
  score.seeds = 2;
  score.bugs.push_back(bug({caught(1), caught(2, "free")}, {missed(), caught(1)}));
  const std::string page = score_page(score);
  EXPECT_THAT(page, HasSubstr("| some_bug | 2/2 | 1.5 s | controlled | deadlock |"));
  EXPECT_THAT(page, HasSubstr("- twins blamed: 1 of 2"));
  EXPECT_THAT(page, HasSubstr("9 s each, 2 seeds"));
  EXPECT_THAT(page, Not(HasSubstr("  \n"))) << "no blanks at the end of a line";
}

}  // namespace
}  // namespace ipctorture
