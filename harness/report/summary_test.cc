#include "harness/report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::Not;

CampaignTally example() {
  CampaignTally tally{.seed = "g1:1", .elapsed_ns = 61'000'000'000};
  tally.transports.push_back({.transport = "pipe",
                              .verdict = Verdict::pass,
                              .scenarios = 1234,
                              .messages = 45'600'000,
                              .messages_per_second = 1.94e6,
                              .p50_ns = 740,
                              .p99_ns = 12'345'678});
  tally.transports.push_back({.transport = "tcp",
                              .verdict = Verdict::violation,
                              .promises = {{.promise = Promise::delivery,
                                            .verdict = Verdict::violation,
                                            .what = "message 7 of producer 0 was lost",
                                            .fingerprint = "delivery/exactly once/lost",
                                            .seed = "g1:2",
                                            .bundle = "ipctorture-out/x/tcp-delivery-lost"}},
                              .scenarios = 3});
  tally.transports.push_back({.transport = "udp",
                              .verdict = Verdict::inconclusive,
                              .promises = {{.promise = Promise::stall,
                                            .verdict = Verdict::inconclusive,
                                            .what = "the machine was loaded",
                                            .again = "udp --seed g1:1 --case 9"}},
                              .scenarios = 10,
                              .inconclusive_scenarios = 1,
                              .inconclusive_reason = "overload"});
  tally.transports.push_back(
      {.transport = "posix_mq", .unsupported_reason = "msgsize_max is 1024"});
  return tally;
}

TEST(HumanNumbers, AreShort) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(812), "812");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1.0k");
  EXPECT_EQ(human_count(3449), "3.4k");
  EXPECT_EQ(human_count(999'600), "1.0M");
  EXPECT_EQ(human_count(45'600'000), "46M");
  EXPECT_EQ(human_duration(740), "740ns");
  EXPECT_EQ(human_duration(3200), "3.2us");
  EXPECT_EQ(human_duration(12'345'678), "12ms");
  EXPECT_EQ(human_duration(4'000'000'000), "4.0s");
  EXPECT_EQ(human_duration(125'000'000'000), "2m05s");
  EXPECT_EQ(human_duration(7'260'000'000'000), "2h01m");
  EXPECT_EQ(human_bytes(1), "1");
  EXPECT_EQ(human_bytes(4096), "4KiB");
  EXPECT_EQ(human_bytes(1 << 20), "1MiB");
  EXPECT_EQ(human_bytes(60'000), "60000");
}

TEST(VerdictTable, FitsEightyColumnsAndNarrower) {
  CampaignTally tally = example();
  tally.transports[0].transport = std::string(40, 'x');
  for (const std::size_t width : {80u, 60u, 40u, 24u}) {
    std::istringstream lines(verdict_table(tally, {.width = width}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(text_width(line), width);
  }
}

TEST(VerdictTable, HasALinePerTransport) {
  EXPECT_EQ(verdict_table(example(), {}),
            "transport  scenarios  messages  messages/s    p50   p99  verdict\n"
            "pipe            1.2k       46M        1.9M  740ns  12ms  pass\n"
            "tcp                3         0           -      -     -  VIOLATION\n"
            "udp               10         0           -      -     -  inconclusive\n"
            "posix_mq           -         -           -      -     -  unsupported\n");
}

TEST(VerdictTable, ColourPaintsTheVerdictAlone) {
  const std::string plain = verdict_table(example(), {});
  std::string coloured = verdict_table(example(), {.colour = Colour::ansi});
  EXPECT_THAT(coloured, HasSubstr("\x1b[1;31mVIOLATION\x1b[0m\n"));
  EXPECT_THAT(coloured, HasSubstr("12ms  \x1b[32mpass\x1b[0m\n"));
  for (std::size_t at = 0; (at = coloured.find('\x1b')) != std::string::npos;) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  EXPECT_EQ(coloured, plain);
}

TEST(VerdictDetails, SayWhatStandsBehindEachVerdict) {
  const std::string text = verdict_details(example(), {});
  EXPECT_THAT(text, HasSubstr("delivery: message 7 of producer 0 was lost"));
  EXPECT_THAT(text, HasSubstr("fingerprint: delivery/exactly once/lost\n"));
  EXPECT_THAT(text, HasSubstr("ipctorture replay ipctorture-out/x/tcp-delivery-lost"));
  EXPECT_THAT(text, HasSubstr("ipctorture run udp --seed g1:1 --case 9"));
  EXPECT_THAT(text, HasSubstr("1 of 10 scenarios inconclusive: overload"));
  EXPECT_THAT(text, HasSubstr("posix_mq: not run: msgsize_max is 1024"));
  EXPECT_THAT(text, HasSubstr("1 pass, 1 in violation, 1 inconclusive, 1 not run"));
  EXPECT_THAT(text, Not(HasSubstr("pipe")));
}

TEST(VerdictDetails, SayWhatIsKnown) {
  CampaignTally tally = example();
  tally.transports[1].verdict = tally.transports[1].promises[0].verdict = Verdict::known;
  tally.transports[1].known = {{.promise = Promise::delivery,
                                .fingerprint = "delivery/a/lost",
                                .where = "known.toml:1",
                                .reason = "waits for a fix",
                                .link = "https://example.org/1",
                                .expires = "2027-01-31",
                                .scenarios = 2,
                                .histories = 7}};
  tally.known = {{.where = "known.toml:1", .state = KnownState::seen},
                 {.where = "known.toml:5",
                  .transport = "udp",
                  .fingerprint = "order/a/b",
                  .state = KnownState::gone,
                  .note = "is gone"}};
  const std::string text = verdict_details(tally, {});
  EXPECT_THAT(text, HasSubstr("tcp: known\n  delivery: message 7 of producer 0 was lost\n"));
  EXPECT_THAT(text, HasSubstr("  known (known.toml:1): delivery/a/lost, in 2 scenarios and 7 "
                              "histories under control: waits for a fix, https://example.org/1, "
                              "until 2027-01-31\n"));
  EXPECT_THAT(text, HasSubstr("1 pass, 1 with known failures alone, 1 inconclusive, 1 not run"));
  EXPECT_THAT(text, HasSubstr("known failures: known.toml:5: order/a/b of udp is gone\n"
                              "known failures: 1 of 2 reproduced\n"));
  EXPECT_THAT(verdict_table(tally, {}), HasSubstr("known\n"));
  EXPECT_THAT(verdict_details(example(), {}), Not(HasSubstr("known")));
}

TEST(VerdictDetails, SayWhatWasTriedLeast) {
  CampaignTally tally = example();
  tally.transports[0].promises = {
      {.promise = Promise::refusal,
       .occasions = 5000,
       .terms = {{Term::attaches, 4988}, {Term::oversize_refused, 12}}},
      {.promise = Promise::stall, .occasions = 13, .terms = {{Term::wakes_consumer, 13}}}};
  tally.transports[1].promises[0].occasions = 40;
  tally.transports[2].promises[0].occasions = 40;
  EXPECT_THAT(verdict_details(tally, {}),
              HasSubstr("\nleast tried: refusal of pipe (too large is refused), 12 occasions; "
                        "1 of 1247 scenarios inconclusive\n"));
  tally.transports[0].promises[1].terms[0].occasions = tally.transports[0].promises[1].occasions =
      1;
  EXPECT_THAT(verdict_details(tally, {}), HasSubstr("\nleast tried: stall of pipe, 1 occasion; "));
}

TEST(VerdictDetails, SayWhereServingWasLeastEven) {
  CampaignTally tally = example();
  EXPECT_THAT(verdict_details(tally, {}), Not(HasSubstr("least even")));
  tally.transports[0].fairness = {.overtakes = 14, .wait_ns = 41'000'000};
  tally.transports[1].fairness = {.wait_ns = 7, .producers = {4, 0.61, 0.9}};
  EXPECT_THAT(verdict_details(tally, {}),
              HasSubstr("\nleast even: a message waited 41ms (pipe), one was overtaken 14 times "
                        "(pipe), Jain's index of producers 0.61 (tcp)\n"));
}

}  // namespace
}  // namespace ipctorture
