// For tests of campaigns: made-up transports, plans and results.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/check/check.h"
#include "stress/campaign.h"

namespace ipctorture::made_up {

inline constexpr std::int64_t ms = 1'000'000;

inline const Registration named_one{.name = "one",
                                    .contract = {.capacity_max = 64, .message_max = 4096}};
inline const Registration named_two{.name = "two", .contract = {.message_max = 4096}};
inline const Registration inherited{
    .name = "inherited", .contract = {.message_max = 4096, .attach = AttachBy::inherited}};

inline CampaignPlan plan_of(std::vector<const Registration*> registrations) {
  CampaignPlan plan{.seed = 42, .time_ns = 1000 * ms};
  for (const Registration* registration : registrations) {
    plan.transports.push_back({registration, AskedFor::with_others});
  }
  return plan;
}

// Every promise judged with an occasion, all of one verdict but `special`.
inline CaseResult result_of(const Registration& registration, Verdict verdict = Verdict::pass) {
  CaseResult result{.elapsed_ns = 10 * ms};
  for (unsigned p = 0; p < promise_count; ++p) {
    const auto promise = static_cast<Promise>(p);
    if (!promise_applies(promise, registration.contract)) continue;
    result.judgement.findings.push_back({.promise = promise, .occasions = 1});
    result.judgement.findings.back().tried.fill(1);
  }
  Finding& first = result.judgement.findings.front();
  first.verdict = verdict;
  if (verdict != Verdict::pass) {
    first.what = "it broke";
    first.term = "content";
    first.symptom = "torn";
  }
  result.traffic = {.received = 100, .traffic_ns = ms};
  return result;
}

}  // namespace ipctorture::made_up
