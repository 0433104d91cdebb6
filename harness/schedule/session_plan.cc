#include "harness/schedule/session_plan.h"

#include <algorithm>

#include "harness/base/prng.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

void draw_priorities(const Plan& plan) {
  Control& c = *control;
  std::uint64_t state = plan.seed;
  const auto draw = [&](std::uint64_t bound) { return (state = mix64(state + 1)) % bound; };
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    c.lane[lane].priority = static_cast<std::int64_t>(draw(1u << 20)) + 1;
  }
  c.priority_changes = std::min(plan.priority_changes, changes_max);
  for (std::uint32_t i = 0; i < c.priority_changes; ++i) {
    c.priority_change_at[i] = 1 + static_cast<std::uint32_t>(draw(std::max(1u, plan.steps_guess)));
  }
}

}  // namespace

void configure(const Plan& plan) {
  Control& c = *control;
  c.source = plan.source;
  c.detect_races = plan.detect_races;
  c.weak_memory = plan.weak_memory;
  c.questions = plan.questions;
  c.shortages = plan.shortages;
  c.hostile = plan.hostile;
  c.keep_log = plan.keep_log;
  c.step_budget = plan.step_budget;
  c.walk_one_in = std::max(1u, plan.walk_one_in);
  c.random = plan.seed;
  c.listed_count =
      static_cast<std::uint32_t>(std::min<std::size_t>(plan.listed.size(), listed_max));
  std::copy_n(plan.listed.begin(), c.listed_count, c.listed);
  c.keyed_count = static_cast<std::uint32_t>(std::min<std::size_t>(plan.keyed.size(), taken_max));
  std::copy_n(plan.keyed.begin(), c.keyed_count, c.keyed);
  std::sort(c.keyed, c.keyed + c.keyed_count, [](const Departure& a, const Departure& b) {
    return a.lane != b.lane ? a.lane < b.lane : a.step < b.step;
  });
  c.expected_steps =
      static_cast<std::uint32_t>(std::min<std::size_t>(plan.expected.size(), trace_max - 1));
  std::copy_n(plan.expected.begin(), c.expected_steps, c.expected + 1);
  if (plan.source == Source::pct) draw_priorities(plan);
}

}  // namespace ipctorture::schedule
