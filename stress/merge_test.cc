#include "stress/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "stress/made_up_campaign.h"
#include "stress/transport_verdict.h"

namespace ipctorture {
namespace {

using namespace made_up;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t runs = 30;

// What a campaign of made-up results leaves, as run.cc writes it. `answer` may change a result.
ResultLines shard_of(std::uint32_t shard, std::uint32_t shards,
                     const std::function<void(const Case&, CaseResult&)>& answer = nullptr,
                     std::uint64_t cases_max = 2 * runs) {
  CampaignPlan plan = plan_of({&named_one, &named_two});
  plan.time_ns = 0, plan.runs = runs, plan.shard = {shard, shards};
  Campaign campaign(plan, 0);
  std::uint64_t cases = 0;
  for (const EngineFor engine : {EngineFor::patient_cases, EngineFor::ordinary_cases}) {
    while (cases < cases_max) {
      const auto next = campaign.next(engine, 0);
      if (!next) break;
      CaseResult result = result_of(*plan.transports[next->transport].registration);
      for (const Finding& finding : result.judgement.findings) {
        if (campaign.first_sighting(*next, finding)) result.bundles[fingerprint(finding)] = "";
      }
      if (answer) answer(*next, result);
      campaign.finish(*next, result);
      ++cases;
    }
  }
  ResultLines lines{.file = "s" + std::to_string(shard) + "/results.jsonl",
                    .start = {.seed = seed_text(plan.seed),
                              .transports = {"one", "two"},
                              .runs = runs,
                              .shard = shard,
                              .shards = shards}};
  lines.failures = campaign.take_failures();
  lines.tally = campaign.tally(Campaign::Machine::idle, 0);
  lines.exit_code = static_cast<int>(campaign.exit_code(lines.tally));
  // Through the file's form.
  return read_results(results_text(lines), lines.file);
}

void breaks(CaseResult& result) {
  Finding& finding = result.judgement.findings.front();
  finding.verdict = Verdict::violation;
  finding.what = "it broke";
  finding.term = "content";
  finding.symptom = "torn";
  result.bundles[fingerprint(finding)] = "b";
}

std::string sums(const TransportTally& t) {
  TransportTally plain = t;
  plain.cases.clear();
  plain.elapsed_ns = 0;
  return json_transport(plain);
}

TEST(Merge, ShardsTogetherAreOneRun) {
  const ResultLines whole = shard_of(1, 1);
  std::vector<ResultLines> parts;
  for (std::uint32_t shard = 1; shard <= 3; ++shard) parts.push_back(shard_of(shard, 3));
  const Merged merged = unite(parts);
  EXPECT_EQ(merged.code, ExitCode::pass);
  EXPECT_THAT(merged.lines.holes, IsEmpty());
  EXPECT_EQ(merged.lines.start.merged, "1-3 of 3");
  ASSERT_THAT(merged.lines.tally.transports, SizeIs(2));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(sums(merged.lines.tally.transports[i]), sums(whole.tally.transports[i]));
  }
}

// The cases of a run are those of its shards, each once.
TEST(Merge, CasesOfShardsAreThoseOfTheRun) {
  std::multiset<std::uint64_t> seen;
  for (std::uint32_t shard = 1; shard <= 4; ++shard) {
    const ResultLines part = shard_of(shard, 4);
    for (const CaseRange& range : part.tally.transports[0].cases) {
      for (std::uint64_t k = range.first; k <= range.last; k += 4) seen.insert(k);
    }
  }
  std::multiset<std::uint64_t> whole;
  for (std::uint64_t k = 1; k <= runs; ++k) whole.insert(k);
  EXPECT_EQ(seen, whole);
  EXPECT_THAT(shard_of(1, 1).tally.transports[0].cases, ElementsAre(CaseRange{1, runs}));
}

// Case 5 alone has an occasion of the first promise.
TEST(Merge, AnOccasionInOneShardIsEnough) {
  const auto only = [](std::uint64_t k) {
    return [k](const Case& which, CaseResult& result) {
      if (which.k == k) return;
      result.judgement.findings.front().occasions = 0;
      result.judgement.findings.front().tried.fill(0);
    };
  };
  EXPECT_EQ(unite({shard_of(1, 2, only(5)), shard_of(2, 2, only(5))}).code, ExitCode::pass);
  const Merged without = unite({shard_of(1, 2, only(99)), shard_of(2, 2, only(99))});
  EXPECT_EQ(without.code, ExitCode::inconclusive);
  EXPECT_THAT(without.lines.tally.transports[0].promises[0].what, HasSubstr("no occasion"));
}

// 1 % of all, not of each part.
TEST(Merge, HowManyMayBeInconclusiveIsWeighedAnew) {
  const auto doubtful = [](const Case& which, CaseResult& result) {
    if (which.k != 2) return;
    result.judgement.findings.front().verdict = Verdict::inconclusive;
    result.judgement.findings.front().what = "who knows";
  };
  std::vector<ResultLines> parts{shard_of(1, 2), shard_of(2, 2, doubtful)};
  EXPECT_EQ(unite(parts).code, ExitCode::inconclusive) << "1 of 30";
  for (ResultLines& part : parts) part.tally.inconclusive_permille_max = 100;
  EXPECT_EQ(unite(parts).code, ExitCode::pass) << "loaded machines";
}

TEST(Merge, AViolationOfOneShardIsTheWholes) {
  const Merged merged = unite({shard_of(1, 2), shard_of(2, 2, [](const Case& which, auto& result) {
                                 if (which.k == 4) breaks(result);
                               })});
  EXPECT_EQ(merged.code, ExitCode::violation);
  EXPECT_EQ(merged.lines.tally.transports[0].promises[0].what, "it broke");
  EXPECT_THAT(merged.lines.failures, SizeIs(2)) << "of each transport";
}

TEST(Merge, MissingShardsAndCasesAreHoles) {
  const Merged missing = unite({shard_of(1, 3), shard_of(3, 3)});
  EXPECT_EQ(missing.code, ExitCode::inconclusive);
  ASSERT_THAT(missing.lines.holes, SizeIs(1));
  EXPECT_THAT(missing.lines.holes[0], HasSubstr("shards missing of 3: 2;"));
  EXPECT_EQ(missing.lines.start.merged, "1, 3 of 3");

  const Merged early = unite({shard_of(1, 2), shard_of(2, 2, nullptr, 6)});
  EXPECT_EQ(early.code, ExitCode::inconclusive);
  EXPECT_THAT(early.lines.holes, ElementsAre(HasSubstr("one: not run: cases 8-30 (12 cases)"),
                                             HasSubstr("two: not run: cases 8-30 (12 cases)")));
}

TEST(Merge, AShardWithoutAnEndIsAHoleAndItsViolationsCount) {
  ResultLines broken = shard_of(2, 2, [](const Case&, CaseResult& result) { breaks(result); });
  broken.exit_code.reset();
  broken.tally.transports.clear();
  const Merged merged = unite({shard_of(1, 2), broken});
  EXPECT_THAT(merged.lines.holes, ElementsAre(HasSubstr("ended early")));
  EXPECT_EQ(merged.code, ExitCode::violation);
  EXPECT_EQ(merged.lines.tally.transports[0].promises[0].verdict, Verdict::violation);
}

TEST(Merge, ACopyCountsOnceAndAnotherExecutionIsTold) {
  const ResultLines first = shard_of(1, 2), second = shard_of(2, 2);
  ResultLines copy = second;
  copy.file = "copy/results.jsonl";
  copy.start.out = "elsewhere";
  const Merged same = unite({first, second, copy});
  EXPECT_EQ(same.code, ExitCode::pass);
  EXPECT_THAT(same.notes, ElementsAre(HasSubstr("counted once")));
  EXPECT_EQ(same.lines.tally.transports[0].scenarios, runs);

  ResultLines other = shard_of(2, 2, [](const Case&, CaseResult& result) { breaks(result); });
  other.file = "other/results.jsonl";
  for (const auto& parts : {std::vector{first, second, other}, {first, other, second}}) {
    const Merged merged = unite(parts);
    EXPECT_EQ(merged.code, ExitCode::violation) << "the graver one";
    EXPECT_THAT(merged.lines.holes, ElementsAre(HasSubstr("twice with different results")));
    EXPECT_EQ(merged.lines.tally.transports[0].scenarios, runs);
  }
}

TEST(Merge, HalfAnExecutionBesideAWholeOneIsLeftOut) {
  ResultLines half = shard_of(2, 2);
  half.exit_code.reset();
  half.tally.transports.clear();
  const Merged merged = unite({shard_of(1, 2), half, shard_of(2, 2)});
  EXPECT_EQ(merged.code, ExitCode::pass);
  EXPECT_THAT(merged.notes, ElementsAre(HasSubstr("ended early")));
}

TEST(Merge, InterruptedShardsAndTheHarnessFailuresDecideTheCode) {
  ResultLines interrupted = shard_of(2, 2);
  interrupted.exit_code = 130;
  EXPECT_EQ(unite({shard_of(1, 2), interrupted}).code, ExitCode::interrupted);
  ResultLines failed = shard_of(1, 2);
  failed.harness_failures.emplace_back("one", "no fork");
  EXPECT_EQ(unite({failed, interrupted}).code, ExitCode::harness_failed);
}

TEST(Merge, WhatIsOfAnotherCampaignIsRefusedByFileAndLine) {
  const auto refusal = [](const std::function<void(ResultLines&)>& change) {
    ResultLines other = shard_of(2, 2);
    change(other);
    try {
      unite({shard_of(1, 2), other});
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal([](auto& one) { one.start.seed = "g1:8"; }),
              HasSubstr("s2/results.jsonl:1: another campaign: seed g1:8"));
  EXPECT_THAT(refusal([](auto& one) { one.start.version = "9"; }), HasSubstr("version 9"));
  EXPECT_THAT(refusal([](auto& one) { one.start.commit = "9"; }), HasSubstr("commit 9"));
  EXPECT_THAT(refusal([](auto& one) { one.start.shards = 9; }), HasSubstr("number of shards 9"));
  EXPECT_THAT(refusal([](auto& one) { one.start.transports = {"x"}; }), HasSubstr("transports x"));
  EXPECT_THAT(refusal([](auto& one) { one.start.options = " --launch exec"; }),
              HasSubstr("options"));
  EXPECT_THAT(refusal([](auto& one) { one.explored = true; }), HasSubstr("kind explore"));
  EXPECT_THAT(refusal([](auto& one) { one.tally.transports[0].cases = {{1, 29}}; }),
              HasSubstr("are not of shard 2/2"));
}

TEST(Merge, SeenInOneShardAKnownFailureWasSeen) {
  ResultLines first = shard_of(1, 2), second = shard_of(2, 2);
  first.tally.known = {{.where = "known.toml:1", .state = KnownState::unseen}};
  second.tally.known = {{.where = "known.toml:1", .state = KnownState::seen}};
  EXPECT_EQ(unite({first, second}).lines.tally.known[0].state, KnownState::seen);
}

TEST(MissingCases, AreNamedInRanges) {
  EXPECT_EQ(missing_cases({{2, 30}}, 2, 4, 30), "");
  EXPECT_EQ(missing_cases({}, 2, 4, 30), "2-30 (8 cases)");
  EXPECT_EQ(missing_cases({{6, 10}, {18, 30}}, 2, 4, 30), "2, 14 (2 cases)");
  EXPECT_EQ(missing_cases({}, 3, 4, 2), "") << "a shard without a case";
}

TEST(AddCase, MakesTheFewestRangesInAnyOrder) {
  std::vector<CaseRange> ranges;
  for (const std::uint64_t k : {7u, 1u, 10u, 4u, 4u, 16u}) add_case(&ranges, k, 3);
  EXPECT_THAT(ranges, ElementsAre(CaseRange{1, 10}, CaseRange{16, 16}));
}

// Of the controlled engine.
ResultLines exploration(std::uint32_t shard, ExploreTally tally) {
  tally.transport = "ring";
  ResultLines lines{.file = "e" + std::to_string(shard) + "/results.jsonl",
                    .explored = true,
                    .start = {.seed = "g1:7", .transports = {"ring"}, .shard = shard, .shards = 2}};
  lines.explorations.push_back(std::move(tally));
  lines.exit_code = 0;
  return lines;
}
const ExploreTally complete{.schedules = 10, .points = 90, .trials = {{"1x1", true, true}}};

TEST(MergeExplored, ATrialIsCompleteWhenAllCompletedIt) {
  const Merged whole = unite({exploration(1, complete), exploration(2, complete)});
  EXPECT_EQ(whole.code, ExitCode::pass);
  EXPECT_EQ(whole.lines.explorations[0].schedules, 20u);
  ExploreTally partly = complete;
  partly.trials[0].complete = false;
  EXPECT_EQ(unite({exploration(1, complete), exploration(2, partly)}).code, ExitCode::inconclusive);
  EXPECT_FALSE(unite({exploration(1, complete)}).lines.explorations[0].trials[0].complete)
      << "a shard is missing";
}

TEST(MergeExplored, ContradictingVerdictsOnTheSameSchedulesAreTheHarnesssFailure) {
  ExploreTally found = complete;
  found.schedules = 4;
  found.trials[0].complete = false;
  found.failures = {{.promise = "order", .fingerprint = "order/x", .found_in = "1x1"}};
  const Merged against =
      unite({exploration(1, complete), exploration(2, complete), exploration(2, found)});
  EXPECT_THAT(against.contradictions, ElementsAre(HasSubstr("searched all of: 1x1")));
  EXPECT_EQ(against.code, ExitCode::violation) << "graver than the harness's failure";

  ExploreTally other = complete;
  other.occasions[0] = 1;
  const Merged differ =
      unite({exploration(1, complete), exploration(2, complete), exploration(2, other)});
  EXPECT_THAT(differ.contradictions, ElementsAre(HasSubstr("in the same 10 schedules")));
  EXPECT_EQ(differ.code, ExitCode::harness_failed);

  ExploreTally longer = complete;
  longer.schedules = 50;
  const Merged no_contradiction =
      unite({exploration(1, complete), exploration(2, complete), exploration(2, longer)});
  EXPECT_THAT(no_contradiction.contradictions, IsEmpty());
  EXPECT_EQ(no_contradiction.code, ExitCode::inconclusive) << "it is told all the same";
}

}  // namespace
}  // namespace ipctorture
