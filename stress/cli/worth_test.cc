// `score --transport` as a user runs it: a transport and its mutants, for a short time;
// interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <nlohmann/json.hpp>

#include "harness/transport/mutant.h"
#include "stress/cli/child.h"
#include "stress/cli/footprint.h"

namespace ipctorture {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Of one mutant; what the others would show is open, so it is inconclusive.
TEST(Worth, OfAPassIsMeasuredByItsMutants) {
  const Scratch scratch;
  const Ended ended = run_program(
      scratch, {"score", "--transport", "unix_dgram", "--time", "1s", "--mutant-time", "10s",
                "--exclude", "*__[!t]*", "--json", "--out", "out", "--page", "page.md"});
  EXPECT_EQ(ended.exit_code, 2) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  std::map<std::string, nlohmann::json> mutants;
  std::vector<std::string> promises;
  nlohmann::json total;
  for (const std::string& line : lines_of(ended.out)) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << line;
    EXPECT_EQ(json["schema"], "ipctorture-score/1");
    if (json.contains("mutant")) mutants[json["mutant"]] = json;
    if (json.contains("promise")) promises.push_back(json["promise"]);
    if (json.contains("transport")) total = json;
  }
  EXPECT_THAT(mutants, SizeIs(mutation_count - 1));
  EXPECT_EQ(mutants["unix_dgram__tear"]["caught"], true);
  EXPECT_THAT(mutants["unix_dgram__tear"]["by"].get<std::vector<std::string>>(),
              Contains("integrity"));
  EXPECT_EQ(mutants["unix_dgram__lose"]["caught"], false);
  EXPECT_EQ(mutants["unix_dgram__lose"]["runs"], nlohmann::json::array());
  EXPECT_EQ(mutants["unix_dgram__endless"]["not_applicable"], "the end is not reported");
  EXPECT_THAT(promises, Contains("deadlines"));
  EXPECT_EQ(total["transport"], "unix_dgram");
  EXPECT_EQ(total["run"]["caught"], false);
  EXPECT_GT(total["scenarios"], 0);
  EXPECT_THAT(text_of(scratch.path("page.md")), HasSubstr("# What a pass on unix_dgram is worth"));
  EXPECT_THAT(text_of(scratch.path("out/results.jsonl")), HasSubstr("unix_dgram__tear"));
}

TEST(Worth, InterruptedSaysWhatWasNotRun) {
  const Scratch scratch;
  Child child(scratch, {"score", "--transport", "pipe", "--time", "10m", "--page", "page.md"},
              {.before = Before::terminal, .columns = 60});
  ASSERT_TRUE(child.says("pipe, seed 1 of 1")) << child.said();
  ASSERT_TRUE(child.until([&] { return !run_directories(scratch).empty(); }));
  child.type("\x03");
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  const std::string shown = without_escapes(ended.out);
  EXPECT_THAT(shown, HasSubstr("not run"));
  EXPECT_THAT(shown, Not(HasSubstr("pipe__lose"))) << "no mutant is begun";
  EXPECT_THAT(shown, Not(HasSubstr("pipe: pass")));
  EXPECT_THAT(text_of(scratch.path("page.md")), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

}  // namespace
}  // namespace ipctorture
