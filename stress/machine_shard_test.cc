#include "stress/machine_shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Set = std::map<std::string, std::string>;

Settings::Environment as_environment(const Set& set) {
  return [&set](const char* name) -> const char* {
    const auto found = set.find(name);
    return found == set.end() ? nullptr : found->second.c_str();
  };
}

std::string said(const Set& set) {
  try {
    return shard_line(machine_shard(as_environment(set)));
  } catch (const UsageError& error) {
    return std::string("usage: ") + error.what();
  }
}

TEST(MachineShard, EachFamilyCountsAsItDoes) {
  EXPECT_EQ(said({{"JOB_COMPLETION_INDEX", "0"}, {"JOB_COMPLETIONS", "8"}}),
            "shard 1/8 (JOB_COMPLETION_INDEX=0, JOB_COMPLETIONS=8)\n");
  EXPECT_EQ(said({{"CI_NODE_INDEX", "2"}, {"CI_NODE_TOTAL", "5"}}),
            "shard 2/5 (CI_NODE_INDEX=2, CI_NODE_TOTAL=5)\n");
  EXPECT_EQ(said({{"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "4"}}),
            "shard 4/4 (SLURM_PROCID=3, SLURM_NTASKS=4)\n");
  EXPECT_EQ(said({{"TEST_SHARD_INDEX", "1"}, {"TEST_TOTAL_SHARDS", "3"}}),
            "shard 2/3 (TEST_SHARD_INDEX=1, TEST_TOTAL_SHARDS=3)\n");
  EXPECT_EQ(said({{"GTEST_SHARD_INDEX", "1"}, {"GTEST_TOTAL_SHARDS", "3"}}),
            "shard 2/3 (GTEST_SHARD_INDEX=1, GTEST_TOTAL_SHARDS=3)\n");
}

TEST(MachineShard, ASlurmArrayMayBeginAnywhereAndTakeSteps) {
  EXPECT_THAT(said({{"SLURM_ARRAY_TASK_ID", "7"},
                    {"SLURM_ARRAY_TASK_MIN", "3"},
                    {"SLURM_ARRAY_TASK_MAX", "9"},
                    {"SLURM_ARRAY_TASK_STEP", "2"},
                    {"SLURM_ARRAY_TASK_COUNT", "4"}}),
              HasSubstr("shard 3/4"));
  EXPECT_THAT(said({{"SLURM_ARRAY_TASK_ID", "7"},
                    {"SLURM_ARRAY_TASK_MIN", "1"},
                    {"SLURM_ARRAY_TASK_MAX", "7"},
                    {"SLURM_ARRAY_TASK_STEP", "1"},
                    {"SLURM_ARRAY_TASK_COUNT", "3"}}),
              HasSubstr("not evenly spaced"))
      << "1,3,7";
}

TEST(MachineShard, TasksWithinAnArrayHaveAPartEach) {
  EXPECT_THAT(said({{"SLURM_ARRAY_TASK_ID", "1"},
                    {"SLURM_ARRAY_TASK_MIN", "0"},
                    {"SLURM_ARRAY_TASK_COUNT", "3"},
                    {"SLURM_PROCID", "1"},
                    {"SLURM_NTASKS", "2"}}),
              HasSubstr("shard 4/6"));
  // A batch script of one task.
  EXPECT_THAT(said({{"SLURM_ARRAY_TASK_ID", "1"},
                    {"SLURM_ARRAY_TASK_MIN", "0"},
                    {"SLURM_ARRAY_TASK_COUNT", "3"},
                    {"SLURM_PROCID", "0"}}),
              HasSubstr("shard 2/3"));
}

TEST(MachineShard, HalfOfItIsRefusedByName) {
  EXPECT_THAT(said({{"JOB_COMPLETION_INDEX", "3"}}),
              HasSubstr("not JOB_COMPLETIONS: the manifest"));
  EXPECT_THAT(said({{"CI_NODE_TOTAL", "5"}}), HasSubstr("not CI_NODE_INDEX"));
  EXPECT_THAT(said({{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "3"}}),
              HasSubstr("not SLURM_ARRAY_TASK_MIN"));
  EXPECT_THAT(said({{"SLURM_PROCID", "3"}}), HasSubstr("not SLURM_NTASKS"));
  EXPECT_THAT(said({}), HasSubstr("none of JOB_COMPLETION_INDEX"));
  EXPECT_THAT(said({{"CI_NODE_INDEX", ""}, {"CI_NODE_TOTAL", ""}}), HasSubstr("none of"));
}

TEST(MachineShard, WhatIsNoSuchShardIsRefused) {
  EXPECT_THAT(said({{"CI_NODE_INDEX", "0"}, {"CI_NODE_TOTAL", "5"}}), HasSubstr("counts from 1"));
  EXPECT_THAT(said({{"CI_NODE_INDEX", "6"}, {"CI_NODE_TOTAL", "5"}}), HasSubstr("no such shard"));
  EXPECT_THAT(said({{"TEST_SHARD_INDEX", "5"}, {"TEST_TOTAL_SHARDS", "5"}}),
              HasSubstr("no such shard"));
  EXPECT_THAT(said({{"TEST_SHARD_INDEX", "-1"}, {"TEST_TOTAL_SHARDS", "5"}}),
              HasSubstr("TEST_SHARD_INDEX='-1' is no number"));
}

// Bazel sets GoogleTest's variables beside its own.
TEST(MachineShard, FamiliesMayAgreeAndMustNotContradict) {
  Set set{{"TEST_SHARD_INDEX", "1"},
          {"TEST_TOTAL_SHARDS", "3"},
          {"GTEST_SHARD_INDEX", "1"},
          {"GTEST_TOTAL_SHARDS", "3"}};
  EXPECT_THAT(said(set), HasSubstr("shard 2/3 (TEST_SHARD_INDEX=1"));
  set["GTEST_SHARD_INDEX"] = "2";
  EXPECT_THAT(said(set), HasSubstr("TEST_SHARD_INDEX=1, TEST_TOTAL_SHARDS=3 and "
                                   "GTEST_SHARD_INDEX=2, GTEST_TOTAL_SHARDS=3 contradict"));
}

// GitLab says 1 where there is no `parallel:`.
TEST(MachineShard, OneAloneSaidInPassingContradictsNobody) {
  EXPECT_EQ(said({{"CI_NODE_TOTAL", "1"}}), "shard 1/1 (CI_NODE_TOTAL=1)\n");
  EXPECT_THAT(said({{"CI_NODE_TOTAL", "1"}, {"TEST_SHARD_INDEX", "1"}, {"TEST_TOTAL_SHARDS", "3"}}),
              HasSubstr("shard 2/3 (TEST_SHARD_INDEX=1"));
}

TEST(MachineShard, StatusFilesAreThoseOfWhoWantsOne) {
  const Set set{
      {"TEST_SHARD_INDEX", "1"}, {"TEST_TOTAL_SHARDS", "3"}, {"TEST_SHARD_STATUS_FILE", "/tmp/a"}};
  EXPECT_THAT(machine_shard(as_environment(set)).status_files, ElementsAre("/tmp/a"));
}

TEST(MachineShard, APartNeedsASeed) {
  const Set none;
  Settings settings;
  EXPECT_EQ(chosen_shard(settings, as_environment(none)).shard.count, 1u);
  settings.set_flag("shard", "2/5");
  EXPECT_THROW(chosen_shard(settings, as_environment(none)), UsageError);
  settings.set_flag("seed", "g1:7");
  EXPECT_EQ(shard_line(chosen_shard(settings, as_environment(none))), "shard 2/5\n");
}

}  // namespace
}  // namespace ipctorture
