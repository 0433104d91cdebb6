#include "harness/report/replay_line.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

TEST(ReplayLine, LeavesOrdinaryPathsAsTheyAre) {
  EXPECT_EQ(replay_line("build/dev/ipctorture", "out/latest/pipe-order-late"),
            "build/dev/ipctorture replay out/latest/pipe-order-late");
}

TEST(ReplayLine, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(replay_line("./my tool", "it's $HOME"), R"('./my tool' replay 'it'\''s $HOME')");
  EXPECT_EQ(replay_line("x", ""), "x replay ''");
}

TEST(RerunLine, QuotesTheProgramOnly) {
  EXPECT_EQ(rerun_line("./my tool", "pipe --seed g1:7 --case 3"),
            "'./my tool' run pipe --seed g1:7 --case 3");
}

}  // namespace
}  // namespace ipctorture
