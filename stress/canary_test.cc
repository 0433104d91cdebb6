// Every canary of transports/canaries.cc must be caught, for the reason it was made for, and the
// one without a flaw must pass. If this fails, the harness is blind: do not touch the canary.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

// Which promises a canary may be caught for. Several, where one flaw breaks several.
const std::map<std::string_view, std::set<Promise>> expected = {
    {"canary_lose", {Promise::delivery}},
    {"canary_duplicate", {Promise::delivery}},
    {"canary_reorder", {Promise::order}},
    {"canary_tear", {Promise::integrity}},
    {"canary_truncate", {Promise::integrity}},
    {"canary_stall", {Promise::stall, Promise::deadlock}},
    {"canary_hang", {Promise::deadlock, Promise::stall}},
    {"canary_starve", {Promise::starvation}},
    {"canary_refuse", {Promise::refusal}},
    {"canary_swallow_large", {Promise::refusal}},
    {"canary_false_full", {Promise::refusal}},
    {"canary_false_empty", {Promise::refusal}},
    {"canary_false_closed", {Promise::end_of_stream}},
    {"canary_never_closed", {Promise::end_of_stream, Promise::deadlock}},
    {"canary_oversleep", {Promise::deadlines}},
    {"canary_crash", {Promise::crash}},
    {"canary_leak", {Promise::leaks}},
    {"canary_fire_unchanged", {Promise::latest_value}},
    {"canary_stale", {Promise::latest_value}},
};

class CanaryTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  CanaryTest() : directory_(::testing::TempDir() + "canaryXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
  }
  ~CanaryTest() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(CanaryTest, IsCaught) {
  constexpr unsigned cases_max = 400;
  const Registration& canary = *find_registration(GetParam());
  for (unsigned k = 0; k < cases_max; ++k) {
    const Scenario scenario =
        generate(case_seed(1, canary.name, k), canary.name, canary.contract, {.allow_exec = false});
    const ScenarioResult result = run_scenario(*engine_, scenario);
    ASSERT_TRUE(result.unsupported.empty()) << result.unsupported;
    for (const Finding& finding : result.judgement.findings) {
      if (finding.verdict != Verdict::violation) continue;
      if (!expected.at(canary.name).contains(finding.promise)) continue;
      RecordProperty("cases", static_cast<int>(k + 1));
      EXPECT_FALSE(finding.what.empty());
      EXPECT_FALSE(finding.legal.empty());
      return;
    }
  }
  FAIL() << canary.name << " passed " << cases_max << " scenarios";
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

}  // namespace
}  // namespace ipctorture
