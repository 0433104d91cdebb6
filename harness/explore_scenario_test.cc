// Is what is broken found under control, and what is sound left alone? Every canary
// (transports/canaries.cc) and every faulty transport (transports/faulty/) within a bounded number
// of schedules; their twins, and the canary without a flaw, never.
//
// If this fails, the controlled engine is blind or calls wrong what is right: do not touch the
// canary.
#include "harness/explore_scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "harness/check/aims.h"
#include "harness/schedule/search.h"
#include "harness/schedule/test_session.h"

namespace ipctorture {
namespace {

using schedule::Backend;
using schedule::Ending;
using schedule::names_of;
using schedule::Room;
using schedule::sut_transport;
using schedule::Trial;
using schedule::TrialKind;

constexpr unsigned kill_walks = 1;

struct Outcome {
  std::optional<Judgement> violation;  // the first
  std::string trial;
  std::uint64_t schedules = 0;
  std::string uncontrolled;
  std::array<std::uint64_t, promise_count> occasions{};
};

// How much a trial may take: so many steps over all its schedules; and so many schedules where each
// takes forking, which is a hundred times slower.
struct Bound {
  std::uint64_t points = 0, forking = 0;
};

// As `explore` goes through a trial (stress/explore/shard.cc), but for the bound.
void run_trial(const Registration& registration, const Trial& trial, Bound bound,
               Outcome& outcome) {
  Room room(registration, trial);
  if (!room.session().unsupported().empty()) return;
  ScheduleJudge judge(trial.scenario, registration.contract);
  schedule::Coverage coverage;
  const auto examine = [&](schedule::Session& ran, Ending ending, const schedule::Plan&) {
    const Judgement* judgement = judge.judge(ran, ending);
    if (judgement == nullptr || violation_of(*judgement) == nullptr) {
      const bool forks = !ran.returns_by_snapshot();
      return coverage.points >= bound.points || (forks && coverage.schedules >= bound.forking);
    }
    outcome.violation = *judgement;
    outcome.trial = trial.name;
    return true;
  };
  const std::uint64_t most = trial.kind == TrialKind::kill ? bound.forking : UINT64_MAX;
  schedule::Search search(room.session(), {.schedules = most}, examine, coverage);
  switch (trial.kind) {
    case TrialKind::exhaust:
      search.exhaust(trial.bound, trial.plan());
      break;
    case TrialKind::kill:
      search.kill_everywhere(trial.kill_lanes, trial.plan(), kill_walks);
      break;
    case TrialKind::wander:
      search.wander(1, 0, bound.points, trial.plan());
      break;
  }
  outcome.schedules += coverage.schedules;
  if (outcome.uncontrolled.empty()) outcome.uncontrolled = judge.uncontrolled();
  for (unsigned p = 0; p < promise_count; ++p) outcome.occasions[p] += judge.occasions()[p];
}

// Through the trials in their order, until a violation.
Outcome explore(const Registration& registration, const std::vector<Trial>& trials, Bound bound) {
  Outcome outcome;
  for (const Trial& trial : trials) {
    run_trial(registration, trial, bound, outcome);
    if (outcome.violation) break;
  }
  return outcome;
}

std::string told(const Outcome& outcome) {
  std::string text = outcome.trial + " after " + std::to_string(outcome.schedules) + " schedules";
  if (!outcome.violation) return text;
  for (const Finding& finding : outcome.violation->findings) {
    if (finding.verdict != Verdict::violation) continue;
    text += "\n" + fingerprint(finding) + ": " + finding.what;
  }
  return text;
}

// --- canaries

// What a canary must be caught for, and the scenario that its flaw needs.
struct Crime {
  Promise promise{};
  std::string_view symptom;  // what the finding's begins with
  void (*adapt)(Scenario&) = [](Scenario&) {};
};

void several(Scenario& s) {
  s.messages = 9;
  s.capacity = 4;
}
void answering_at_once(Scenario& s) {
  several(s);
  s.send_deadlines = s.receive_deadlines = {.now_permille = 500};
}
// The 7th message wakes nobody, and the producer sleeps; the consumer's deadline, beyond the bound
// of progress, rescues the message.
void sleeping_after_the_seventh(Scenario& s) {
  s.messages = 8, s.capacity = 8;
  s.burst = 7, s.burst_pause_us = 1'000'000;
  s.receive_deadlines = {.at_permille = 1000, .at_us = 800'000};
}
void many(Scenario& s) { s.messages = 40, s.capacity = 16; }
void oversize(Scenario& s) { s.oversize_permille = 500; }
void timed(Scenario& s) {
  s.burst = 1, s.burst_pause_us = 500'000;
  s.receive_deadlines = {.at_permille = 1000, .at_us = 1000};
}
// It comes when the first was killed, at whatever point.
void with_a_successor(Scenario& s) {
  s.producers = 2, s.late_producers = 1;
  s.faults.producer_kills = 1;
}
void repeating(Scenario& s) { s.messages = 9, s.repeat_permille = 500; }

const std::map<std::string_view, Crime> crimes = {
    {"canary_lose", {Promise::delivery, "lost", several}},
    {"canary_duplicate", {Promise::delivery, "duplicate", several}},
    {"canary_reorder", {Promise::order, "", several}},
    {"canary_tear", {Promise::integrity, "torn", several}},
    {"canary_truncate", {Promise::integrity, "truncated", several}},
    {"canary_stall", {Promise::stall, "", sleeping_after_the_seventh}},
    {"canary_hang", {Promise::deadlock, "", several}},
    {"canary_spin", {Promise::deadlock, "livelock", several}},
    {"canary_starve", {Promise::starvation, "", many}},
    {"canary_refuse", {Promise::refusal, "", several}},
    {"canary_swallow_large", {Promise::refusal, "oversize not refused", oversize}},
    {"canary_false_full", {Promise::refusal, "false full", answering_at_once}},
    {"canary_false_empty", {Promise::refusal, "false empty", answering_at_once}},
    {"canary_false_closed", {Promise::end_of_stream, "", several}},
    {"canary_never_closed", {Promise::end_of_stream, "missing closed", several}},
    {"canary_oversleep", {Promise::deadlines, "", timed}},
    {"canary_crash", {Promise::crash, "", several}},
    {"canary_leak", {Promise::leaks, "", several}},
    {"canary_fire_unchanged", {Promise::latest_value, "fired without change", repeating}},
    // The free engine sees at once that all stand still; here the sender is seen asleep for long.
    {"canary_orphan", {Promise::refusal, "sender asleep", with_a_successor}},
    {"canary_stale", {Promise::latest_value, "", several}},
};

std::vector<Trial> trials_for(const Registration& canary, void (*adapt)(Scenario&)) {
  Trial trial = schedule::first_trial(canary);
  adapt(trial.scenario);
  EXPECT_EQ(scenario_faults(trial.scenario, canary.contract), std::vector<std::string>{});
  trial.backend = Backend::processes;
  if (trial.scenario.faults.kills()) {
    trial.kind = TrialKind::kill;
    trial.late_lanes = schedule::LateLanes::succeed;
    trial.kill_lanes = 1;
    return {trial};
  }
  trial.kind = TrialKind::exhaust;
  trial.bound = 1;
  Trial random = trial;
  random.kind = TrialKind::wander;
  return {trial, random};
}

class CanaryUnderControl : public testing::TestWithParam<std::string> {};

TEST_P(CanaryUnderControl, IsCaught) {
  const Registration& canary = sut_transport(GetParam());
  const Crime& crime = crimes.at(canary.name);
  const Outcome outcome = explore(canary, trials_for(canary, crime.adapt), {1'000'000, 3000});
  ASSERT_TRUE(outcome.violation) << "passed " << outcome.schedules << " schedules";
  const bool for_its_crime = std::any_of(
      outcome.violation->findings.begin(), outcome.violation->findings.end(),
      [&](const Finding& finding) {
        return finding.verdict == Verdict::violation && finding.promise == crime.promise &&
               finding.symptom.starts_with(crime.symptom) && !finding.what.empty() &&
               !finding.legal.empty();
      });
  EXPECT_TRUE(for_its_crime) << told(outcome);
}

std::vector<std::string> names_in(const std::map<std::string_view, Crime>& table) {
  std::vector<std::string> names;
  for (const auto& [name, crime] : table) names.emplace_back(name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, CanaryUnderControl, testing::ValuesIn(names_in(crimes)),
                         [](const auto& one) { return one.param; });

TEST(CanariesUnderControl, AreAllInTheTable) {
  for (const std::string& name : names_of(Kind::canary)) {
    EXPECT_EQ(crimes.count(name), name == "canary_none" ? 0u : 1u) << name;
  }
}

// In the scenarios of all the others.
TEST(CanariesUnderControl, TheSoundOneIsLeftAlone) {
  const Registration& canary = sut_transport("canary_none");
  for (const auto& [name, crime] : crimes) {
    const Contract& contract = sut_transport(name).contract;
    // It is no value, and survives no death.
    if (contract.delivery == Delivery::latest_value || contract.survives_producer_death) continue;
    const Outcome outcome = explore(canary, trials_for(canary, crime.adapt), {50'000, 200});
    EXPECT_FALSE(outcome.violation) << name << "'s: " << told(outcome);
    EXPECT_EQ(outcome.uncontrolled, "");
    EXPECT_GT(outcome.schedules, 30u);
  }
}

// --- faulty transports and their twins

std::vector<std::string> faulty(bool twins) {
  std::vector<std::string> names = names_of(Kind::faulty);
  std::erase_if(names, [&](const std::string& name) { return name.ends_with("_twin") != twins; });
  // It takes seventeen lives to see; a schedule has eight lanes. `run` finds it.
  if (!twins) std::erase(names, "slot_table_churn");
  return names;
}

class FaultyUnderControl : public testing::TestWithParam<std::string> {};

TEST_P(FaultyUnderControl, IsFound) {
  const Registration& registration = sut_transport(GetParam());
  const Outcome outcome = explore(
      registration, schedule::portfolio(GetParam(), registration.contract, 1), {1'400'000, 1000});
  EXPECT_TRUE(outcome.violation) << "passed " << outcome.schedules << " schedules";
  EXPECT_EQ(outcome.uncontrolled, "");
}

INSTANTIATE_TEST_SUITE_P(All, FaultyUnderControl, testing::ValuesIn(faulty(false)),
                         [](const auto& one) { return one.param; });

class TwinUnderControl : public testing::TestWithParam<std::string> {};

TEST_P(TwinUnderControl, IsLeftAlone) {
  const Registration& registration = sut_transport(GetParam());
  const std::vector<Trial> trials = schedule::portfolio(GetParam(), registration.contract, 1);
  const Outcome outcome = explore(registration, trials, {60'000, 60});
  EXPECT_FALSE(outcome.violation) << told(outcome);
  EXPECT_EQ(outcome.uncontrolled, "");
  EXPECT_GT(outcome.schedules, 20 * trials.size());
}

INSTANTIATE_TEST_SUITE_P(All, TwinUnderControl, testing::ValuesIn(faulty(true)),
                         [](const auto& one) { return one.param; });

// A transport that is sound until it is broken on purpose.
class MutantUnderControl : public testing::TestWithParam<unsigned> {};

TEST_P(MutantUnderControl, IsFound) {
  Registration mutant = sut_transport("shm_queue");
  mutant.mutation = static_cast<Mutation>(GetParam());
  const Outcome outcome =
      explore(mutant, schedule::portfolio(mutant.name, mutant.contract, 1), {1'400'000, 1000});
  EXPECT_TRUE(outcome.violation) << "passed " << outcome.schedules << " schedules";
  EXPECT_EQ(outcome.uncontrolled, "");
}

// Those that matter to it; names that stay behind are the free engine's to find.
std::vector<unsigned> mutants_of(const char* transport) {
  std::vector<unsigned> mutations;
  for (unsigned i = 1; i < mutation_count; ++i) {
    const auto mutation = static_cast<Mutation>(i);
    const Aim aim = aim_of(mutation, sut_transport(transport).contract);
    if (aim.why_not.empty() && mutation != Mutation::litter) mutations.push_back(i);
  }
  return mutations;
}

INSTANTIATE_TEST_SUITE_P(All, MutantUnderControl, testing::ValuesIn(mutants_of("shm_queue")),
                         [](const auto& one) {
                           return std::string(to_string(static_cast<Mutation>(one.param)));
                         });

// The transports that are shipped: fewer schedules, many of them start processes and sockets anew.
class ShippedUnderControl : public testing::TestWithParam<std::string> {};

TEST_P(ShippedUnderControl, IsLeftAlone) {
  const Registration& registration = sut_transport(GetParam());
  const std::vector<Trial> trials = schedule::portfolio(GetParam(), registration.contract, 7);
  const Outcome outcome = explore(registration, trials, {20'000, 12});
  EXPECT_FALSE(outcome.violation) << told(outcome);
  EXPECT_EQ(outcome.uncontrolled, "");
  EXPECT_GE(outcome.schedules, trials.size());
}

INSTANTIATE_TEST_SUITE_P(All, ShippedUnderControl, testing::ValuesIn(names_of(Kind::shipped)),
                         [](const auto& one) { return one.param; });

// What the history alone would not show: it is cut short.
TEST(Judge, CallsARaceAViolation) {
  const Registration& registration = sut_transport("publish_before_copy");
  const Trial trial = schedule::first_trial(registration);
  Room room(registration, trial.scenario, Backend::fibers);
  ScheduleJudge judge(trial.scenario, registration.contract);
  Ending ending = Ending::complete;
  for (std::uint64_t seed = 1; seed < 200 && ending != Ending::race; ++seed) {
    ending = room.session().run({.source = schedule::Source::walk, .seed = seed, .walk_one_in = 3});
  }
  ASSERT_EQ(ending, Ending::race);
  const Judgement* judgement = judge.judge(room.session(), ending);
  ASSERT_NE(judgement, nullptr);
  const Finding* finding = violation_of(*judgement);
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->symptom, "race");
  EXPECT_THAT(finding->what, testing::HasSubstr("is not ordered after lane"));
}

}  // namespace
}  // namespace ipctorture
