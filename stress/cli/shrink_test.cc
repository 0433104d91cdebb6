// `shrink` as a user meets it: what it finds replays, an interrupted one leaves the smallest so
// far, and where there is nothing to make small it says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/scenario/codec.h"
#include "harness/scenario/hostile_input.h"
#include "harness/scenario/scenario_input.h"
#include "stress/cli/child.h"
#include "stress/cli/footprint.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Scenario busy(std::string_view transport) {
  Scenario s;
  s.set_transport(transport);
  s.seed = 3;
  s.producers = 3;
  s.consumers = 2;
  s.messages = 200;
  s.size_count = 2;
  s.sizes = {64, 1000};
  s.capacity = 8;
  s.producer_noise.yield_permille = 20;
  s.send_deadlines.at_permille = 100;
  s.gap_after = 50;
  s.gap_ms = 1;
  s.handoff = true;
  return s;
}

std::string write_scenario(const Scratch& scratch, const Scenario& scenario) {
  std::ofstream(scratch.path("found.json")) << scenario_to_json(scenario);
  return "found.json";
}

// The 7th message comes twice, whatever else happens.
TEST(ShrinkVerb, LeavesASmallBundleThatReplays) {
  const Scratch scratch;
  const std::string file = write_scenario(scratch, busy("canary_duplicate"));
  const Ended ended = run_program(scratch, {"shrink", file, "--json", "--quiet"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  const auto told = nlohmann::json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(told.is_object()) << ended.all();
  EXPECT_EQ(told["schema"], "ipctorture-shrink/1");
  EXPECT_EQ(told["bundle"], "found-small");
  EXPECT_EQ(told["confirmed"], true);
  EXPECT_EQ(told["after"]["attempts"], 20);
  EXPECT_GE(told["after"]["reproduced"], 8);
  EXPECT_THAT(told["changes"].get<std::vector<std::string>>(),
              AllOf(Contains("gap_ms: 1 -> 0"), Contains("handoff: true -> false")));
  const Scenario small = scenario_from_json(text_of(scratch.path("found-small/scenario.json")));
  EXPECT_LE(small.messages * small.producers, 10u);
  EXPECT_EQ(small.producer_noise, Noise{});

  const Ended replay = run_program(scratch, {"replay", "found-small", "--fail-fast"});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr(told["fingerprint"].get<std::string>()));

  // What is small already takes a name of its own.
  const Ended again = run_program(scratch, {"shrink", "found-small", "--quiet"});
  EXPECT_EQ(again.exit_code, 1) << again.all();
  EXPECT_THAT(again.out, testing::AnyOf(HasSubstr("it is as small as can be"),
                                        HasSubstr(" replay found-small-2")));
}

// A scenario that is small already, as a fuzzer finds it, becomes a bundle all the same.
TEST(ShrinkVerb, AFileBecomesABundleEvenIfNothingIsSmaller) {
  const Scratch scratch;
  std::filesystem::path small = "found.json";
  for (int round = 0; round < 2; ++round) {
    if (round == 0) write_scenario(scratch, busy("canary_duplicate"));
    const Ended ended = run_program(scratch, {"shrink", small, "--json", "--quiet"});
    EXPECT_EQ(ended.exit_code, 1) << ended.all();
    const auto told = nlohmann::json::parse(ended.out, nullptr, false);
    ASSERT_TRUE(told.is_object() && told.contains("bundle")) << ended.all();
    const auto bundle = std::filesystem::path(scratch.path()) / told["bundle"].get<std::string>();
    EXPECT_TRUE(std::filesystem::exists(bundle / "history.bin"));
    small = bundle / "scenario.json";
  }
}

// What ci/fuzz finds: told, replayed, made small, each by one command.
TEST(ShrinkVerb, AFuzzInputIsAScenarioToo) {
  const Scratch scratch;
  ScenarioInput input = scenario_input_of(busy("canary_duplicate"));
  input.transport = "canary_duplicate";
  const std::vector<std::byte> bytes = to_bytes(input);
  std::ofstream(scratch.path("crash-1"), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const Ended shown = run_program(scratch, {"show", "crash-1"});
  EXPECT_EQ(shown.exit_code, 0) << shown.all();
  EXPECT_THAT(shown.out, HasSubstr("a scenario of canary_duplicate: stream, 3x2"));
  const Ended replay = run_program(scratch, {"replay", "crash-1", "--fail-fast"});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  const Ended small = run_program(scratch, {"shrink", "crash-1", "--quiet"});
  EXPECT_EQ(small.exit_code, 1) << small.all();
  EXPECT_TRUE(std::filesystem::exists(scratch.path("crash-1-small/history.bin"))) << small.all();
}

TEST(ShrinkVerb, OfAHostilePeerIsShownAlone) {
  const Scratch scratch;
  const std::vector<std::byte> bytes = to_bytes(HostileInput{
      .transport = "unix_stream",
      .flags = hostile_consumer,
      .actions = {
          {.act = HostileAct::write, .which = 3, .bytes = {std::byte{0xfe}, std::byte{1}}}}});
  std::ofstream(scratch.path("crash-1"), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const Ended shown = run_program(scratch, {"show", "crash-1"});
  EXPECT_EQ(
      shown.out,
      "a hostile peer of unix_stream, beside an honest producer\n  write 3, 2 bytes: fe 01\n");
  const Ended small = run_program(scratch, {"shrink", "crash-1"});
  EXPECT_EQ(small.exit_code, 64) << small.all();
  EXPECT_THAT(small.err, HasSubstr("fuzz_hostile_peer replays it"));
}

// A lost message is also a false `closed`, among others: the bundle's name says which is meant.
TEST(ShrinkVerb, KeepsToTheFailureThatTheBundleIsNamedAfter) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"run", "canary_lose", "--runs", "20", "--seed", "g1:1",
                                          "--control", "0", "--quiet", "--out", "out"});
  EXPECT_EQ(run.exit_code, 1) << run.all();
  for (const char* name : {"delivery-lost", "end_of_stream-closed-before-the-end"}) {
    const std::string bundle = std::string("out/canary_lose-") + name;
    ASSERT_TRUE(std::filesystem::exists(scratch.path(bundle))) << run.all();
    const Ended ended =
        run_program(scratch, {"shrink", bundle + "/", "--json", "--quiet", "--time", "3s"});
    const auto told = nlohmann::json::parse(ended.out, nullptr, false);
    ASSERT_TRUE(told.is_object()) << ended.all();
    std::string promise = told["fingerprint"];
    promise.resize(std::min(promise.size(), promise.find('/')));
    EXPECT_TRUE(std::string_view(name).starts_with(promise + "-")) << ended.out;
  }
}

// Each attempt hangs until its deadlock is proven, so there is time for a signal. Progress tells
// of a candidate that was accepted by its number of messages.
TEST(ShrinkVerb, InterruptedItLeavesTheSmallestSoFar) {
  const Scratch scratch;
  const std::string file = write_scenario(scratch, busy("canary_hang"));
  Child child(scratch, {"shrink", file, "--time", "10m"}, {.before = Before::terminal});
  ASSERT_TRUE(child.says([](const std::string& said) {
    const auto at = said.rfind(" messages");
    return at != said.npos && said.find(" 200 messages") != said.npos &&
           said.substr(at - 4, 4) != " 200";
  }));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 1) << ended.out;
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(without_escapes(ended.out),
              AllOf(HasSubstr("interrupted: not replayed"), HasSubstr(" replay found-small")));
  EXPECT_TRUE(std::filesystem::exists(scratch.path("found-small/history.bin")));
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(ShrinkVerb, WithoutAFailureThereIsNothingToGoBy) {
  const Scratch scratch;
  const std::string file = write_scenario(scratch, busy("canary_none"));
  const Ended ended = run_program(scratch, {"shrink", file, "--time", "100ms", "--quiet"});
  EXPECT_EQ(ended.exit_code, 0) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("not reproduced in "));
  EXPECT_FALSE(std::filesystem::exists(scratch.path("found-small")));
}

TEST(ShrinkVerb, ABundleWithAScheduleIsSmall) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("explored"));
  std::ofstream(scratch.path("explored/schedule.json")) << "{}";
  const Ended ended = run_program(scratch, {"shrink", "explored"});
  EXPECT_EQ(ended.exit_code, 0) << ended.all();
  EXPECT_THAT(ended.out, AllOf(HasSubstr("is small already"), HasSubstr(" replay explored")));
}

}  // namespace
}  // namespace ipctorture
