#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// Message 0 of producer 0 is received after `later` messages of producer 1, all sent after it.
HistoryBuilder overtaken(std::uint64_t later) {
  HistoryBuilder b(2, 1);
  b.contract.overtakes_max = 4;
  b.attach_all();
  b.send(0, 0, 10, 20);
  for (std::uint64_t i = 0; i < later; ++i) {
    b.send(1, i, 100 * i + 130, 100 * i + 140);
    b.receive(0, 1, i, 100 * i + 150, 100 * i + 160);
  }
  b.receive(0, 0, 0, 100 * later + 150, 100 * later + 160);
  return b;
}

TEST(Starvation, OvertakesAreCounted) {
  EXPECT_EQ(overtaken(4).judge(Promise::starvation).verdict, Verdict::pass);
  const Finding finding = overtaken(5).judge(Promise::starvation);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_NE(finding.what.find("overtaken by 5 messages"), std::string::npos) << finding.what;
}

TEST(Starvation, NothingIsClaimedWithoutAPromise) {
  HistoryBuilder b = overtaken(50);
  b.contract.overtakes_max = 0;
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::unsupported);
}

TEST(Starvation, ADisturbedMachineIsNoProof) {
  HistoryBuilder b = overtaken(5);
  b.evidence(Fact::loaded, -1, 1, 10'000, 900);
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::inconclusive);
}

TEST(Starvation, SharesAreReported) {
  const Finding finding = overtaken(4).judge(Promise::starvation);
  EXPECT_NE(finding.what.find("Jain's index 0.74 of 2 producers"), std::string::npos)
      << finding.what;
}

TEST(Starvation, WhoLeftEarlyWasNotKeptFromItsShare) {
  HistoryBuilder b = overtaken(4);
  b.scenario.early_producers = 1;
  EXPECT_NE(b.judge(Promise::starvation).what.find("Jain's index 1.00 of 1 producers"),
            std::string::npos);
}

TEST(Starvation, MessagesSentAtTheSameTimeDoNotOvertake) {
  HistoryBuilder b = overtaken(10);
  b.records(0)[1].returned = 700;
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
