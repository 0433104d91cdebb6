#include "harness/report/json_lines.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ipctorture {
namespace {

// Exactly one line, and an object with schema and event.
nlohmann::json read_line(const std::string& line) {
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("schema"), "ipctorture-run/1");
  EXPECT_TRUE(json.contains("event"));
  return json;
}

TEST(JsonLines, StartNamesWhatIsRun) {
  const auto json = read_line(
      json_start({.seed = "g1:7", .out = "o", .transports = {"pipe", "tcp"}, .seconds = 60}));
  EXPECT_EQ(json.at("event"), "start");
  EXPECT_EQ(json.at("transports").size(), 2u);
  EXPECT_EQ(json.at("seconds"), 60);
  EXPECT_FALSE(json.contains("runs"));
}

TEST(JsonLines, FailureWithoutABundleSaysNull) {
  const auto json = read_line(json_failure({.transport = "pipe", .fingerprint = "a/b/c"}));
  EXPECT_TRUE(json.at("bundle").is_null());
  EXPECT_EQ(json.at("verdict"), "violation");
}

TEST(JsonLines, FailureNamesItsCase) {
  const auto json = read_line(json_failure({.again = "pipe --seed g1:7 --case 3"}));
  EXPECT_EQ(json.at("again"), "pipe --seed g1:7 --case 3");
}

// Who counts failures must not count them.
TEST(JsonLines, AKnownFailureIsAnEventOfItsOwn) {
  const auto json = read_line(json_failure(
      {.verdict = Verdict::known, .reason = "waits for a fix", .expires = "2027-01-31"}));
  EXPECT_EQ(json.at("event"), "known");
  EXPECT_EQ(json.at("reason"), "waits for a fix");
  EXPECT_EQ(json.at("expires"), "2027-01-31");
  EXPECT_FALSE(json.contains("link"));
  const auto entry = read_line(json_known_entry({.where = "known.toml:1",
                                                 .transport = "pipe",
                                                 .state = KnownState::expired,
                                                 .note = "expired on 2026-01-31"}));
  EXPECT_EQ(entry.at("event"), "known_entry");
  EXPECT_EQ(entry.at("state"), "expired");
  EXPECT_EQ(entry.at("fails"), true);
}

TEST(JsonLines, TextIsNeverRefused) {
  const auto json = read_line(json_failure({.what = "line\nbreak \xff \x01", .bundle = "b"}));
  EXPECT_EQ(json.at("bundle"), "b");
}

TEST(JsonLines, TransportHasItsPromises) {
  const TransportTally tally{
      .transport = "pipe",
      .verdict = Verdict::pass,
      .promises = {{.promise = Promise::order,
                    .verdict = Verdict::pass,
                    .occasions = 12,
                    .terms = {{Term::producer_order, 11, 3}, {Term::order_over_consumers, 1, 1}},
                    .tried_scenarios = 4}},
      .scenarios = 4,
      .fairness = {.overtakes = 2, .wait_ns = 30, .producers = {5, 0.5, 0.75}}};
  const auto json = read_line(json_transport(tally));
  EXPECT_EQ(json.at("promises").at(0).at("promise"), "order");
  EXPECT_EQ(json.at("promises").at(0).at("occasions"), 12);
  EXPECT_EQ(json.at("promises").at(0).at("terms").at("order over consumers"), 1);
  EXPECT_EQ(json.at("promises").at(0).at("term_scenarios").at("a producer's order"), 3);
  EXPECT_EQ(json.at("promises").at(0).at("tried_scenarios"), 4);
  EXPECT_EQ(json.at("verdict"), "pass");
  EXPECT_EQ(json.at("fairness").at("overtakes_max"), 2);
  EXPECT_EQ(json.at("fairness").at("wait_max_ns"), 30);
  EXPECT_EQ(json.at("fairness").at("jain_producers").at("mean"), 0.75);
  EXPECT_TRUE(json.at("fairness").at("jain_consumers").is_null());
}

TEST(JsonLines, EndCarriesTheExitCode) {
  EXPECT_EQ(read_line(json_end({.seed = "g1:7"}, 2)).at("exit_code"), 2);
}

}  // namespace
}  // namespace ipctorture
