// What is read of a night, merged and compared: hostile texts, failures told once, first sightings.
#include "harness/report/night.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

std::string step_json(const std::string& engine, const std::string& more) {
  return R"({"engine":")" + engine + R"(","sanitizer":"plain","program":"build/dev/ipctorture",)" +
         R"("state":"finished","exit_code":1)" + more + "}";
}

const std::string run_failure =
    R"({"schema":"ipctorture-run/1","event":"failure","transport":"pipe","engine":"free",)"
    R"("fingerprint":"delivery/x/lost","verdict":"violation","what":"lost","bundle":"a/b"})"
    "\n";
const std::string run_end = R"({"schema":"ipctorture-run/1","event":"end","exit_code":1})"
                            "\n";

NightStep step_with(const std::string& name, NightSighting sighting) {
  NightStep step{.name = name, .engine = "run", .sanitizer = "plain", .program = "p"};
  step.sightings.push_back(std::move(sighting));
  return step;
}

TEST(NightStep, ReadsARun) {
  const std::string transport =
      R"({"schema":"ipctorture-run/1","event":"transport","transport":"pipe","verdict":"violation",)"
      R"("scenarios":12,"schedules":3})"
      "\n";
  const NightStep step = read_night_step({.folder = "run",
                                          .step = step_json("run", R"(,"used_s":4.5)"),
                                          .results = run_failure + transport + run_end});
  EXPECT_EQ(step.state, StepState::finished);
  EXPECT_DOUBLE_EQ(step.used_s, 4.5);
  ASSERT_THAT(step.sightings, SizeIs(1));
  EXPECT_EQ(step.sightings[0].bundle, "a/b");
  ASSERT_THAT(step.cells, SizeIs(1));
  EXPECT_EQ(step.cells[0].scenarios, 12u);
  EXPECT_EQ(step.cells[0].verdict, Verdict::violation);
  EXPECT_THAT(step.harness_failures, SizeIs(0));
  EXPECT_EQ(step.unread, 0u);
}

// A full disk cuts the last lines off.
TEST(NightStep, ResultsThatEndInTheMiddleAreNoPass) {
  const NightStep step = read_night_step({.folder = "run",
                                          .step = step_json("run", ""),
                                          .results = run_failure + run_end.substr(0, 20)});
  EXPECT_THAT(step.harness_failures, SizeIs(1));
  EXPECT_EQ(step.unread, 1u);
  EXPECT_THAT(step.sightings, SizeIs(1));
}

TEST(NightStep, ReadsAnExploration) {
  const std::string line =
      R"({"schema":"ipctorture-explore/1","transport":"shm_ring","verdict":"violation","schedules":7,)"
      R"("known":[{"fingerprint":"k","what":"w"},3],)"
      R"("failure":{"fingerprint":"stall/x","what":"slept","bundle":"b"}})";
  const NightStep step =
      read_night_step({.folder = "explore", .step = step_json("explore", ""), .results = line});
  ASSERT_THAT(step.sightings, SizeIs(2));
  EXPECT_TRUE(step.sightings[0].known);
  EXPECT_TRUE(step.sightings[1].exact);
  EXPECT_EQ(step.sightings[1].transport, "shm_ring");
  EXPECT_EQ(step.cells[0].schedules, 7u);
}

TEST(NightStep, AMissedPlantedBugIsAFailureAndACaughtOneIsNone) {
  const std::string lines =
      R"({"schema":"ipctorture-score/1","bug":"a","runs":[{"caught":true}],"twin":[{"caught":false}]})"
      "\n"
      R"({"schema":"ipctorture-score/1","bug":"b","runs":[{"caught":false}],"twin":[]})"
      "\n";
  const NightStep step =
      read_night_step({.folder = "score", .step = step_json("score", ""), .results = lines});
  EXPECT_EQ(step.score.bugs, 2u);
  EXPECT_EQ(step.score.caught, 1u);
  ASSERT_THAT(step.sightings, SizeIs(1));
  EXPECT_EQ(step.sightings[0].transport, "b");
}

TEST(NightStep, NothingInItIsBelieved) {
  const std::string hostile[] = {
      "",
      "null",
      "[1]",
      "{",
      std::string(1 << 16, '['),
      "{\"schema\":7}",
      R"({"schema":"ipctorture-run/1","event":"transport","transport":[],"scenarios":-1,"verdict":{}})",
      R"({"schema":"ipctorture-score/1","runs":7,"twin":[null,[]]})",
      R"({"schema":"ipctorture-explore/1","failure":[],"known":{}})"};
  for (const std::string& text : hostile) {
    const NightStep step = read_night_step({.folder = "x", .step = text, .results = text});
    EXPECT_EQ(step.state, StepState::running) << text.substr(0, 80);
    EXPECT_FALSE(step.why.empty());
    EXPECT_EQ(read_night_frame(text).builds.size(), 0u);
    EXPECT_FALSE(read_hit_rate(text).has_value());
  }
}

TEST(NightStep, TextsAreOneBoundedLineWithoutEscapes) {
  const std::string text = night_text("a\nb\x1b[31m" + std::string(100'000, 'x'));
  EXPECT_LE(text.size(), night_text_bytes_max + 64);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(FuzzLog, NamesTheErrorByItsKindAndOwnFunction) {
  NightStep step{.target = "reader", .fuzz = FuzzFigures{}};
  read_fuzz_log(
      "#1024\tpulse  cov: 321 ft: 900 corp: 20/3Kb exec/s: 512 rss: 50Mb\n"
      "==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1 at pc 0x2\n"
      "    #0 0x55 in __asan_memcpy (/x+1)\n"
      "    #1 0x56 in std::vector<int>::at(unsigned long)\n"
      "    #2 0x57 in ipctorture::read_frame(std::string const&) /work/x.cc:7:1\n"
      "stat::number_of_executed_units: 2000\n"
      "stat::average_exec_per_sec:     400\n",
      {"found/crash-1"}, &step);
  ASSERT_THAT(step.sightings, SizeIs(1));
  EXPECT_EQ(step.sightings[0].fingerprint, "fuzz/heap-buffer-overflow/ipctorture::read_frame");
  EXPECT_EQ(step.sightings[0].transport, "fuzz: reader");
  EXPECT_EQ(step.fuzz->coverage, 321u);
  EXPECT_EQ(step.fuzz->executions, 2000u);
  EXPECT_EQ(step.fuzz->executions_per_second, 400u);
}

// A corpus of an older format is refused by the target; nothing was found then.
TEST(FuzzLog, WhatATargetSaysItselfNamesTheFailure) {
  NightStep step{.target = "schedule-shm_ring", .fuzz = FuzzFigures{}};
  read_fuzz_log(
      "schedule_fuzzer: left out: fuzz input: version 0, this program reads 1\n"
      "schedule_fuzzer: shm_ring: order/total/reordered: message 2 came before message 1\n"
      "==1== ERROR: libFuzzer: deadly signal\n    #0 0x1 in ipctorture::run() /x.cc:1\n",
      {"found/crash-1"}, &step);
  ASSERT_EQ(step.sightings.size(), 1u);
  EXPECT_EQ(step.sightings[0].fingerprint, "order/total/reordered");
  EXPECT_EQ(step.sightings[0].what, "message 2 came before message 1");
  const NightFailure failure{.best = step.sightings[0],
                             .program = "build/fuzz-plain/fuzz_schedule"};
  EXPECT_EQ(replay_command(failure),
            "build/fuzz-plain/fuzz_schedule --transport=shm_ring found/crash-1");
}

TEST(FuzzLog, WithoutAFindTheLastWordsSayWhy) {
  NightStep step{
      .target = "reader", .state = StepState::finished, .exit_code = 1, .fuzz = FuzzFigures{}};
  read_fuzz_log("INFO: Seed: 1\ncorpus of format 1, this target reads 2\n\n", {}, &step);
  EXPECT_THAT(step.why, HasSubstr("corpus of format 1, this target reads 2"));
}

TEST(Night, AFailureIsToldOnceWithWhatReplaysBest) {
  NightStep asan = step_with("run-asan", {.transport = "pipe", .fingerprint = "f", .bundle = "1"});
  asan.sanitizer = "asan";
  const NightStep plain =
      step_with("run", {.transport = "pipe", .fingerprint = "f", .bundle = "2"});
  NightStep explore =
      step_with("explore", {.transport = "pipe", .fingerprint = "f", .bundle = "3", .exact = true});
  explore.engine = "explore";
  const NightStep other = step_with("run", {.transport = "tcp", .fingerprint = "f", .bundle = "4"});
  const Night night = merge_night({.date = "d"}, {asan, plain, explore, other}, {});
  ASSERT_THAT(night.failures, SizeIs(2));
  EXPECT_EQ(night.failures[0].best.bundle, "3");
  EXPECT_THAT(night.failures[0].engines, ElementsAre("explore", "run"));
  EXPECT_THAT(night.failures[0].sanitizers, ElementsAre("asan", "plain"));
  EXPECT_EQ(night.failures[0].steps, 3u);
  EXPECT_NE(night.failures[0].key, night.failures[1].key);
  EXPECT_EQ(night.failures[0].key, failure_key("pipe", "f"));
}

TEST(Night, FailuresAreBounded) {
  NightStep step{.name = "run"};
  for (std::size_t i = 0; i < night_failures_max + 7; ++i) {
    step.sightings.push_back({.transport = "t", .fingerprint = std::to_string(i)});
  }
  const Night night = merge_night({}, {step}, {});
  EXPECT_EQ(night.failures.size(), night_failures_max);
  EXPECT_EQ(night.failures_left_out, 7u);
}

NightFigures night_of(const std::string& name, const std::string& fingerprint,
                      const std::string& first) {
  NightFigures figures{.night = name, .date = name, .commit = "c" + name};
  figures.failures[{"pipe", fingerprint}] = {.date = first, .commit = "c" + first};
  return figures;
}

TEST(Night, FirstSeenComesFromTheEarliestNight) {
  const NightStep step = step_with("run", {.transport = "pipe", .fingerprint = "old"});
  const NightStep fresh = step_with("run", {.transport = "pipe", .fingerprint = "new"});
  const Night night = merge_night(
      {.night = "9", .date = "9", .commit = "c9"}, {step, fresh},
      {night_of("3", "old", "1"), night_of("4", "gone", "4"), night_of("9", "new", "9")});
  ASSERT_THAT(night.failures, SizeIs(2));
  EXPECT_EQ(night.failures[0].best.fingerprint, "new") << "new ones come first";
  EXPECT_TRUE(night.failures[0].is_new) << "an earlier report of this night is no earlier night";
  EXPECT_EQ(night.failures[1].first_date, "1");
  EXPECT_EQ(night.failures[1].first_commit, "c1");
  EXPECT_FALSE(night.failures[1].is_new);
  EXPECT_THAT(night.gone, ElementsAre(std::pair<std::string, std::string>{"pipe", "gone"}));
}

TEST(NightHistory, ComesBackAsItWasWritten) {
  NightFigures figures = night_of("2026-01-31", "a\"|<b>", "2026-01-02");
  figures.scenarios = 7;
  figures.exit_code = 1;
  std::uint64_t unread = 0;
  const auto read = read_history("nonsense\n" + history_line(figures) + "{}\n", &unread);
  EXPECT_EQ(unread, 2u);
  ASSERT_THAT(read, SizeIs(1));
  EXPECT_EQ(history_line(read[0]), history_line(figures));
}

TEST(NightHistory, ANightIsThereOnceAndOldOnesGo) {
  std::string text;
  for (std::size_t i = 0; i < night_history_lines_max + 5; ++i) {
    text += history_line(night_of("night " + std::to_string(i), "f", "1"));
  }
  text = add_to_history(text, night_of("night 100", "again", "1"));
  std::uint64_t unread = 0;
  const auto nights = read_history(text, &unread);
  EXPECT_EQ(nights.size(), night_history_lines_max);
  EXPECT_EQ(nights.back().night, "night 100");
  EXPECT_EQ(nights.front().night, "night 5");
}

TEST(Night, ReplayCommandsAreSafeToPaste) {
  NightFailure failure{.best = {.bundle = "a b;rm"}, .program = "p"};
  EXPECT_EQ(replay_command(failure), "p replay 'a b;rm'");
  failure.best = {.again = "pipe --seed g1:7 --case 2"};
  EXPECT_EQ(replay_command(failure), "p run pipe --seed g1:7 --case 2");
  failure.best = {.again = "pipe; rm -rf /"};
  EXPECT_EQ(replay_command(failure), "");
  failure.best = {.bundle = "crash-1", .is_input = true};
  EXPECT_EQ(replay_command(failure), "p crash-1");
  failure.shrunk = "night/shrunk/1";
  EXPECT_EQ(replay_command(failure), "p night/shrunk/1");
  failure.became_bundle = true;
  EXPECT_EQ(replay_command(failure), "build/dev/ipctorture replay night/shrunk/1");
}

}  // namespace
}  // namespace ipctorture
