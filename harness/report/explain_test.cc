// The page says what is needed, in the width given, whatever the finding holds.
#include "harness/report/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "harness/report/sample_failure.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string explained(const BundleContent& content, const ExplainStyle& style = {}) {
  return explain(content.judgement, content.history, content.scenario, {}, content.replay, style);
}
std::size_t widest(const std::string& text) {
  std::istringstream lines(text);
  std::size_t width = 0;
  for (std::string line; std::getline(lines, line);) width = std::max(width, line.size());
  return width;
}

TEST(Explain, SaysWhatANewcomerNeeds) {
  EXPECT_EQ(
      explained(sample::failure()),
      R"(stream over pipe: 1 producer, 1 consumer, 4 messages each of 64 bytes, capacity 64, started by fork,
seed 18364758544493064720
contract: delivery exactly once, order none, fan-out any consumer, when full blocks

VIOLATION of delivery (exactly once)
  consumer 0 received message 1 of producer 0 twice

What happened:
                producer 0                              consumer 0
         +0 ns  send 0:1 64 B -> ok [400 ns]
       +2.0 us                                          receive 0:1 64 B at -> ok [400 ns]
      +12.0 us                                          receive 0:1 64 B at -> ok [400 ns]

Legal would have been:
  each message once

Also:
  inconclusive of stall: the machine was loaded

Seen from outside:
  consumer 0: waiting in: read
    main
  scenario: loaded (700)
  consumer 0: asleep for 922337203.7 s (1)

Fingerprint: delivery/exactly once/duplicate
Replay: ipctorture replay here
)");
}

TEST(Explain, FitsTheWidth) {
  for (const std::size_t width : {60u, 72u, 80u, 100u, 132u, 200u}) {
    EXPECT_LE(widest(explained(sample::failure(), {.width = width})), width) << width;
  }
}

// The sample, with the witness spread over `consumers` consumers and the producer.
BundleContent crowd(unsigned consumers) {
  BundleContent content = sample::failure();
  Finding& finding = content.judgement.findings[1];
  finding.witness = {{0, 0}};
  for (unsigned lane = 2; lane < 2 + consumers; ++lane) {
    sample::add_lane(content.history, false, {sample::received(20'000 + 5000 * lane, 3)});
    content.history.lanes.back().consumer_on = {static_cast<int>(lane - 1)};
    finding.witness.push_back({lane, 0});
  }
  return content;
}

TEST(Explain, EightWorkersStandSideBySideIn80Columns) {
  const std::string page = explained(crowd(7), {.width = 80});
  EXPECT_THAT(page, HasSubstr(R"(
            P0      C1      C2      C3      C4      C5      C6      C7
     +0 ns  Sa ok
   +8.0 us          Rb ok
  +10.0 us                  Rb ok
  +12.0 us                          Rb ok
  +14.0 us                                  Rb ok
  +16.0 us                                          Rb ok
  +18.0 us                                                  Rb ok
  +20.0 us                                                          Rb ok
  P producer, C consumer, S send, R receive;
    a = 0:0 64 B, b = 0:3 64 B
)"));
  EXPECT_LE(widest(page), 80u);
}

TEST(Explain, ShortCellsSayHowItEnded) {
  BundleContent content = crowd(7);
  std::vector<Record> ends;
  Stamp at = 30'000;
  for (const Outcome outcome : {Outcome::full, Outcome::timed_out, Outcome::closed,
                                Outcome::too_large, Outcome::error, Outcome::unknown}) {
    ends.push_back(sample::sent(at += 2000, ends.size() + 7, outcome));
    ends.back().detail = outcome == Outcome::error ? 13 : 0;
    content.judgement.findings[1].witness.push_back({9, ends.size() - 1});
  }
  sample::add_lane(content.history, true, std::move(ends));
  const std::string page = explained(content, {.width = 100});
  for (const char* cell : {"Sc full", "Sd t/o", "Se end", "Sf big", "Sg E13", "Sh ?"}) {
    EXPECT_THAT(page, HasSubstr(cell));
  }
  EXPECT_THAT(page, AllOf(HasSubstr("t/o timed out"), HasSubstr("end closed"),
                          HasSubstr("big too large"), HasSubstr("E13 errno")));
}

TEST(Explain, TwelveFitInto120AndMoreBecomeLines) {
  EXPECT_THAT(explained(crowd(11), {.width = 120}), HasSubstr(" C11\n"));
  const std::string page = explained(crowd(11), {.width = 80});
  EXPECT_THAT(page, HasSubstr("consumer 7: receive 0:3 64 B at -> ok"));
  EXPECT_LE(widest(page), 80u);
}

TEST(Explain, AtMostSoManyEvents) {
  BundleContent content = sample::failure(100);
  for (unsigned i = 0; i < 100; ++i) content.judgement.findings[1].witness.push_back({0, i});
  const std::string page = explained(content);
  std::size_t events = 0;
  for (std::size_t at = page.find(" -> ok"); at != page.npos; at = page.find(" -> ok", at + 1))
    ++events;
  EXPECT_EQ(events, 20u);
}

TEST(Explain, WithoutWitnessWhereEveryoneStands) {
  BundleContent content = sample::failure();
  content.judgement.findings[1] = {.promise = Promise::deadlock,
                                   .verdict = Verdict::violation,
                                   .what = "nothing moves",
                                   .term = "progress",
                                   .symptom = "deadlock"};
  EXPECT_THAT(explained(content),
              AllOf(HasSubstr("The last of each worker:"), HasSubstr("receive [open]"),
                    HasSubstr("consumer 0: waiting in: read"),
                    HasSubstr("Fingerprint: deadlock/progress/deadlock")));
}

// With more workers than events: those who hang are shown, however long ago they began.
TEST(Explain, WithoutWitnessTheLatestStay) {
  BundleContent content = crowd(30);
  content.judgement.findings[1].witness.clear();
  sample::add_lane(content.history, false, {sample::waiting(5)});
  content.history.lanes.back().consumer_on = {77};
  const std::string page = explained(content);
  EXPECT_THAT(page, AllOf(HasSubstr("consumer 77: receive [open]"), HasSubstr("consumer 30:"),
                          Not(HasSubstr("consumer 2:"))));
  std::size_t events = 0;
  for (std::size_t at = page.find(": receive"); at != page.npos;
       at = page.find(": receive", at + 1)) {
    ++events;
  }
  EXPECT_EQ(events, 20u);
}

TEST(Explain, APassSaysHowMuchWasTried) {
  BundleContent content = sample::failure();
  content.judgement.findings.resize(1);
  EXPECT_THAT(explained(content),
              AllOf(HasSubstr("pass: no promise was broken"), HasSubstr("integrity      5"),
                    Not(HasSubstr("Fingerprint"))));
  content.judgement.findings.clear();
  EXPECT_THAT(explained(content), HasSubstr("Nothing was judged."));
}

TEST(Explain, SurvivesNonsense) {
  BundleContent content = sample::failure();
  content.judgement.findings[1].witness = {{99, 0}, {0, 1u << 30}};
  content.judgement.findings[1].what = "\x1b[2J" + std::string(100'000, 'x');
  content.history.evidence.assign(1000, {.fact = Fact::died, .lane = 77, .text = "\x1b]0;x\a"});
  const std::string page = explained(content, {.width = 0});
  EXPECT_EQ(page.find('\x1b'), page.npos);
  EXPECT_LT(page.size(), 20'000u);
  EXPECT_THAT(page, HasSubstr("and 988 more"));
  EXPECT_NE(explained({}), "");
}

TEST(DescribeRecord, EveryKind) {
  const auto described = [](Op op, Outcome outcome, DeadlineMode mode, std::uint16_t detail) {
    return describe_record(
        {.invoked = 1,
         .returned = 2,
         .message = MessageId{.sequence = 7, .producer = 2, .kind = MessageKind::reply}.packed(),
         .size = 9,
         .what = Record::encode(op, 1, mode),
         .outcome = static_cast<std::uint8_t>(outcome),
         .detail = detail});
  };
  EXPECT_EQ(described(Op::send, Outcome::full, DeadlineMode::now, 0),
            "send 2:7 9 B reply now ch1 -> full");
  EXPECT_EQ(described(Op::receive, Outcome::ok, DeadlineMode::never, 1),
            "receive 2:7 9 B reply ch1 -> ok, torn");
  EXPECT_EQ(described(Op::receive, Outcome::empty, DeadlineMode::at, 0), "receive at ch1 -> empty");
  EXPECT_EQ(described(Op::attach, Outcome::error, DeadlineMode::never, 13),
            "attach ch1 -> error 13");
  EXPECT_EQ(described(Op::finished, Outcome::ok, DeadlineMode::never, 1), "finished: mark");
  EXPECT_EQ(describe_record(sample::waiting(5)), "receive");
}

}  // namespace
}  // namespace ipctorture
