// Which cases a campaign runs: patient and ordinary ones, of a budget, of a shard, of a seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "stress/made_up_campaign.h"

namespace ipctorture {
namespace {

using namespace made_up;

TEST(CampaignCases, RunsBudgetCountsThePatientCase) {
  CampaignPlan plan = plan_of({&named_one, &named_two});
  plan.time_ns = 0;
  plan.runs = 5;
  Campaign campaign(std::move(plan), 0);
  unsigned patient = 0, ordinary = 0;
  while (const auto next = campaign.next(EngineFor::patient_cases, 0)) {
    EXPECT_EQ(next->k, 1u);
    campaign.finish(*next, result_of(named_one));
    ++patient;
  }
  while (const auto next = campaign.next(EngineFor::ordinary_cases, 0)) {
    campaign.finish(*next, result_of(named_one));
    ++ordinary;
  }
  EXPECT_EQ(patient, 2u);
  EXPECT_EQ(ordinary, 8u);
}

TEST(CampaignCases, PatientCasesGoOnWhileThereIsTime) {
  CampaignPlan plan = plan_of({&named_one, &named_two});
  const std::int64_t patience = named_one.contract.progress_bound_ms * 5 / 2 * ms;
  plan.time_ns = 4 * patience;
  Campaign campaign(std::move(plan), 0);
  for (const std::uint64_t k : {1u, 1u, 1001u, 1001u, 2001u, 2001u, 3001u, 3001u}) {
    EXPECT_EQ(campaign.next(EngineFor::patient_cases, patience)->k, k);
  }
  EXPECT_FALSE(campaign.next(EngineFor::patient_cases, patience).has_value());
}

TEST(CampaignCases, PatientCasesCostNoneOfTheOthersTime) {
  CampaignPlan plan = plan_of({&named_one, &named_two});
  plan.time_ns = 0, plan.runs = 1100;
  Campaign campaign(std::move(plan), 0);
  unsigned patient = 0;
  for (; const auto next = campaign.next(EngineFor::patient_cases, 0); ++patient) {
    CaseResult slow = result_of(named_one);
    slow.elapsed_ns = next->transport == 0 ? 1'000'000 * ms : ms;
    campaign.finish(*next, slow);
  }
  EXPECT_EQ(patient, 4u);
  unsigned of_first = 0;
  for (int i = 0; i < 100; ++i) {
    const Case next = *campaign.next(EngineFor::ordinary_cases, 0);
    of_first += next.transport == 0;
    campaign.finish(next, result_of(named_one));
  }
  EXPECT_EQ(of_first, 50u);
}

TEST(CampaignCases, WithoutTimeThePatientAreAmongTheRuns) {
  CampaignPlan plan = plan_of({&named_one});
  plan.time_ns = 0, plan.runs = 1002;
  plan.shard = {.index = 2, .count = 4};
  Campaign second(plan, 0);
  EXPECT_FALSE(second.next(EngineFor::patient_cases, 0).has_value()) << "1 and 1001 are others'";
  plan.shard = {.index = 1, .count = 4};
  Campaign first(plan, 0);
  EXPECT_EQ(first.next(EngineFor::patient_cases, 0)->k, 1u);
  EXPECT_EQ(first.next(EngineFor::patient_cases, 0)->k, 1001u);
  EXPECT_FALSE(first.next(EngineFor::patient_cases, 0).has_value());
  std::uint64_t ordinary = 0;
  for (; const auto next = first.next(EngineFor::ordinary_cases, 0); ++ordinary) {
    first.finish(*next, result_of(named_one));
  }
  EXPECT_EQ(ordinary, 249u) << "5, 9 ... 997";
}

TEST(CampaignCases, EveryCaseIsDistinctAndASeedRepeatsIt) {
  std::set<std::uint64_t> seeds;
  std::vector<Scenario> first, again;
  for (auto* scenarios : {&first, &again}) {
    CampaignPlan plan = plan_of({&named_one});
    plan.runs = 20;
    Campaign campaign(std::move(plan), 0);
    while (const auto next = campaign.next(EngineFor::ordinary_cases, 0)) {
      seeds.insert(next->seed);
      scenarios->push_back(next->scenario);
      campaign.finish(*next, result_of(named_one));
    }
  }
  EXPECT_EQ(seeds.size(), 19u);
  EXPECT_EQ(first, again);
}

TEST(CampaignCases, ShardsShareTheCasesOfOneCampaign) {
  std::multiset<std::uint64_t> seen;
  for (unsigned index = 1; index <= 3; ++index) {
    CampaignPlan plan = plan_of({&named_one});
    plan.time_ns = 0;
    plan.runs = 10;
    plan.shard = {.index = index, .count = 3};
    Campaign campaign(std::move(plan), 0);
    for (const EngineFor engine : {EngineFor::patient_cases, EngineFor::ordinary_cases}) {
      while (const auto next = campaign.next(engine, 0)) {
        EXPECT_EQ(next->seed, case_seed(42, "one", next->k));
        seen.insert(next->k);
        campaign.finish(*next, result_of(named_one));
      }
    }
  }
  EXPECT_EQ(seen, (std::multiset<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

// A case that was named without a bundle is made again by its seed and number alone.

TEST(CampaignCases, AShardMayHaveOneKindAlone) {
  CampaignPlan plan = plan_of({&named_one});
  plan.shard = {.index = 1, .count = 1000};
  EXPECT_FALSE(Campaign(plan, 0).next(EngineFor::ordinary_cases, 0).has_value());
  plan.shard = {.index = 2, .count = 1000};
  EXPECT_FALSE(Campaign(plan, 0).next(EngineFor::patient_cases, 0).has_value());
  EXPECT_EQ(Campaign(plan, 0).next(EngineFor::ordinary_cases, 0)->k, 2u);
}

// Hundreds of lives are for forked workers: separate programs are fewer.
TEST(CampaignCases, SeparateProgramsGetWhatTheyMayHave) {
  const Registration survivor{.name = "survivor",
                              .contract = {.message_max = 4096,
                                           .producers_max = 8,
                                           .lives_max = 255,
                                           .survives_producer_death = true}};
  CampaignPlan plan = plan_of({&survivor});
  plan.time_ns = 0, plan.runs = 1500;
  plan.launch = Launch::exec;
  Campaign campaign(std::move(plan), 0);
  while (const auto next = campaign.next(EngineFor::ordinary_cases, 0)) {
    EXPECT_EQ(next->scenario.launch, Launch::exec);
    EXPECT_THAT(scenario_faults(next->scenario, survivor.contract), testing::IsEmpty()) << next->k;
    campaign.finish(*next, result_of(survivor));
  }
}

}  // namespace
}  // namespace ipctorture
