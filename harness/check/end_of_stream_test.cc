#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

HistoryBuilder stream(Stamp closes, Stamp told) {
  HistoryBuilder b(1, 1);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  b.close(0, closes, closes + 10);
  b.nothing(0, Outcome::closed, told, told + 10, DeadlineMode::never);
  return b;
}

TEST(EndOfStream, ClosedAfterEverybodyClosed) {
  const Finding finding = stream(100, 200).judge(Promise::end_of_stream);
  EXPECT_EQ(finding.verdict, Verdict::pass);
  EXPECT_EQ(finding.occasions, 1u);
  EXPECT_EQ(stream(100, 90).judge(Promise::end_of_stream).verdict, Verdict::pass) << "overlapping";
}

TEST(EndOfStream, ClosedTooEarly) {
  EXPECT_EQ(stream(100, 89).judge(Promise::end_of_stream).symptom, "false closed");
  HistoryBuilder killed = stream(100, 89);
  killed.records(0).pop_back();
  EXPECT_EQ(killed.judge(Promise::end_of_stream).verdict, Verdict::pass) << "its end is not known";
  killed.evidence(Fact::killed, 0, 0, 200);
  EXPECT_EQ(killed.judge(Promise::end_of_stream).verdict, Verdict::violation)
      << "until then it lived";
}

TEST(EndOfStream, ClosedAndThenAMessage) {
  HistoryBuilder b = stream(100, 200);
  std::swap(b.records(1)[1].message, b.records(1)[2].message);
  std::swap(b.records(1)[1].outcome, b.records(1)[2].outcome);
  std::swap(b.records(1)[1].size, b.records(1)[2].size);
  b.records(0)[2].invoked = 20;
  b.records(0)[2].returned = 25;
  const Finding finding = b.judge(Promise::end_of_stream);
  EXPECT_EQ(finding.symptom, "false closed");
  EXPECT_NE(finding.what.find("after that"), std::string::npos) << finding.what;
}

TEST(EndOfStream, ClosedThoughAMessageWasReceivedByNobody) {
  HistoryBuilder b = stream(100, 200);
  b.records(1).erase(b.records(1).begin() + 1);
  EXPECT_EQ(b.judge(Promise::end_of_stream).symptom, "closed before the end");
}

TEST(EndOfStream, AnotherConsumerWasNotDone) {
  HistoryBuilder b(1, 2);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.close(0, 30, 40);
  b.nothing(0, Outcome::closed, 50, 60, DeadlineMode::never);
  b.receive(1, 0, 0, 70, 80);
  EXPECT_EQ(b.judge(Promise::end_of_stream).symptom, "false closed");
  b.contract.fan_out = FanOut::bound_consumer;
  EXPECT_EQ(b.judge(Promise::end_of_stream).verdict, Verdict::pass);
}

TEST(EndOfStream, ClosedToASenderWhileAConsumerStays) {
  HistoryBuilder b(1, 1);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::closed);
  b.close(1, 100, 110);
  EXPECT_EQ(b.judge(Promise::end_of_stream).symptom, "false closed to a sender");
  b.records(1)[1].invoked = 15;
  EXPECT_EQ(b.judge(Promise::end_of_stream).verdict, Verdict::pass);
}

TEST(EndOfStream, MissingAfterTheBound) {
  HistoryBuilder b(1, 1);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  b.close(0, 50, 60);
  b.nothing(0, Outcome::timed_out, 70, 1500_ms);
  EXPECT_EQ(b.judge(Promise::end_of_stream).verdict, Verdict::pass);
  b.nothing(0, Outcome::timed_out, 1500_ms, 2100_ms);
  EXPECT_EQ(b.judge(Promise::end_of_stream).symptom, "missing closed");
  b.evidence(Fact::loaded, -1, 0, 3000_ms, 900);
  EXPECT_EQ(b.judge(Promise::end_of_stream).verdict, Verdict::inconclusive);
}

}  // namespace
}  // namespace ipctorture
