// Every canary as a user meets it: `run` catches it and leaves a bundle, and that bundle is enough
// for programs that were started anew: `replay` brings the same failure back, `recheck` judges the
// record alike, `explain` says what was broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/transport/registry.h"
#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;

std::vector<std::string> broken_canaries() {
  std::vector<std::string> names;
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::canary && registration.name != "canary_none") {
      names.emplace_back(registration.name);
    }
  }
  return names;
}

// The first failure that the run tells of, as its JSON line.
nlohmann::json first_failure(const Ended& run) {
  for (const std::string& line : lines_of(run.out)) {
    auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_object() && event["event"] == "failure" && event["verdict"] == "violation") {
      return event;
    }
  }
  return {};
}

// Lines and indentation aside.
std::string unwrapped(const std::string& text) {
  std::string words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words += word + " ";
  return words;
}

class CanaryJourney : public ::testing::TestWithParam<std::string> {};

TEST_P(CanaryJourney, FromRunToReplay) {
  const Scratch scratch;
  // Most are caught by the first scenarios; canary_oversleep needs a receive that times out.
  const Ended run =
      run_program(scratch, {"run", GetParam(), "--runs", "5000", "--fail-fast", "--launch", "fork",
                            "--seed", "g1:c0ffee", "--json", "--out", scratch.path("out")});
  EXPECT_EQ(run.problem, "");
  ASSERT_EQ(run.exit_code, 1) << run.all();
  const nlohmann::json failure = first_failure(run);
  ASSERT_TRUE(failure.is_object()) << run.all();
  const std::string bundle = failure["bundle"];
  const std::string fingerprint = failure["fingerprint"];

  // What depends on the schedule hides in many an attempt.
  const Ended replay =
      run_program(scratch, {"replay", bundle, "--attempts", "2000", "--fail-fast"});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("reproduced 1/"));
  EXPECT_THAT(replay.out, HasSubstr(fingerprint));
  EXPECT_EQ(replay.problem, "");

  const Ended recheck = run_program(scratch, {"recheck", bundle});
  EXPECT_EQ(recheck.exit_code, 1) << recheck.all();
  const Ended as_json = run_program(scratch, {"recheck", bundle, "--json"});
  const auto judged = nlohmann::json::parse(as_json.out, nullptr, false);
  ASSERT_TRUE(judged.is_object()) << as_json.all();
  EXPECT_EQ(judged["schema"], "ipctorture-recheck/1");
  EXPECT_EQ(judged["verdict"], "violation");
  EXPECT_EQ(judged["exit_code"], 1);

  const Ended explain = run_program(scratch, {"explain", bundle});
  EXPECT_EQ(explain.exit_code, 0) << explain.all();
  EXPECT_THAT(unwrapped(explain.out), HasSubstr(unwrapped(failure["what"])));
  EXPECT_THAT(explain.out, HasSubstr(" replay " + bundle));
}

// Without its bundle a case is made again by what the run says of it.
TEST(RunAgain, OneCaseBySeedAndNumber) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"run", "canary_duplicate", "--runs", "60", "--fail-fast",
                                          "--seed", "g1:c0ffee", "--json", "--out", "first"});
  const nlohmann::json failure = first_failure(run);
  ASSERT_TRUE(failure.is_object()) << run.all();
  std::vector<std::string> arguments{"run"};
  std::istringstream words(failure["again"].get<std::string>());
  for (std::string word; words >> word;) arguments.push_back(word);
  for (const char* more : {"--json", "--out", "second"}) arguments.emplace_back(more);
  const Ended again = run_program(scratch, arguments);
  EXPECT_EQ(again.exit_code, 1) << again.all();
  EXPECT_EQ(first_failure(again)["fingerprint"], failure["fingerprint"]);
  const auto scenario = [&](const nlohmann::json& of) {
    const std::string bundle = of["bundle"];
    return text_of(scratch.path(bundle + "/scenario.json"));
  };
  EXPECT_EQ(scenario(first_failure(again)), scenario(failure));

  const Ended replay =
      run_program(scratch, {"replay", failure["bundle"], "--attempts", "3", "--quiet", "--json"});
  const auto counted = nlohmann::json::parse(replay.out, nullptr, false);
  ASSERT_TRUE(counted.is_object()) << replay.all();
  EXPECT_EQ(counted["schema"], "ipctorture-replay/1");
  EXPECT_EQ(counted["exit_code"], replay.exit_code);
  EXPECT_GE(counted["reproduced"], 1);
}

INSTANTIATE_TEST_SUITE_P(All, CanaryJourney, ::testing::ValuesIn(broken_canaries()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace ipctorture
