// What a pass on a transport is worth: bounds, verdicts, and how it is told.
#include "stress/worth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "harness/check/check.h"
#include "harness/check/terms.h"
#include "harness/report/table.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

ScoredRun caught(std::vector<std::string> fingerprints) {
  return {.caught = true,
          .seconds = 1.5,
          .engine = "free",
          .fingerprint = fingerprints.front(),
          .fingerprints = std::move(fingerprints)};
}
ScoredRun missed() { return {.seconds = 15}; }

MutantScore mutant(Mutation mutation, Term term, std::vector<ScoredRun> runs) {
  return {.mutation = mutation,
          .aim = {.promises = {Promise::delivery}, .terms = {term}},
          .runs = std::move(runs)};
}

// Delivery in two terms, which `lose` and `duplicate` break, and crash as a whole.
Worth sound() {
  Worth worth{.transport = "pipe",
              .version = "0.1.0",
              .machine = "2 cores",
              .date = "2026-01-31",
              .time_ns = 60'000'000'000,
              .mutant_time_ns = 15'000'000'000};
  worth.own.tally = {.transport = "pipe",
                     .verdict = Verdict::pass,
                     .promises = {{.promise = Promise::delivery,
                                   .occasions = 900,
                                   .terms = {{Term::once, 500, 30}, {Term::nothing_lost, 400, 20}},
                                   .scenarios = 30,
                                   .tried_scenarios = 30},
                                  {.promise = Promise::crash,
                                   .occasions = 60,
                                   .scenarios = 30,
                                   .tried_scenarios = 30}},
                     .scenarios = 30,
                     .schedules = 1000};
  worth.mutants = {mutant(Mutation::lose, Term::nothing_lost, {caught({"delivery/x/lost"})}),
                   mutant(Mutation::duplicate, Term::once, {caught({"order/x/twice"})}),
                   {.mutation = Mutation::fall,
                    .aim = {.promises = {Promise::crash}},
                    .runs = {caught({"crash/x/signal"})}},
                   {.mutation = Mutation::conceal, .aim = {.why_not = "no consumer is lapped"}}};
  return worth;
}

const WorthRow& row_of(const std::vector<WorthRow>& rows, Promise promise,
                       std::optional<Term> term = std::nullopt) {
  const auto found = std::ranges::find_if(
      rows, [&](const WorthRow& row) { return row.promise == promise && row.term == term; });
  EXPECT_NE(found, rows.end());
  return *found;
}

TEST(Worth, TheBoundIsTheRuleOfThree) {
  EXPECT_EQ(broken_share_max(0), 1) << "nothing is known";
  EXPECT_NEAR(broken_share_max(1), 0.95, 1e-12);
  EXPECT_NEAR(broken_share_max(2), 0.776, 0.001);
  EXPECT_NEAR(broken_share_max(10), 0.259, 0.001);
  for (const std::uint64_t n : {100u, 1000u, 1'000'000u}) {
    EXPECT_LT(broken_share_max(n), 3.0 / static_cast<double>(n));
    EXPECT_GT(broken_share_max(n), 2.9 / static_cast<double>(n));
  }
}

TEST(Worth, OccasionsAndCaughtMutantsOfEverythingAreAPass) {
  const Worth worth = sound();
  EXPECT_EQ(worth_verdict(worth), Verdict::pass);
  const auto rows = worth_rows(worth);
  ASSERT_EQ(rows.size(), 4u) << "delivery, its two terms, crash";
  const WorthRow& delivery = row_of(rows, Promise::delivery);
  EXPECT_EQ(delivery.mutants, 2u);
  EXPECT_EQ(delivery.caught, 2u) << "by whatever promise";
  EXPECT_EQ(delivery.scenarios, 30u);
  const WorthRow& lost = row_of(rows, Promise::delivery, Term::nothing_lost);
  EXPECT_EQ(lost.occasions, 400u);
  EXPECT_EQ(lost.scenarios, 20u);
  EXPECT_EQ(lost.mutants, 1u);
  EXPECT_EQ(row_of(rows, Promise::crash).caught, 1u);
}

TEST(Worth, ATermWithoutAnOccasionIsInconclusive) {
  Worth worth = sound();
  worth.own.tally.promises[0].terms[1] = {.term = Term::nothing_lost};
  EXPECT_EQ(worth_verdict(worth), Verdict::inconclusive);
  const auto rows = worth_rows(worth);
  EXPECT_EQ(row_of(rows, Promise::delivery, Term::nothing_lost).verdict, Verdict::inconclusive);
  EXPECT_EQ(row_of(rows, Promise::delivery, Term::once).verdict, Verdict::pass);
  EXPECT_THAT(row_of(rows, Promise::delivery).why,
              HasSubstr("nothing lost: there was no occasion"));
}

TEST(Worth, AMutantThatGotAwayIsInconclusive) {
  Worth worth = sound();
  worth.mutants[0].runs = {missed()};
  EXPECT_EQ(worth_verdict(worth), Verdict::inconclusive);
  const auto rows = worth_rows(worth);
  EXPECT_EQ(row_of(rows, Promise::delivery).why, "the mutant lose was not caught");
  EXPECT_EQ(row_of(rows, Promise::delivery).caught, 1u);
  EXPECT_EQ(row_of(rows, Promise::delivery, Term::once).verdict, Verdict::pass);
  EXPECT_EQ(row_of(rows, Promise::crash).verdict, Verdict::pass);
  worth.mutants[0].runs.clear();
  EXPECT_EQ(row_of(worth_rows(worth), Promise::delivery).why, "the mutant lose was not run");
}

TEST(Worth, FourOfFiveSeedsMustCatchAMutant) {
  Worth worth = sound();
  const ScoredRun yes = caught({"delivery/x/lost"});
  worth.mutants[0].runs = {yes, yes, yes, yes, missed()};
  EXPECT_TRUE(is_caught(worth.mutants[0], worth));
  worth.mutants[0].runs[0] = missed();
  EXPECT_FALSE(is_caught(worth.mutants[0], worth));
}

TEST(Worth, AViolationOfTheTransportIsOne) {
  Worth worth = sound();
  worth.own.caught = true;
  worth.own.fingerprints = {"delivery/x/lost"};
  worth.own.tally.verdict = worth.own.tally.promises[0].verdict = Verdict::violation;
  worth.own.tally.promises[0].what = "message 7 was lost";
  EXPECT_EQ(worth_verdict(worth), Verdict::violation);
  const auto rows = worth_rows(worth);
  EXPECT_EQ(row_of(rows, Promise::delivery).verdict, Verdict::violation);
  EXPECT_THAT(row_of(rows, Promise::delivery).why, HasSubstr("message 7 was lost"));
  EXPECT_THAT(worth_totals(worth, 200), Not(HasSubstr("95 %")));
}

// What the transport does itself is no catch of its mutant.
TEST(Worth, AMutantIsCaughtByWhatTheTransportDoesNot) {
  Worth worth = sound();
  worth.own.fingerprints = {"delivery/x/lost"};
  EXPECT_FALSE(is_caught(worth.mutants[0], worth));
  EXPECT_THAT(caught_by(worth.mutants[0], worth), IsEmpty());
  worth.mutants[0].runs = {caught({"delivery/x/lost", "stall/x/asleep", "stall/x/again"})};
  EXPECT_TRUE(is_caught(worth.mutants[0], worth));
  EXPECT_THAT(caught_by(worth.mutants[0], worth), ElementsAre("stall"));
}

TEST(Worth, TheRunsOwnDoubtStays) {
  Worth worth = sound();
  worth.own.tally.verdict = worth.own.tally.promises[1].verdict = Verdict::inconclusive;
  worth.own.tally.promises[1].what = "the machine was short of memory";
  EXPECT_EQ(worth_verdict(worth), Verdict::inconclusive);
  EXPECT_EQ(row_of(worth_rows(worth), Promise::crash).why, "the machine was short of memory");
}

TEST(Worth, WhatCannotRunIsUnsupported) {
  Worth worth = sound();
  worth.own.unsupported = true;
  worth.own.tally.unsupported_reason = "no such call";
  EXPECT_EQ(worth_verdict(worth), Verdict::unsupported);
  EXPECT_THAT(worth_rows(worth), IsEmpty());
  EXPECT_THAT(worth_totals(worth, 80), HasSubstr("pipe cannot run here: no such call"));
  EXPECT_THAT(worth_page(worth), HasSubstr("no such call"));
}

TEST(Worth, WhatNeverEndedIsNoPass) {
  EXPECT_EQ(worth_verdict({.transport = "pipe"}), Verdict::inconclusive);
}

TEST(Worth, FailuresOfTheHarnessAreSaid) {
  Worth worth = sound();
  EXPECT_EQ(harness_failures(worth), 0u);
  worth.own.harness_failed = worth.mutants[1].runs[0].harness_failed = true;
  EXPECT_EQ(harness_failures(worth), 2u);
  EXPECT_THAT(worth_totals(worth, 200), HasSubstr("In 2 of the runs the harness failed."));
}

TEST(Worth, IsToldInPlainWords) {
  const std::string totals = worth_totals(sound(), 200);
  EXPECT_THAT(totals, HasSubstr("A pass on pipe is worth: 30 scenarios, 1000 schedules under "
                                "control; of what it promises, 3 of 3 parts had an occasion"));
  EXPECT_THAT(totals, HasSubstr("fewer than 9.5 % of such scenarios"));
  EXPECT_THAT(totals, HasSubstr("Tried least: nothing lost, in 20 scenarios"));
  EXPECT_THAT(totals, HasSubstr("3 of 3 mutants were caught, half of them within 1.5 s; 1 cannot"));
  EXPECT_THAT(totals, HasSubstr("pipe: pass"));
  const std::string tables = worth_tables(sound(), 200);
  EXPECT_THAT(tables, HasSubstr("duplicate  yes     order"));
  EXPECT_THAT(tables, HasSubstr("conceal: no consumer is lapped"));
  EXPECT_THAT(worth_page(sound()),
              HasSubstr("| delivery | 900 | 30 | 9.5 % | 2 of 2 | pass |\n| - each once |"));
}

TEST(Worth, FitsANarrowTerminal) {
  Worth worth = sound();
  worth.mutants[0].runs = {missed()};
  for (const std::size_t width : {20u, 40u, 80u}) {
    std::istringstream lines(worth_tables(worth, width) + worth_totals(worth, width));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(text_width(line), width) << line;
  }
  EXPECT_THAT(worth_tables(worth, 40), HasSubstr("inconclusive"));
}

TEST(Worth, JsonHasALineForEachPart) {
  Worth worth = sound();
  worth.mutants[0].runs = {missed()};
  const std::string lines = worth_json(worth);
  EXPECT_THAT(lines, HasSubstr(R"("promise":"delivery","term":"each once","occasions":500)"));
  EXPECT_THAT(lines, HasSubstr(R"("transport":"pipe","verdict":"inconclusive")"));
  EXPECT_THAT(lines, HasSubstr(R"("mutants":3,"caught":2,"not_applicable":1)"));
  EXPECT_EQ(std::ranges::count(lines, '\n'), 5);
  EXPECT_THAT(mutant_json(worth.mutants[1], worth), HasSubstr(R"("by":["order"])"));
  EXPECT_THAT(mutant_json(worth.mutants[3], worth),
              HasSubstr(R"("mutant":"pipe__conceal","not_applicable":"no consumer is lapped")"));
}

// Whatever a transport here promises, some mutant breaks. (Nobody scores a canary.)
TEST(Worth, EveryPromiseOfEveryTransportHasAMutant) {
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::canary) continue;
    const Contract& contract = registration.contract;
    const auto any = [&](const auto& part) {
      for (unsigned i = 1; i < mutation_count; ++i) {
        if (aim_of(static_cast<Mutation>(i), contract).at(part)) return true;
      }
      return false;
    };
    for (unsigned p = 0; p < promise_count; ++p) {
      const auto promise = static_cast<Promise>(p);
      if (!promise_applies(promise, contract)) continue;
      EXPECT_TRUE(any(promise)) << registration.name << ": " << to_string(promise);
      for (const Term term : promised_terms(promise, contract)) {
        EXPECT_TRUE(any(term)) << registration.name << ": " << to_string(term);
      }
    }
  }
}

}  // namespace
}  // namespace ipctorture
