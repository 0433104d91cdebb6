#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

void stuck(HistoryBuilder& b, Stamp at = 500_ms) {
  b.evidence(Fact::deadlocked, -1, 0, at);
  for (int lane = 0; lane < static_cast<int>(b.raw().lanes.size()); ++lane) {
    b.evidence(Fact::waiting_in, lane, 0, at, 0,
               "#0  0x00007f1122334455 syscall\n"
               "#1  0x000055aa00000001 ipctorture::futex_wait(std::atomic<int>&, int)\n"
               "#2  0x000055aa00000002 ipctorture::(anonymous "
               "namespace)::Endpoint<(ipctorture::Flaw)5>::receive(int)\n");
    b.evidence(Fact::killed, lane, 0, at + 1);
  }
}

TEST(Deadlock, AMessageIsThereAndItsReceiverSleeps) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.waits(0, 5);
  stuck(b);
  const Finding finding = b.judge(Promise::deadlock);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(fingerprint(finding), "deadlock/progress/asleep in receive");
  EXPECT_NE(finding.what.find("receive (#0 syscall < futex_wait < Endpoint<(Flaw)5>::receive)"),
            std::string::npos)
      << finding.what;
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::inconclusive)
      << "stuck or lost: it cannot be told";
}

TEST(Deadlock, ASenderAndAReceiverWaitForEachOther) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 0, Outcome::unknown);
  b.waits(0, 5);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).symptom, "asleep in send");
}

TEST(Deadlock, ACloseThatNeverReturns) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.add(0, Op::close, Outcome::unknown, 10, 0);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).symptom, "asleep in close");
}

// Seen on udp: closing an inotify descriptor took the kernel of an overloaded machine four seconds.
TEST(Deadlock, AnAttachThatReturnsInTheEndWasMerelySlow) {
  HistoryBuilder b(1, 1);
  b.add(0, Op::attach, Outcome::ok, 1_ms, 4100_ms, DeadlineMode::at);
  b.add(1, Op::attach, Outcome::ok, 1_ms, 2_ms, DeadlineMode::at);
  b.evidence(Fact::no_progress, -1, 2_ms, 4002_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::inconclusive);
  b.records(0)[0].returned = 0;
  b.records(0)[0].outcome = static_cast<std::uint8_t>(Outcome::unknown);
  EXPECT_EQ(b.judge(Promise::deadlock).symptom, "no progress in attach");
}

TEST(Deadlock, NobodyIsTold) {
  HistoryBuilder b(1, 1);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  b.close(0, 50, 60);
  b.waits(0, 70);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::violation);
  EXPECT_EQ(b.judge(Promise::end_of_stream).symptom, "missing closed");
}

TEST(Deadlock, WhereNothingIsOwedItIsInconclusive) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  b.waits(0, 70);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::inconclusive);
}

TEST(Deadlock, AMessageThatMayBeLostIsNotOwed) {
  HistoryBuilder b(1, 1);
  b.contract.delivery = Delivery::at_most_once;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.waits(0, 5);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::pass);
}

TEST(Deadlock, ABlockedBoundSenderMayWaitForAConsumerThatIsBusy) {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::bound_consumer;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 0, Outcome::unknown);
  b.waits(0, 70);
  stuck(b);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::inconclusive);
}

TEST(Deadlock, NoProgressForTheBoundIsOneUnlessTheMachineIsToBlame) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.waits(0, 5);
  b.evidence(Fact::no_progress, -1, 1_ms, 4001_ms);
  EXPECT_EQ(b.judge(Promise::deadlock).symptom, "no progress in receive");
  b.evidence(Fact::machine_stalled, -1, 1000_ms, 3500_ms, 2'000'000'000);
  EXPECT_EQ(b.judge(Promise::deadlock).verdict, Verdict::inconclusive);
}

TEST(Deadlock, WithoutEvidenceThereIsNone) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  const Finding finding = b.judge(Promise::deadlock);
  EXPECT_EQ(finding.verdict, Verdict::pass);
  EXPECT_EQ(finding.occasions, 2u);
}

}  // namespace
}  // namespace ipctorture
