// Which inconclusive runs the other tests of this folder may take for good.
#include "stress/cli/verdicts.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

Ended inconclusive_for(const std::string& reasons) {
  Ended ended;
  ended.exit_code = 2;
  ended.out = "seed g1:1\n\ntransport  verdict\npipe  inconclusive\n\npipe: inconclusive\n" +
              reasons + "3 scenarios: 1 inconclusive\n";
  return ended;
}

TEST(Objection, AWantOfOccasionsAndAStatedLoadAreNone) {
  EXPECT_EQ(objection(inconclusive_for("  refusal: no occasion to break it in 3 scenarios\n")), "");
  EXPECT_EQ(objection(inconclusive_for("  stall: it slept; but others used 700 per mille\n"
                                       "    ipctorture replay out/pipe-stall\n"
                                       "  1 of 3 scenarios inconclusive: stall: it slept; but "
                                       "others used 700 per mille of the machine\n")),
            "");
}

TEST(Objection, AnyOtherReasonIsOne) {
  EXPECT_NE(objection(inconclusive_for("  refusal: no occasion to break it in 3 scenarios\n"
                                       "  delivery: message 3 was accepted and not received\n")),
            "");
  EXPECT_NE(objection(inconclusive_for("")), "") << "no reason at all";
  Ended violated = inconclusive_for("  refusal: no occasion to break it in 3 scenarios\n");
  violated.exit_code = 1;
  EXPECT_NE(objection(violated), "");
}

}  // namespace
}  // namespace ipctorture
