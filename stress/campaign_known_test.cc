// Campaigns that know failures, with made-up results (as campaign_test.cc): known ones change no
// exit code and stop nothing, but pass as nothing either.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/check.h"
#include "stress/campaign.h"

namespace ipctorture {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* torn = "integrity/content/torn";

const Registration one{.name = "one", .contract = {.capacity_max = 64, .message_max = 4096}};

Finding finding(Promise promise, Verdict verdict = Verdict::pass, std::string term = {},
                std::string symptom = {}) {
  Finding made{.promise = promise, .verdict = verdict, .occasions = 1, .what = "it broke"};
  made.term = std::move(term);
  made.symptom = std::move(symptom);
  made.tried.fill(1);
  return made;
}

// Every promise judged with an occasion; those of `special` instead of a pass.
CaseResult result_of(const std::vector<Finding>& special = {}) {
  CaseResult result{.elapsed_ns = 1};
  for (unsigned p = 0; p < promise_count; ++p) {
    const auto promise = static_cast<Promise>(p);
    if (!promise_applies(promise, one.contract)) continue;
    Finding found = finding(promise);
    for (const Finding& other : special) {
      if (other.promise == promise) found = other;
    }
    result.judgement.findings.push_back(std::move(found));
  }
  return result;
}

Finding known_torn() { return finding(Promise::integrity, Verdict::violation, "content", "torn"); }
Finding other_violation() {
  return finding(Promise::delivery, Verdict::violation, "exactly once", "lost");
}

class KnownInCampaign : public testing::Test {
 protected:
  explicit KnownInCampaign(std::string expires = "2027-01-31")
      : campaign_(plan_until(std::move(expires)), 0) {}

  static CampaignPlan plan_until(std::string expires) {
    CampaignPlan plan{.seed = 42, .runs = 10, .fail_fast = FailFast::yes};
    plan.transports = {{&one, AskedFor::with_others}};
    KnownFailure entry{.fingerprint = torn, .reason = "waits", .expires = std::move(expires)};
    entry.where = "known.toml:1";
    plan.known = KnownFailures({entry}, plan.transports, "2026-11-29");
    return plan;
  }

  // As many cases of these findings as there are left, or one.
  void run(const std::vector<Finding>& special, bool all = false) {
    while (const auto next = campaign_.next(EngineFor::ordinary_cases, 0)) {
      CaseResult result = result_of(special);
      for (const Finding& found : special) {
        if (found.verdict == Verdict::violation && campaign_.first_sighting(*next, found)) {
          result.bundles[fingerprint(found)] = "bundle-" + std::to_string(++bundles_);
        }
      }
      campaign_.finish(*next, result);
      if (!all) return;
    }
  }
  CampaignTally tally() const { return campaign_.tally(Campaign::Machine::idle, 0); }

  Campaign campaign_;
  unsigned bundles_ = 0;
};

TEST_F(KnownInCampaign, IsToldOnceAndDoesNotStopTheRun) {
  run({known_torn()}, true);
  const CampaignTally all = tally();
  const TransportTally& t = all.transports[0];
  EXPECT_EQ(t.scenarios, 9u) << "the patient case was not run";
  EXPECT_EQ(t.verdict, Verdict::known);
  EXPECT_EQ(t.promises[0].verdict, Verdict::known);
  EXPECT_EQ(t.promises[0].bundle, "bundle-1");
  ASSERT_THAT(t.known, SizeIs(1));
  EXPECT_EQ(t.known[0].scenarios, 9u);
  EXPECT_EQ(t.known[0].fingerprint, torn);
  ASSERT_THAT(all.known, SizeIs(1));
  EXPECT_EQ(all.known[0].state, KnownState::seen);
  EXPECT_EQ(campaign_.exit_code(all), ExitCode::pass);
  EXPECT_EQ(campaign_.progress(0).violations, 0u);
  const auto told = campaign_.take_failures();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].verdict, Verdict::known);
  EXPECT_EQ(told[0].reason, "waits");
  EXPECT_EQ(told[0].bundle, "bundle-1");
  EXPECT_EQ(bundles_, 1u);
}

TEST_F(KnownInCampaign, HidesNoOther) {
  run({known_torn()});
  run({known_torn(), other_violation()}, true);
  const CampaignTally all = tally();
  const TransportTally& t = all.transports[0];
  EXPECT_EQ(t.scenarios, 2u) << "fail-fast";
  EXPECT_EQ(t.verdict, Verdict::violation);
  EXPECT_EQ(t.promises[0].verdict, Verdict::known);
  EXPECT_THAT(t.known, SizeIs(1));
  EXPECT_EQ(campaign_.exit_code(all), ExitCode::violation);
  EXPECT_EQ(campaign_.progress(0).violations, 1u);
}

TEST_F(KnownInCampaign, NorADoubtOfItsOwn) {
  run({finding(Promise::delivery, Verdict::inconclusive, "exactly once", "cut")}, true);
  run({known_torn()});
  EXPECT_EQ(campaign_.exit_code(tally()), ExitCode::inconclusive);
}

// What a known failure breaks off is neither a doubt nor an occasion.
TEST_F(KnownInCampaign, WhatItCutShortIsNoDoubt) {
  const Finding cut = finding(Promise::delivery, Verdict::inconclusive, "exactly once", "cut");
  for (int i = 0; i < 5; ++i) run({known_torn(), cut});
  EXPECT_EQ(tally().transports[0].verdict, Verdict::inconclusive) << "delivery was never tried";
  EXPECT_EQ(tally().transports[0].inconclusive_scenarios, 0u);
  run({});
  EXPECT_EQ(tally().transports[0].verdict, Verdict::known);
  EXPECT_EQ(campaign_.exit_code(tally()), ExitCode::pass);
}

TEST_F(KnownInCampaign, UnseenIsLeftToTheCaller) {
  run({}, true);
  CampaignTally all = tally();
  EXPECT_EQ(all.known[0].state, KnownState::unseen);
  EXPECT_EQ(all.known[0].note, "");
  EXPECT_EQ(campaign_.exit_code(all), ExitCode::pass);
  all.known[0].state = KnownState::gone;
  EXPECT_EQ(campaign_.exit_code(all), ExitCode::violation);
}

TEST_F(KnownInCampaign, CannotBeMissedWhereNothingRan) {
  EXPECT_EQ(tally().known[0].state, KnownState::unseen);
  EXPECT_NE(tally().known[0].note, "");
}

TEST_F(KnownInCampaign, CountsWhatTheControlledEngineSaw) {
  ControlledResult result{.tried = true, .schedules = 7};
  result.known[torn] = {.what = "it broke", .histories = 3};
  campaign_.count_controlled(0, result);
  campaign_.count_controlled(0, result);  // a later slice: the sums so far
  run({});
  const CampaignTally all = tally();
  EXPECT_EQ(all.transports[0].verdict, Verdict::known);
  EXPECT_EQ(all.transports[0].known[0].histories, 3u);
  EXPECT_EQ(all.known[0].state, KnownState::seen);
  const auto told = campaign_.take_failures();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].engine, "controlled");
  run({known_torn()});
  EXPECT_THAT(campaign_.take_failures(), IsEmpty()) << "told already";
  EXPECT_EQ(tally().transports[0].known[0].bundle, "bundle-1");
}

class ExpiredInCampaign : public KnownInCampaign {
 protected:
  ExpiredInCampaign() : KnownInCampaign("2026-11-28") {}
};

TEST_F(ExpiredInCampaign, IsAViolationLikeAnyOther) {
  run({known_torn()}, true);
  const CampaignTally all = tally();
  EXPECT_EQ(all.transports[0].verdict, Verdict::violation);
  EXPECT_EQ(all.transports[0].scenarios, 1u) << "fail-fast";
  EXPECT_THAT(all.transports[0].known, IsEmpty());
  EXPECT_EQ(campaign_.take_failures()[0].verdict, Verdict::violation);
}

TEST_F(ExpiredInCampaign, FailsTheRunWhateverHappens) {
  run({}, true);
  const CampaignTally all = tally();
  EXPECT_EQ(all.transports[0].verdict, Verdict::pass);
  EXPECT_EQ(all.known[0].state, KnownState::expired);
  EXPECT_EQ(campaign_.exit_code(all), ExitCode::violation);
}

}  // namespace
}  // namespace ipctorture
