// `run --soak` as a user runs it: rounds over the same endpoints, an interruption, what goes with
// it and what does not, and a bundle that can be judged again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "stress/cli/child.h"
#include "stress/cli/footprint.h"

namespace ipctorture {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<nlohmann::json> soaks_of(const std::string& out) {
  std::vector<nlohmann::json> soaks;
  for (const std::string& line : lines_of(out)) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.value("event", "") == "soak") soaks.push_back(json);
  }
  return soaks;
}

TEST(Soak, GoesRoundAfterRoundAndSaysHow) {
  const Scratch scratch;
  const Ended ended = run_program(
      scratch, {"run", "pipe", "shm_seqlock", "--soak", "--time", "3s", "--json", "--out", "out"});
  // A loaded machine leaves some promise without an occasion.
  EXPECT_THAT(ended.exit_code, AnyOf(Eq(0), Eq(2))) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  const auto soaks = soaks_of(ended.out);
  ASSERT_EQ(soaks.size(), 2u) << ended.all();
  for (const nlohmann::json& soak : soaks) {
    EXPECT_EQ(soak["refusal"], "");
    EXPECT_GT(soak["rounds"], 1);
    EXPECT_GT(soak["messages"], 0);
    EXPECT_GT(soak["memory_bytes"], 1'000'000);
    EXPECT_LE(soak["flowed_ns"], soak["took_ns"]);
  }
  EXPECT_THAT(text_of(scratch.path("out/results.jsonl")), HasSubstr(R"("event":"soak")"));
}

TEST(Soak, IsNeitherCountedNorDivided) {
  const Scratch scratch;
  for (const char* flag : {"--runs=3", "--case=2", "--shard=1/2"}) {
    const Ended ended = run_program(scratch, {"run", "pipe", "--soak", "--seed", "g1:1", flag});
    EXPECT_EQ(ended.exit_code, 64) << flag;
    EXPECT_THAT(ended.err,
                HasSubstr("--soak: goes with --time, not with --runs, --case or --shard"));
    EXPECT_THAT(ended.out, IsEmpty());
  }
}

TEST(Soak, ADryRunShowsIt) {
  const Scratch scratch;
  const Ended ended = run_program(
      scratch, {"run", "shm_ring", "--soak", "--time", "1h", "--seed", "g1:4", "--dry-run"});
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.out, HasSubstr("  then 59m00s of 1x1, up to 9 B, capacity 60\n"));
}

TEST(Soak, InterruptedSaysWhatItWasAndLeavesNothing) {
  const Scratch scratch;
  Child child(scratch, {"run", "pipe", "--soak", "--time", "15s"}, {.before = Before::terminal});
  ASSERT_TRUE(child.says("pipe soaking")) << child.said();
  child.type("\x03");
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  const std::string shown = without_escapes(ended.out);
  EXPECT_THAT(shown, HasSubstr("pipe soaked for"));
  EXPECT_THAT(shown, Not(HasSubstr("VIOLATION")));
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

// Correct twins and the canary without a flaw: no soak blames them.
TEST(Soak, BlamesNobodyWhoIsRight) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "canary_none", "udp", "shm_broadcast",
                                            "posix_mq", "--soak", "--time", "2s", "--out", "out"});
  EXPECT_THAT(ended.exit_code, AnyOf(Eq(0), Eq(2))) << ended.all();
  EXPECT_THAT(ended.out, Not(HasSubstr("VIOLATION")));
}

}  // namespace
}  // namespace ipctorture
