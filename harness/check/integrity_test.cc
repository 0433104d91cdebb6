#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

// Three messages of 64 bytes, received as they were sent.
HistoryBuilder stream() {
  HistoryBuilder b(1, 1);
  b.attach_all();
  for (std::uint64_t i = 0; i < 3; ++i) {
    b.send(0, i, 100 * i + 10, 100 * i + 20);
    b.receive(0, 0, i, 100 * i + 30, 100 * i + 40);
  }
  return b;
}

TEST(Integrity, PassesWhatCameAsItWasSent) {
  const Finding finding = stream().judge(Promise::integrity);
  EXPECT_EQ(finding.verdict, Verdict::pass);
  EXPECT_EQ(finding.occasions, 3u);
}

struct Damage {
  const char* symptom;
  void (*apply)(Record&);
};

class DamagedMessage : public testing::TestWithParam<Damage> {};

TEST_P(DamagedMessage, IsAViolation) {
  HistoryBuilder b = stream();
  GetParam().apply(b.records(b.consumer(0))[2]);
  const Finding finding = b.judge(Promise::integrity);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, GetParam().symptom);
  EXPECT_FALSE(finding.witness.empty());
  EXPECT_EQ(finding.witness.back(), (EventRef{b.consumer(0), 2}));
}

INSTANTIATE_TEST_SUITE_P(Integrity, DamagedMessage,
                         testing::Values(Damage{"torn", [](Record& r) { r.detail = 1; }},
                                         Damage{"foreign", [](Record& r) { r.detail = 2; }},
                                         Damage{"truncated", [](Record& r) { r.size = 63; }},
                                         Damage{"extended", [](Record& r) { r.size = 65; }},
                                         Damage{"altered",
                                                [](Record& r) {
                                                  r.message = HistoryBuilder::id(
                                                      0, 1, MessageKind::handoff);
                                                }}),
                         [](const auto& parameter) {
                           return std::string(parameter.param.symptom);
                         });

TEST(Integrity, ATruncatedShortMessageIsRecognised) {
  HistoryBuilder b = stream();
  Record& r = b.records(b.consumer(0))[2];
  r.size = 2;
  r.message = HistoryBuilder::id(0, 1);
  EXPECT_EQ(b.judge(Promise::integrity).symptom, "truncated");
}

TEST(Integrity, APriorityThatChangedOnTheWayIsAViolation) {
  HistoryBuilder b = stream();
  b.contract.ordering = Ordering::priority;
  b.contract.priorities = 4;
  EXPECT_EQ(b.judge(Promise::integrity).verdict, Verdict::pass);
  b.records(b.consumer(0))[2].detail = 3 << 8;
  EXPECT_EQ(b.judge(Promise::integrity).symptom, "priority");
}

TEST(Integrity, ATornMessageIsNotLostAsWell) {
  HistoryBuilder b = stream();
  b.contract.reports_closed = true;
  b.records(b.consumer(0))[2].detail = 1;
  b.nothing(0, Outcome::closed, 1000, 1001, DeadlineMode::never);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
}

// An attempt of unknown fate and a later one of the same number may have had different sizes.
TEST(Integrity, TheSizeOfAnAttemptOfUnknownFateIsLegal) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::unknown, 100);
  b.send(0, 0, 30, 40, Outcome::ok, 64);
  b.receive(0, 0, 0, 50, 60, 100);
  b.receive(0, 0, 0, 70, 80, 64);
  EXPECT_EQ(b.judge().verdict(), Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
