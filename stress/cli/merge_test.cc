// Shards of one campaign, each a program of its own, and `merge` over what they left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

Ended run_shard(const Scratch& scratch, const std::string& transport, const std::string& shard,
                const std::string& folder) {
  return run_program(scratch, {"run", transport, "--runs", "12", "--seed", "g1:7", "--shard", shard,
                               "--hand-over", "0", "--quiet", "--out", scratch.path(folder)});
}

std::vector<nlohmann::json> transports_in(const std::string& file) {
  std::vector<nlohmann::json> found;
  for (const std::string& line : lines_of(text_of(file))) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json["event"] == "transport") found.push_back(std::move(json));
  }
  return found;
}

std::multiset<std::uint64_t> cases_in(const std::string& file, std::uint64_t step) {
  std::multiset<std::uint64_t> cases;
  for (const nlohmann::json& transport : transports_in(file)) {
    for (const auto& range : transport["cases"]) {
      for (std::uint64_t k = range[0]; k <= range[1]; k += step) cases.insert(k);
    }
  }
  return cases;
}

TEST(MergeCli, ShardsRunTheCasesOfOneRunAndMergeToIt) {
  const Scratch scratch;
  ASSERT_EQ(run_shard(scratch, "pipe", "1/1", "whole").exit_code, 0);
  std::multiset<std::uint64_t> cases;
  for (const char* index : {"1", "2", "3"}) {
    run_shard(scratch, "pipe", std::string(index) + "/3", index);
    cases.merge(cases_in(scratch.path(index) + "/results.jsonl", 3));
  }
  EXPECT_EQ(cases, cases_in(scratch.path("whole/results.jsonl"), 1));

  const Ended merged = run_program(scratch, {"merge", "1", "2", "3", "--out", "all"});
  EXPECT_EQ(merged.exit_code, 0) << merged.all();
  EXPECT_THAT(merged.out, HasSubstr("shards 1-3 of 3"));
  EXPECT_EQ(cases_in(scratch.path("all/results.jsonl"), 3), cases);

  const Ended two = run_program(scratch, {"merge", "1", "3", "--out", "two"});
  EXPECT_EQ(two.exit_code, 2) << two.all();
  EXPECT_THAT(two.out, HasSubstr("hole: shards missing of 3: 2"));
  // A union is merged again, and so is its other half; what both have counts once.
  const Ended again = run_program(scratch, {"merge", "two", "2", "3", "--json", "--out", "again"});
  EXPECT_EQ(again.exit_code, 0) << again.all();
  EXPECT_EQ(again.out, text_of(scratch.path("again/results.jsonl")));
  EXPECT_EQ(transports_in(scratch.path("again/results.jsonl")),
            transports_in(scratch.path("all/results.jsonl")));
}

TEST(MergeCli, BundlesComeAlong) {
  const Scratch scratch;
  for (const char* index : {"1", "2"}) {
    ASSERT_EQ(run_shard(scratch, "canary_lose", std::string(index) + "/2", index).exit_code, 1);
  }
  // As they come from other machines.
  fs::create_directory(scratch.path("brought"));
  fs::rename(scratch.path("1"), scratch.path("brought/first"));
  fs::rename(scratch.path("2"), scratch.path("brought/second"));
  const Ended merged =
      run_program(scratch, {"merge", "brought/first", "brought/second", "--out", "all"});
  EXPECT_EQ(merged.exit_code, 1) << merged.all();
  unsigned bundles = 0;
  for (const auto& entry : fs::directory_iterator(scratch.path("all"))) {
    if (!entry.path().filename().string().starts_with("shard")) continue;
    if (entry.path().filename() == "shards") continue;
    EXPECT_EQ(run_program(scratch, {"explain", entry.path().string()}).exit_code, 0);
    ++bundles;
  }
  EXPECT_GE(bundles, 2u);
}

TEST(MergeCli, WhatIsNoPartIsRefusedAndNothingIsWritten) {
  const Scratch scratch;
  fs::create_directory(scratch.path("bad"));
  std::ofstream(scratch.path("bad/results.jsonl")) << "{\"schema\": 3}\n";
  const Ended bad = run_program(scratch, {"merge", "bad", "--out", "all"});
  EXPECT_EQ(bad.exit_code, 64);
  EXPECT_THAT(bad.err, HasSubstr("bad/results.jsonl:1: schema: must be a text"));
  EXPECT_EQ(run_program(scratch, {"merge", "nowhere", "--out", "all"}).exit_code, 64);
  fs::create_directory(scratch.path("linked"));
  fs::create_symlink(scratch.path("bad/results.jsonl"), scratch.path("linked/results.jsonl"));
  EXPECT_THAT(run_program(scratch, {"merge", "linked"}).err, HasSubstr("is a symbolic link"));
  EXPECT_EQ(run_program(scratch, {"merge", "bad", "--out", "bad"}).exit_code, 64);
  EXPECT_FALSE(fs::exists(scratch.path("all")));
}

// The bundle of a stranger's results lies elsewhere: not copied, not named.
TEST(MergeCli, NothingOutsideTheFoldersIsCopied) {
  const Scratch scratch;
  fs::create_directories(scratch.path("secret/deep"));
  std::ofstream(scratch.path("secret/deep/scenario.json")) << "secret";
  fs::create_directory(scratch.path("part"));
  fs::create_symlink(scratch.path("secret"), scratch.path("part/link"));
  std::ofstream lines(scratch.path("part/results.jsonl"));
  lines << R"({"schema":"ipctorture-run/1","event":"start","seed":"g1:7","out":"part"})" << "\n";
  for (const char* bundle : {"part/../secret/deep", "part/link/deep", "/etc", "secret/deep"}) {
    lines << R"({"schema":"ipctorture-run/1","event":"failure","transport":"pipe","bundle":")"
          << bundle << "\"}\n";
  }
  lines.close();
  run_program(scratch, {"merge", "part", "--out", "all"});
  EXPECT_TRUE(fs::exists(scratch.path("all/results.jsonl")));
  EXPECT_THAT(text_of(scratch.path("all/results.jsonl")), Not(HasSubstr("shard1-")));
}

TEST(MergeCli, PartsOfAnExplorationAreUnited) {
  const Scratch scratch;
  for (const char* index : {"1", "2"}) {
    run_program(scratch,
                {"explore", "posix_mq", "--schedules", "1000", "--jobs", "2", "--seed", "g1:7",
                 "--shard", std::string(index) + "/2", "--quiet", "--out", scratch.path(index)});
  }
  const Ended merged = run_program(scratch, {"merge", "1", "2", "--out", "all"});
  EXPECT_EQ(merged.exit_code, 0) << merged.all();
  EXPECT_THAT(merged.out, HasSubstr("  1000 schedules, "));
  EXPECT_EQ(run_program(scratch, {"merge", "1", "--out", "one"}).exit_code, 2);
}

}  // namespace
}  // namespace ipctorture
