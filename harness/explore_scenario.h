// The same journey as run_scenario.h under the controlled engine: a session's schedule, its
// history, and what the checkers say of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "harness/check/check.h"
#include "harness/schedule/session.h"

namespace ipctorture {

// Judges schedule after schedule of one scenario. Histories that no checker could tell apart are
// judged once. Findings come from the checkers, and from what only the controlled engine knows: a
// race, a livelock, an access outside a mapping.
class ScheduleJudge {
 public:
  ScheduleJudge(const Scenario& scenario, const Contract& contract)
      : scenario_(scenario), contract_(contract) {}

  // The judgement is good until the next call; nothing: as an earlier one, whose
  // violations, if it had any, were judged then.
  const Judgement* judge(const schedule::Session& session, schedule::Ending ending);
  // Judges without looking whether it was seen before.
  Judgement judge_afresh(const schedule::Session& session, schedule::Ending ending) const;

  std::uint64_t distinct_histories() const { return seen_.size(); }
  // Schedules that could not be judged: the harness could not control them. In words, the first.
  const std::string& uncontrolled() const { return uncontrolled_; }
  // Occasions of each promise, over the distinct histories.
  const std::array<std::uint64_t, promise_count>& occasions() const { return occasions_; }

 private:
  const Scenario scenario_;
  const Contract contract_;
  std::unordered_set<std::uint64_t> seen_;
  std::array<std::uint64_t, promise_count> occasions_{};
  std::string uncontrolled_;
  Judgement last_;
};

// The worst violation; null when there is none.
const Finding* violation_of(const Judgement& judgement);

}  // namespace ipctorture
