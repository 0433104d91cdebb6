// Parts of an exploration together run the schedules of one exploration, no more and no others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

nlohmann::json explored(const Scratch& scratch, const std::string& shard, const std::string& jobs) {
  const Ended run = run_program(
      scratch, {"explore", "posix_mq", "--schedules", "2000", "--seed", "g1:7", "--jobs", jobs,
                "--shard", shard, "--json", "--quiet", "--out", scratch.path(jobs)});
  EXPECT_EQ(run.problem, "");
  return nlohmann::json::parse(run.out, nullptr, false);
}

// The budget is counted in schedules, so nothing depends on the time: exhaustive, kills and random
// rounds alike.
TEST(ExploreShards, TogetherAreTheWhole) {
  const Scratch scratch;
  const nlohmann::json whole = explored(scratch, "1/1", "4");
  ASSERT_TRUE(whole.is_object());
  ASSERT_EQ(whole["schedules"], 2000);
  std::map<std::string, std::uint64_t> sums;
  std::map<std::string, std::uint64_t> occasions;
  std::map<std::string, bool> complete;
  for (const char* shard : {"1/2", "2/2"}) {
    const nlohmann::json part = explored(scratch, shard, "2");
    ASSERT_TRUE(part.is_object());
    EXPECT_EQ(part["verdict"], whole["verdict"]);
    for (const char* figure : {"schedules", "points", "kill_points", "histories"}) {
      sums[figure] += part[figure].get<std::uint64_t>();
    }
    for (const auto& [promise, count] : part["occasions"].items()) {
      occasions[promise] += count.get<std::uint64_t>();
    }
    for (const auto& trial : part["trials"]) {
      const auto [at, added] = complete.emplace(trial["name"], true);
      at->second = at->second && trial["complete"].get<bool>();
    }
  }
  for (const auto& [figure, sum] : sums) EXPECT_EQ(sum, whole[figure]) << figure;
  EXPECT_EQ(nlohmann::json(occasions), whole["occasions"]);
  for (const auto& trial : whole["trials"]) {
    EXPECT_EQ(complete[trial["name"]], trial["complete"].get<bool>()) << trial["name"];
  }
}

TEST(ExploreShards, SayWhichTheyAreAndNeedASeed) {
  const Scratch scratch;
  const Ended run =
      run_program(scratch,
                  {"explore", "posix_mq", "--schedules", "50", "--seed", "g1:7", "--shard", "auto",
                   "--quiet", "--out", scratch.path("out")},
                  {.environment = {"TEST_SHARD_INDEX=1", "TEST_TOTAL_SHARDS=3",
                                   "TEST_SHARD_STATUS_FILE=" + scratch.path("told")}});
  EXPECT_THAT(run.out, testing::HasSubstr("shard 2/3 (TEST_SHARD_INDEX=1, TEST_TOTAL_SHARDS=3)"));
  EXPECT_EQ(access(scratch.path("told").c_str(), F_OK), 0) << "Bazel waits for this file";
  EXPECT_EQ(run_program(scratch, {"explore", "posix_mq", "--shard", "1/2"}).exit_code, 64);
}

}  // namespace
}  // namespace ipctorture
