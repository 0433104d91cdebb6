#include "harness/report/results_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

ResultLines some_run() {
  ResultLines lines{.file = "a/results.jsonl",
                    .start = {.seed = "g1:0000000000000007",
                              .version = "0.1.0",
                              .started = "then",
                              .out = "a",
                              .transports = {"pipe", "tcp"},
                              .runs = 10,
                              .commit = "c0ffee",
                              .options = " --launch exec",
                              .shard = 2,
                              .shards = 3,
                              .named = {"pipe"}}};
  lines.failures.push_back({.transport = "pipe",
                            .fingerprint = "order/total/late",
                            .what = "it came late",
                            .seed = "g1:7",
                            .again = "pipe --case 2",
                            .bundle = "a/pipe-order-late"});
  lines.failures.push_back({.transport = "pipe",
                            .fingerprint = "a/b/c",
                            .verdict = Verdict::known,
                            .engine = "controlled",
                            .reason = "waits",
                            .link = "l",
                            .expires = "2027-01-31"});
  lines.harness_failures.emplace_back("tcp", "tcp: no fork");
  lines.exact.push_back({.transport = "pipe", .fingerprint = "x", .bundle = "a/under-control/b"});
  lines.holes.emplace_back("shard 1 is missing");
  lines.tally.seed = lines.start.seed;
  lines.tally.started = "then";
  lines.tally.elapsed_ns = 12;
  lines.tally.inconclusive_permille_max = 100;
  lines.tally.transports.push_back(
      {.transport = "pipe",
       .verdict = Verdict::violation,
       .promises = {{.promise = Promise::order,
                     .verdict = Verdict::violation,
                     .occasions = 12,
                     .terms = {{Term::producer_order, 11, 3}},
                     .scenarios = 4,
                     .tried_scenarios = 3,
                     .inconclusive_scenarios = 1,
                     .what = "it came late",
                     .bundle = "a/pipe-order-late"}},
       .scenarios = 4,
       .doubt = "none",
       .known = {{.promise = Promise::crash, .fingerprint = "f", .where = "known.toml:1"}},
       .messages_per_second = 2.5,
       .fairness = {.overtakes = 2, .wait_ns = 30, .producers = {5, 0.5, 0.75}},
       .cases = {{2, 5}, {11, 11}},
       .traffic_messages = 7,
       .traffic_ns = 9,
       .latency = {{3, 4}, {90, 1}}});
  lines.tally.known.push_back(
      {.where = "known.toml:1", .transport = "pipe", .state = KnownState::expired, .note = "n"});
  lines.exit_code = 1;
  return lines;
}

std::string refusal(const std::string& text) {
  try {
    read_results(text, "r.jsonl");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string start_line() { return json_start({.seed = "g1:7", .transports = {"pipe"}}); }

TEST(ResultsReader, ReadsWhatIsWritten) {
  const std::string text = results_text(some_run());
  const ResultLines read = read_results(text, "a/results.jsonl");
  EXPECT_EQ(results_text(read), text);
  ASSERT_THAT(read.failures, SizeIs(2));
  EXPECT_EQ(read.failures[1].verdict, Verdict::known);
  ASSERT_THAT(read.tally.transports, SizeIs(1));
  EXPECT_EQ(read.tally.transports[0].promises[0].terms[0].scenarios, 3u);
  EXPECT_EQ(read.tally.transports[0].cases[1], (CaseRange{11, 11}));
  EXPECT_EQ(read.start.shard, 2u);
}

TEST(ResultsReader, ReadsExplorations) {
  ResultLines lines{.explored = true, .start = {.seed = "g1:7", .transports = {"shm_ring"}}};
  lines.explorations.push_back(
      {.transport = "shm_ring",
       .seed = "g1:7",
       .schedules = 5,
       .over_budget = 1,
       .maps_shared_memory = true,
       .uncontrolled = "a call",
       .trials = {{"1x1", true, true}},
       .occasions = {1, 2},
       .known = {{"f", "w", 3}},
       .failures = {{.promise = "crash", .fingerprint = "c", .found_in = "1x1", .messages = 3},
                    {.promise = "order", .fingerprint = "o"}}});
  const std::string text = results_text(lines);
  const ResultLines read = read_results(text, "r");
  EXPECT_EQ(results_text(read), text);
  EXPECT_FALSE(read.exit_code.has_value()) << "it has no end";
  EXPECT_EQ(read.explorations[0].failures, lines.explorations[0].failures);
}

TEST(ResultsReader, BundlesAreVisitedWhereverTheyAreNamed) {
  ResultLines lines = some_run();
  unsigned count = 0;
  for_each_bundle(&lines, [&](std::string* path) {
    ++count;
    *path = "moved";
  });
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(lines.tally.transports[0].promises[0].bundle, "moved");
}

TEST(ResultsReader, ALineThatWasCutIsTheEndOfWhatThereIs) {
  const std::string text = results_text(some_run());
  const ResultLines read = read_results(text.substr(0, text.size() - 1), "r");
  EXPECT_FALSE(read.exit_code.has_value());
  EXPECT_THAT(read.failures, SizeIs(2));
  EXPECT_THAT(refusal("{\"schema\":"), HasSubstr("r.jsonl:1: has no complete line"));
}

TEST(ResultsReader, WhatIsNotKnownIsSkippedAndWhatCameLaterMayBeMissing) {
  const ResultLines read =
      read_results(R"({"schema":"ipctorture-run/1","event":"start","seed":"g1:7","new":[1]})"
                   "\n"
                   R"({"schema":"ipctorture-run/1","event":"news"})"
                   "\n",
                   "r");
  EXPECT_EQ(read.start.shards, 1u);
}

TEST(ResultsReader, ErrorsNameFileAndLine) {
  EXPECT_THAT(refusal(start_line() + "{\n"), HasSubstr("r.jsonl:2: parse error"));
  EXPECT_THAT(refusal("[]\n"), HasSubstr("r.jsonl:1: must be an object"));
  EXPECT_THAT(refusal(start_line() + start_line()), HasSubstr("r.jsonl:2: event: a second start"));
  EXPECT_THAT(refusal(json_end({}, 0)), HasSubstr("r.jsonl:1: event: the first line is no start"));
  EXPECT_THAT(refusal(start_line() + json_end({}, 0) + json_end({}, 0)),
              HasSubstr("r.jsonl:3: event: comes after the end"));
  EXPECT_THAT(refusal(start_line() + json_transport({.transport = "../pipe"})),
              HasSubstr("r.jsonl:2: transport: must be a name"));
}

std::string with_transport(const std::string& fields) {
  return start_line() +
         R"({"schema":"ipctorture-run/1","event":"transport","transport":"pipe","verdict":"pass",)" +
         fields + "}\n";
}

TEST(ResultsReader, ValuesAreBounded) {
  EXPECT_THAT(refusal(with_transport(R"("scenarios":-1)")),
              HasSubstr("scenarios: must be a whole"));
  EXPECT_THAT(refusal(with_transport(R"("scenarios":9007199254740992)")), HasSubstr("below 2^53"));
  EXPECT_THAT(refusal(with_transport(R"("messages_per_second":1e300)")), HasSubstr("from 0 to"));
  EXPECT_THAT(refusal(with_transport(R"("cases":[[5,2]])")), HasSubstr("ranges in order"));
  EXPECT_THAT(refusal(with_transport(R"("promises":[{"promise":"x","verdict":"pass"}])")),
              HasSubstr("promises[0]: promise: is no promise"));
  EXPECT_THAT(refusal(with_transport(R"("scenarios":1,"scenarios":2)")), HasSubstr("given twice"));
  EXPECT_THAT(
      refusal(with_transport("\"fairness\":" + std::string(20, '[') + std::string(20, ']'))),
      HasSubstr("nested deeper"));
  EXPECT_THAT(refusal(R"({"schema":"ipctorture-run/1","event":"start","seed":"g1:7","shards":0})"
                      "\n"),
              HasSubstr("shards: must be"));
}

TEST(ResultsReader, TextsAreFitForATerminal) {
  const ResultLines read =
      read_results(start_line() + json_harness_failure("pipe", "a \x1b[2J b"), "r");
  EXPECT_EQ(read.harness_failures[0].second.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace ipctorture
