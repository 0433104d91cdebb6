// The property behind everything: every valid scenario passes on every transport. rapidcheck draws
// scenarios from our generator, harness/shrink makes small what fails; a candidate is decided over
// several runs, since one lucky run must not end a shrink. A failure leaves the smallest scenario
// in a file and prints the command that replays it.
//
// Which scenarios are tried depends on RC_PARAMS (properties.h) and else is the same every time;
// ci/nightly gives another seed each night.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"
#include "harness/shrink/shrink.h"
#include "stress/properties.h"

namespace ipctorture {

void showValue(const Scenario& scenario, std::ostream& out) { out << scenario_to_json(scenario); }

namespace {

constexpr int runs_per_candidate = 3;
constexpr std::uint64_t candidates_max = 200;

// rapidcheck only draws: what fails is made small afterwards.
rc::Gen<Scenario> scenarios(const Registration& registration) {
  return rc::Gen<Scenario>([&registration](const rc::Random& random, int) {
    const std::uint64_t seed = rc::Random(random).next();
    return rc::shrinkable::just(
        generate(seed, registration.name, registration.contract, {.allow_exec = false}));
  });
}

class PropertyTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  PropertyTest() : directory_(::testing::TempDir() + "propXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
  }
  ~PropertyTest() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Answers the file's name; it stays when the test has ended, for a person to replay.
  std::string keep_failure() const {
    const std::string path = directory_ + "-" + std::string(last_.transport_name()) + ".json";
    std::ofstream(path) << scenario_to_json(last_);
    return path;
  }

  PropertyRun check_all(std::string_view name, int scenarios_tried) {
    const Registration& registration = *find_registration(name);
    const auto property = [&] {
      const Scenario scenario = *scenarios(registration);
      if (const auto finding = violation(scenario)) {
        last_ = scenario;
        RC_FAIL(fingerprint(*finding) + ": " + finding->what);
      }
    };
    const PropertyRun result = check_property(name, scenarios_tried, property);
    if (!result.passed) {
      last_ = shrink(last_, registration.contract,
                     [this](const Scenario& s) { return violation(s).has_value(); },
                     {.tries = candidates_max})
                  .scenario;
    }
    return result;
  }

  // In one of several runs: one lucky run must not end a shrink.
  std::optional<Finding> violation(const Scenario& scenario) {
    for (int run = 0; run < runs_per_candidate; ++run) {
      const ScenarioResult result = run_scenario(*engine_, scenario);
      for (const Finding& finding : result.judgement.findings) {
        if (finding.verdict == Verdict::violation) return finding;
      }
    }
    return std::nullopt;
  }

  std::string directory_;
  std::unique_ptr<Engine> engine_;
  Scenario last_;  // the last that failed: after a shrink, the smallest
};

TEST_P(PropertyTest, EveryValidScenarioPasses) {
  const PropertyRun result = check_all(GetParam(), 8);
  if (result.passed) return;
  FAIL() << result.text << "or the smallest of it: ipctorture replay " << keep_failure();
}

std::vector<std::string_view> shipped() {
  std::vector<std::string_view> names;
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::shipped) names.push_back(registration.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shipped, PropertyTest, ::testing::ValuesIn(shipped()),
                         [](const auto& one) { return std::string(one.param); });

class BrokenPropertyTest : public PropertyTest {};

TEST_P(BrokenPropertyTest, FailsAndShrinks) {
  ASSERT_FALSE(check_all(GetParam(), 50).passed);
  // The 7th message is lost whatever else happens: noise, bursts and peers are shrunk away.
  EXPECT_LE(last_.messages * last_.producers, 14u);
  EXPECT_EQ(last_.producer_noise, Noise{});
  EXPECT_EQ(last_.gap_ms, 0u);
  const std::string file = keep_failure();
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(scenario_from_json(text.str()), last_) << file;
  std::filesystem::remove(file);
}

INSTANTIATE_TEST_SUITE_P(Canary, BrokenPropertyTest, ::testing::Values("canary_lose"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ipctorture
