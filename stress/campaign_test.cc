// Campaigns with made-up results and a made-up clock: no engine, no process, no waiting.
#include "stress/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "stress/made_up_campaign.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using namespace made_up;

const TransportTally& tally_of(const CampaignTally& tally, std::string_view name) {
  for (const TransportTally& one : tally.transports) {
    if (one.transport == name) return one;
  }
  throw std::logic_error("no such transport");
}

// Runs cases on one ordinary engine until there are none, `cost(case)` ns each.
template <typename Cost, typename Result>
Instant run_all(Campaign& campaign, Cost cost, Result result) {
  Instant now = 0;
  while (const auto next = campaign.next(EngineFor::ordinary_cases, now)) {
    CaseResult done = result(*next);
    done.elapsed_ns = cost(*next);
    now += done.elapsed_ns;
    campaign.finish(*next, done);
  }
  return now;
}

TEST(Campaign, SplitsTimeEvenlyWhateverACaseCosts) {
  Campaign campaign(plan_of({&named_one, &named_two}), 0);
  std::array<std::int64_t, 2> used{};
  run_all(
      campaign,
      [&](const Case& one) {
        const std::int64_t cost = one.transport == 0 ? 50 * ms : 2 * ms;
        used[one.transport] += cost;
        return cost;
      },
      [](const Case&) { return result_of(named_one); });
  EXPECT_NEAR(static_cast<double>(used[0]), static_cast<double>(used[1]), 60.0 * ms);
  EXPECT_NEAR(static_cast<double>(used[0] + used[1]), 1000.0 * ms, 50.0 * ms);
}

TEST(Campaign, OneCaseAloneIsTheSameCase) {
  const auto cases = [](std::uint64_t only_case) {
    CampaignPlan plan = plan_of({&named_one, &named_two});
    plan.runs = 20;
    plan.only_case = only_case;
    if (only_case > 0)
      plan.time_ns = 1;  // over at once: a case that is asked for is run all the same
    Campaign campaign(std::move(plan), 0);
    std::map<std::string, Scenario> made;
    for (const EngineFor engine : {EngineFor::patient_cases, EngineFor::ordinary_cases}) {
      while (const auto next = campaign.next(engine, ms)) {
        made[campaign.case_flags(*next)] = next->scenario;
        campaign.finish(*next, result_of(named_one));
      }
    }
    return made;
  };
  const auto all = cases(0);
  EXPECT_THAT(all, SizeIs(40));
  for (const std::uint64_t k : {1u, 2u, 17u}) {
    const auto alone = cases(k);
    ASSERT_THAT(alone, SizeIs(2)) << k;
    for (const auto& [flags, scenario] : alone) {
      EXPECT_THAT(flags,
                  testing::EndsWith(" --seed " + seed_text(42) + " --case " + std::to_string(k)));
      EXPECT_EQ(all.at(flags), scenario);
    }
  }
}

TEST(Campaign, OneCaseNeedsNoOccasionForEveryPromise) {
  CampaignPlan plan = plan_of({&named_one});
  plan.only_case = 5;
  Campaign campaign(std::move(plan), 0);
  CaseResult result = result_of(named_one);
  result.judgement.findings.front().occasions = 0;
  campaign.finish(*campaign.next(EngineFor::ordinary_cases, 0), result);
  EXPECT_EQ(campaign.tally(Campaign::Machine::idle, 0).transports[0].verdict, Verdict::pass);
}

TEST(Campaign, RatesOfCallsHoldInEveryScenarioAndArePartOfACase) {
  CampaignPlan plan = plan_of({&named_one});
  plan.failing_calls = 50;
  plan.short_calls = 0;
  Campaign campaign(std::move(plan), 0);
  for (int k = 0; k < 20; ++k) {
    const auto one = campaign.next(EngineFor::ordinary_cases, 0);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->scenario.faults.failing_calls, 50u);
    EXPECT_EQ(one->scenario.faults.short_calls, 0u);
    EXPECT_THAT(campaign.case_flags(*one), HasSubstr(" --failing-calls 50 --short-calls 0"));
    campaign.finish(*one, result_of(named_one));
  }
}

TEST(Campaign, LaunchIsPartOfACase) {
  CampaignPlan plan = plan_of({&named_one});
  plan.launch = Launch::exec;
  const Campaign campaign(std::move(plan), 0);
  Case one{.k = 3};
  one.scenario.set_transport("one");
  EXPECT_EQ(campaign.case_flags(one), "one --seed " + seed_text(42) + " --case 3 --launch exec");
}

TEST(Campaign, PassWhenAllPassed) {
  Campaign campaign(plan_of({&named_one}), 0);
  run_all(
      campaign, [](const Case&) { return 10 * ms; },
      [](const Case&) { return result_of(named_one); });
  const CampaignTally tally = campaign.tally(Campaign::Machine::idle, 1000 * ms);
  EXPECT_EQ(tally.transports[0].verdict, Verdict::pass);
  EXPECT_EQ(tally.transports[0].scenarios, 100u);
  EXPECT_EQ(tally.transports[0].messages, 10'000u);
  EXPECT_DOUBLE_EQ(tally.transports[0].messages_per_second, 100'000.0);
  EXPECT_EQ(campaign.exit_code(tally), ExitCode::pass);
}

TEST(Campaign, OneFailureIsToldOnceAndCounted) {
  Campaign campaign(plan_of({&named_one}), 0);
  unsigned bundles = 0;
  run_all(
      campaign, [](const Case&) { return 100 * ms; },
      [&](const Case& one) {
        CaseResult result = result_of(named_one, Verdict::violation);
        const Finding& finding = result.judgement.findings.front();
        if (campaign.first_sighting(one, finding)) {
          result.bundles[fingerprint(finding)] = "bundle-" + std::to_string(++bundles);
        }
        return result;
      });
  EXPECT_EQ(bundles, 1u);
  const auto failures = campaign.take_failures();
  ASSERT_THAT(failures, SizeIs(1));
  EXPECT_EQ(failures[0].bundle, "bundle-1");
  EXPECT_THAT(failures[0].again, HasSubstr("--case "));
  EXPECT_TRUE(campaign.take_failures().empty());
  EXPECT_EQ(campaign.progress(0).violations, 10u);
  const CampaignTally tally = campaign.tally(Campaign::Machine::idle, 0);
  EXPECT_EQ(tally.transports[0].promises[0].bundle, "bundle-1");
  EXPECT_EQ(campaign.exit_code(tally), ExitCode::violation);
}

TEST(Campaign, FailureIsToldByTheCaseThatHasTheBundle) {
  Campaign campaign(plan_of({&named_one}), 0);
  const Case first = *campaign.next(EngineFor::ordinary_cases, 0);
  const Case second = *campaign.next(EngineFor::ordinary_cases, 0);
  CaseResult result = result_of(named_one, Verdict::violation);
  const Finding& finding = result.judgement.findings.front();
  EXPECT_TRUE(campaign.first_sighting(first, finding));
  EXPECT_FALSE(campaign.first_sighting(second, finding));
  campaign.finish(second, result);  // earlier: the first is still writing its bundle
  EXPECT_TRUE(campaign.take_failures().empty());
  result.bundles[fingerprint(finding)] = "bundle";
  campaign.finish(first, result);
  ASSERT_THAT(campaign.take_failures(), SizeIs(1));
  EXPECT_EQ(campaign.tally(Campaign::Machine::idle, 0).transports[0].promises[0].bundle, "bundle");
}

TEST(Campaign, DoubtDoesNotUseUpTheBundleOfAViolation) {
  Campaign campaign(plan_of({&named_one}), 0);
  const Case one = *campaign.next(EngineFor::ordinary_cases, 0);
  const CaseResult doubt = result_of(named_one, Verdict::inconclusive);
  const CaseResult violation = result_of(named_one, Verdict::violation);
  EXPECT_TRUE(campaign.first_sighting(one, doubt.judgement.findings.front()));
  EXPECT_TRUE(campaign.first_sighting(one, violation.judgement.findings.front()));
}

TEST(Campaign, FailFastGivesNoFurtherCase) {
  CampaignPlan plan = plan_of({&named_one, &named_two});
  plan.fail_fast = FailFast::yes;
  Campaign campaign(std::move(plan), 0);
  const auto first = campaign.next(EngineFor::ordinary_cases, 0);
  campaign.finish(*first, result_of(named_one, Verdict::violation));
  EXPECT_FALSE(campaign.next(EngineFor::ordinary_cases, 0).has_value());
  EXPECT_FALSE(campaign.next(EngineFor::patient_cases, 0).has_value());
}

Verdict verdict_with(unsigned inconclusive, unsigned scenarios, Campaign::Machine machine) {
  CampaignPlan plan = plan_of({&named_one});
  plan.time_ns = 0;
  plan.runs = scenarios + 1;
  Campaign campaign(std::move(plan), 0);
  run_all(
      campaign, [](const Case&) { return ms; },
      [&](const Case& one) {
        const bool doubt = one.k - 2 < inconclusive;
        return result_of(named_one, doubt ? Verdict::inconclusive : Verdict::pass);
      });
  return campaign.tally(machine, 0).transports[0].verdict;
}

TEST(Campaign, InconclusiveBeyondOnePercentOrTenWhenLoaded) {
  using Machine = Campaign::Machine;
  EXPECT_EQ(verdict_with(2, 200, Machine::idle), Verdict::pass);
  EXPECT_EQ(verdict_with(3, 200, Machine::idle), Verdict::inconclusive);
  EXPECT_EQ(verdict_with(20, 200, Machine::loaded), Verdict::pass);
  EXPECT_EQ(verdict_with(21, 200, Machine::loaded), Verdict::inconclusive);
}

TEST(Campaign, PromiseWithoutOccasionIsInconclusive) {
  const auto without_occasion = [](Shard shard) {
    CampaignPlan plan = plan_of({&named_one});
    plan.shard = shard;
    Campaign campaign(std::move(plan), 0);
    run_all(
        campaign, [](const Case&) { return 10 * ms; },
        [](const Case&) {
          CaseResult result = result_of(named_one);
          result.judgement.findings.front().occasions = 0;
          result.judgement.findings.front().tried.fill(0);
          return result;
        });
    return campaign.tally(Campaign::Machine::idle, 0).transports[0];
  };
  const TransportTally whole = without_occasion({});
  EXPECT_EQ(whole.verdict, Verdict::inconclusive);
  EXPECT_THAT(whole.promises[0].what, HasSubstr("no occasion"));
  EXPECT_EQ(without_occasion({.index = 2, .count = 3}).verdict, Verdict::pass);
}

// A promise is as well tried as its least tried term, over all scenarios.
TEST(Campaign, ATermWithoutOccasionIsInconclusiveAndNamed) {
  const auto without = [](std::initializer_list<Term> terms, std::uint64_t but_in_case) {
    Campaign campaign(plan_of({&named_one}), 0);
    run_all(
        campaign, [](const Case&) { return 10 * ms; },
        [&](const Case& one) {
          CaseResult result = result_of(named_one);
          for (Finding& finding : result.judgement.findings) {
            if (one.k == but_in_case) continue;
            for (const Term term : terms) finding.tried[static_cast<unsigned>(term)] = 0;
          }
          return result;
        });
    return campaign.tally(Campaign::Machine::idle, 0).transports[0];
  };
  const TransportTally all = without({Term::oversize_refused, Term::room_found}, 0);
  EXPECT_EQ(all.verdict, Verdict::inconclusive);
  const auto refusal = std::find_if(all.promises.begin(), all.promises.end(),
                                    [](const auto& p) { return p.promise == Promise::refusal; });
  EXPECT_EQ(refusal->verdict, Verdict::inconclusive);
  EXPECT_EQ(refusal->what,
            "no occasion to break it in 100 scenarios: too large is refused, room is found");
  EXPECT_EQ(without({Term::oversize_refused}, 7).verdict, Verdict::pass) << "once is enough";
  EXPECT_EQ(without({Term::higher_first}, 0).verdict, Verdict::pass) << "it is not promised";
}

TEST(Campaign, FairnessIsTheLeastEvenOfAllScenarios) {
  Campaign campaign(plan_of({&named_one}), 0);
  run_all(
      campaign, [](const Case&) { return 500 * ms; },
      [](const Case& one) {
        CaseResult result = result_of(named_one);
        const bool first = one.k == 2;
        result.judgement.fairness = {.overtakes = first ? 3u : 1u, .wait_ns = first ? 10 : 20};
        result.judgement.fairness.jain_producers = first ? 0.5 : 1.0;
        return result;
      });
  const FairnessTally fairness = campaign.tally(Campaign::Machine::idle, 0).transports[0].fairness;
  EXPECT_EQ(fairness.overtakes, 3u);
  EXPECT_EQ(fairness.wait_ns, 20);
  EXPECT_EQ(fairness.producers.scenarios, 2u);
  EXPECT_DOUBLE_EQ(fairness.producers.least, 0.5);
  EXPECT_DOUBLE_EQ(fairness.producers.mean, 0.75);
  EXPECT_EQ(fairness.consumers.scenarios, 0u);
}

TEST(Campaign, UnsupportedListsThePromisesOfTheContract) {
  Campaign campaign(plan_of({&named_one}), 0);
  run_all(
      campaign, [](const Case&) { return ms; },
      [](const Case&) { return CaseResult{.unsupported = "no queue"}; });
  const TransportTally one = campaign.tally(Campaign::Machine::idle, 0).transports[0];
  ASSERT_THAT(one.promises, SizeIs(result_of(named_one).judgement.findings.size()));
  EXPECT_EQ(one.promises[0].verdict, Verdict::unsupported);
  EXPECT_EQ(one.promises[0].what, "no queue");
}

TEST(Campaign, UnsupportedIsGivenUpAndTheOthersGetItsTime) {
  Campaign campaign(plan_of({&named_one, &named_two}), 0);
  std::int64_t two_ns = 0;
  run_all(
      campaign,
      [&](const Case& one) {
        if (one.transport == 1) two_ns += 10 * ms;
        return one.transport == 1 ? 10 * ms : ms;
      },
      [](const Case& one) {
        CaseResult result = result_of(named_two);
        if (one.transport == 0) result = {.unsupported = "no queue"};
        return result;
      });
  const CampaignTally tally = campaign.tally(Campaign::Machine::idle, 0);
  EXPECT_EQ(tally_of(tally, "one").verdict, Verdict::unsupported);
  EXPECT_EQ(tally_of(tally, "one").unsupported_reason, "no queue");
  EXPECT_GT(two_ns, 980 * ms);
  EXPECT_EQ(campaign.exit_code(tally), ExitCode::pass);
}

TEST(Campaign, UnsupportedCountsWhenNamed) {
  CampaignPlan plan = plan_of({&named_one});
  plan.transports[0].asked = AskedFor::by_name;
  Campaign campaign(std::move(plan), 0);
  run_all(
      campaign, [](const Case&) { return ms; },
      [](const Case&) { return CaseResult{.unsupported = "no queue"}; });
  EXPECT_EQ(campaign.exit_code(campaign.tally(Campaign::Machine::idle, 0)), ExitCode::unsupported);
}

TEST(Campaign, SomeScenariosUnsupportedAreInconclusive) {
  Campaign campaign(plan_of({&named_one}), 0);
  run_all(
      campaign, [](const Case&) { return 10 * ms; },
      [](const Case& one) {
        return one.k % 10 == 0 ? CaseResult{.unsupported = "too large for this machine"}
                               : result_of(named_one);
      });
  const CampaignTally tally = campaign.tally(Campaign::Machine::idle, 0);
  EXPECT_EQ(tally.transports[0].verdict, Verdict::inconclusive);
  EXPECT_THAT(tally.transports[0].inconclusive_reason, HasSubstr("too large"));
}

TEST(Campaign, LaunchIsForcedOrRefused) {
  CampaignPlan plan = plan_of({&named_one, &inherited});
  plan.launch = Launch::exec;
  Campaign campaign(std::move(plan), 0);
  run_all(
      campaign, [](const Case&) { return 10 * ms; },
      [](const Case& one) {
        EXPECT_EQ(one.scenario.launch, Launch::exec);
        EXPECT_TRUE(scenario_faults(one.scenario, named_one.contract).empty());
        return result_of(named_one);
      });
  const CampaignTally tally = campaign.tally(Campaign::Machine::idle, 0);
  EXPECT_EQ(tally_of(tally, "inherited").verdict, Verdict::unsupported);
  EXPECT_THAT(tally_of(tally, "inherited").unsupported_reason, HasSubstr("inherited"));
  EXPECT_EQ(tally_of(tally, "one").verdict, Verdict::pass);
}

TEST(Campaign, FailingHarnessEndsItAndIsNoPass) {
  Campaign campaign(plan_of({&named_one}), 0);
  unsigned cases = 0;
  run_all(
      campaign, [](const Case&) { return ms; },
      [&](const Case&) {
        ++cases;
        return CaseResult{.harness_failure = "no memory"};
      });
  EXPECT_EQ(cases, 10u);
  const auto failures = campaign.take_harness_failures();
  ASSERT_THAT(failures, SizeIs(10));
  EXPECT_EQ(failures[0], "one: no memory (again: run one --seed " + seed_text(42) + " --case 2)");
  EXPECT_EQ(campaign.exit_code(campaign.tally(Campaign::Machine::idle, 0)),
            ExitCode::harness_failed);
}

TEST(Campaign, InterruptedCaseIsNotCountedUnlessItFoundSomething) {
  Campaign campaign(plan_of({&named_one}), 0);
  CaseResult cut = result_of(named_one, Verdict::inconclusive);
  cut.interrupted = true;
  campaign.finish(*campaign.next(EngineFor::ordinary_cases, 0), cut);
  EXPECT_EQ(campaign.tally(Campaign::Machine::idle, 0).transports[0].scenarios, 0u);
  CaseResult found = result_of(named_one, Verdict::violation);
  found.interrupted = true;
  campaign.finish(*campaign.next(EngineFor::ordinary_cases, 0), found);
  EXPECT_EQ(campaign.tally(Campaign::Machine::idle, 0).transports[0].verdict, Verdict::violation);
}

}  // namespace
}  // namespace ipctorture
