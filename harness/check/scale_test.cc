// A million messages: every one is looked at, and one fault among them is found.
#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t messages = 1'000'000;

// Each message waits for so long.
HistoryBuilder stream(Stamp wait = 0) {
  HistoryBuilder b(1, 1);
  b.records(0).reserve(messages + 2);
  b.records(1).reserve(messages + 2);
  b.contract.ordering = Ordering::total;
  b.contract.reports_closed = true;
  b.attach_all();
  for (std::uint64_t i = 0; i < messages; ++i) {
    const Stamp at = 100 * (i + 1);
    b.send(0, i, at, at + 10);
    b.receive(0, 0, i, at + wait + 20, at + wait + 30);
  }
  const Stamp end = 100 * messages + wait;
  b.close(0, end + 200, end + 210);
  b.nothing(0, Outcome::closed, end + 300, end + 310, DeadlineMode::never);
  return b;
}

TEST(Scale, PassesAMillionCorrectMessages) {
  const Judgement judgement = stream().judge();
  EXPECT_EQ(judgement.verdict(), Verdict::pass);
  EXPECT_EQ(judgement.findings[0].occasions, messages);
}

TEST(Scale, FindsTheOneThatIsLost) {
  HistoryBuilder b = stream();
  auto& received = b.records(b.consumer(0));
  received.erase(received.begin() + 777'778);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, "lost");
  EXPECT_NE(finding.what.find("message 777777 of producer 0"), std::string::npos) << finding.what;
}

TEST(Scale, FindsTheTwoThatAreSwapped) {
  HistoryBuilder b = stream(1000);
  auto& received = b.records(b.consumer(0));
  std::swap(received[500'000].message, received[500'001].message);
  EXPECT_EQ(b.judge(Promise::order).symptom, "reordered");
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
}

}  // namespace
}  // namespace ipctorture
