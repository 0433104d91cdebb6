// Every canary of transports/canaries.cc must be caught, for the reason it was made for, and the
// one without a flaw must pass. If this fails, the harness is blind: do not touch the canary.
//
// For each promise there is a canary that only its oracle may convict, so that no oracle hides
// behind another one. Where generated scenarios are not decisive, one is made by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

// What a canary must be caught for: the promise and, where that leaves several ways, how.
struct Crime {
  Promise promise{};
  std::string_view symptom = {};  // what the finding's begins with
};
const std::map<std::string_view, Crime> expected = {
    {"canary_lose", {Promise::delivery, "lost"}},
    {"canary_duplicate", {Promise::delivery, "duplicate"}},
    {"canary_reorder", {Promise::order}},
    {"canary_tear", {Promise::integrity, "torn"}},
    {"canary_truncate", {Promise::integrity, "truncated"}},
    {"canary_stall", {Promise::stall}},
    {"canary_hang", {Promise::deadlock, "asleep in "}},
    {"canary_spin", {Promise::deadlock, "no progress in "}},
    {"canary_starve", {Promise::starvation}},
    {"canary_refuse", {Promise::refusal}},
    {"canary_swallow_large", {Promise::refusal, "oversize not refused"}},
    {"canary_false_full", {Promise::refusal, "false full"}},
    {"canary_false_empty", {Promise::refusal, "false empty"}},
    {"canary_false_closed", {Promise::end_of_stream}},
    {"canary_never_closed", {Promise::end_of_stream, "missing closed"}},
    {"canary_oversleep", {Promise::deadlines}},
    {"canary_crash", {Promise::crash}},
    {"canary_leak", {Promise::leaks}},
    {"canary_fire_unchanged", {Promise::latest_value, "fired without change"}},
    {"canary_orphan", {Promise::deadlock, "survivors stuck"}},
    {"canary_stale", {Promise::latest_value}},
};

// A message that wakes nobody (the 7th) while the consumer sleeps in a receive whose deadline lies
// beyond the progress bound, so that it is a stall, yet before two bounds have passed, so that
// neither a deadlock nor a want of progress can be seen. The deadline rescues the message.
Scenario sleeper(const Registration& canary, std::uint64_t seed) {
  const std::uint32_t bound_us = canary.contract.progress_bound_ms * 1000;
  Scenario s;
  s.set_transport(canary.name);
  s.seed = seed;
  s.messages = 7;
  s.gap_after = 6;  // until everything was received and the consumer asks again
  s.gap_ms = 20;
  s.receive_deadlines = {.at_permille = 1000, .at_us = bound_us + bound_us * 3 / 5};
  s.handoff = true;  // or the producer would close at once, which wakes everybody
  return s;
}

// Every receive asks with a short deadline while the producer pauses for longer: each times out,
// and overstays. Left to the generator, such a case is rare, and rarer on a crowded machine.
Scenario impatient(const Registration& canary, std::uint64_t seed) {
  Scenario s;
  s.set_transport(canary.name);
  s.seed = seed;
  s.messages = 3;
  s.burst = 1;
  s.burst_pause_us = 300'000;  // longer than it overstays
  s.receive_deadlines = {.at_permille = 1000, .at_us = 1000};
  return s;
}

Scenario scenario_for(const Registration& canary, std::uint64_t seed) {
  if (canary.name == "canary_oversleep") return impatient(canary, seed);
  if (canary.name == "canary_stall") return sleeper(canary, seed);
  return generate(seed, canary.name, canary.contract, {.allow_exec = false});
}

class WithEngine {
 protected:
  WithEngine() : directory_(::testing::TempDir() + "canaryXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
  }
  ~WithEngine() {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Runs scenarios until one shows what the canary was made for; nothing: none did.
  std::optional<ScenarioResult> catch_it(const Registration& canary, unsigned cases_max) {
    const Crime& crime = expected.at(canary.name);
    for (unsigned k = 0; k < cases_max; ++k) {
      const Scenario scenario = scenario_for(canary, case_seed(1, canary.name, k));
      ScenarioResult result = run_scenario(*engine_, scenario);
      EXPECT_TRUE(result.unsupported.empty()) << result.unsupported;
      for (const Finding& finding : result.judgement.findings) {
        const bool caught = finding.verdict == Verdict::violation &&
                            finding.promise == crime.promise &&
                            finding.symptom.starts_with(crime.symptom);
        if (!caught) continue;
        EXPECT_FALSE(finding.what.empty());
        EXPECT_FALSE(finding.legal.empty());
        return result;
      }
    }
    return std::nullopt;
  }

  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

class CanaryTest : public WithEngine, public ::testing::TestWithParam<std::string_view> {};

TEST_P(CanaryTest, IsCaught) {
  EXPECT_TRUE(catch_it(*find_registration(GetParam()), 400)) << GetParam() << " passed";
}

std::vector<std::string_view> broken_canaries() {
  std::vector<std::string_view> names;
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::canary && registration.name != "canary_none") {
      names.push_back(registration.name);
    }
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, CanaryTest, ::testing::ValuesIn(broken_canaries()),
                         [](const auto& one) { return std::string(one.param); });

class SoundCanary : public CanaryTest {};

TEST_P(SoundCanary, Passes) {
  const Registration& canary = *find_registration(GetParam());
  for (unsigned k = 0; k < 60; ++k) {
    const Scenario scenario =
        generate(case_seed(2, canary.name, k), canary.name, canary.contract, {.allow_exec = false});
    const ScenarioResult result = run_scenario(*engine_, scenario);
    for (const Finding& finding : result.judgement.findings) {
      ASSERT_NE(finding.verdict, Verdict::violation)
          << fingerprint(finding) << ": " << finding.what << "\n"
          << scenario_to_json(scenario);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(None, SoundCanary, ::testing::Values("canary_none"),
                         [](const auto& one) { return std::string(one.param); });

TEST(CanaryTable, EveryPromiseHasOneOfItsOwn) {
  for (unsigned p = 0; p < promise_count; ++p) {
    const auto promise = static_cast<Promise>(p);
    EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [&](const auto& entry) {
      return entry.second.promise == promise && find_registration(entry.first) != nullptr;
    })) << to_string(promise);
  }
}

class Canaries : public WithEngine, public ::testing::Test {};

// The stall was seen by the stall's oracle, and there was nothing else to see.
TEST_F(Canaries, AStallAloneIsCaught) {
  const auto result = catch_it(*find_registration("canary_stall"), 20);
  ASSERT_TRUE(result);
  for (const Finding& finding : result->judgement.findings) {
    if (finding.promise == Promise::stall) continue;
    EXPECT_EQ(finding.verdict, Verdict::pass) << to_string(finding.promise) << ": " << finding.what;
  }
}

// A worker that never comes to rest is killed, and the engine is as good as before.
TEST_F(Canaries, ASpinningWorkerIsEnded) {
  const auto result = catch_it(*find_registration("canary_spin"), 20);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->history.has(Fact::killed));
  const Registration& sound = *find_registration("canary_none");
  const ScenarioResult next = run_scenario(*engine_, scenario_for(sound, 1));
  EXPECT_NE(next.judgement.verdict(), Verdict::violation);
}

}  // namespace
}  // namespace ipctorture
