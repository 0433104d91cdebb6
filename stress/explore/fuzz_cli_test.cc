// What a fuzzer found, as a user goes on with it: `show`, `shrink` and the replay of its bundle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/scenario/fuzz_input_header.h"
#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A schedule of 1x1 and 3 messages with two departures that change nothing: lane 0 is not there to
// go on in its own stead.
std::string schedule_of(const Scratch& scratch, const std::string& transport,
                        std::uint8_t version = 1, char letter = schedule_input_letter) {
  FuzzInputHeader header{.own = {1, 1, 3}, .transport = transport};
  std::vector<std::byte> bytes =
      write_fuzz_input_header(header, {.letter = letter, .version = version, .name = "schedule"});
  for (const unsigned byte : {17u, 0u, 0u, 0u, 5u, 0u, 1u, 1u}) {
    bytes.push_back(static_cast<std::byte>(byte));
  }
  std::string path = scratch.path("crash-1");
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

TEST(FuzzedSchedule, IsToldInWords) {
  const Scratch scratch;
  const std::string file = schedule_of(scratch, "private_futex");
  const Ended shown = run_program(scratch, {"show", file});
  EXPECT_EQ(shown.exit_code, 0) << shown.all();
  EXPECT_THAT(shown.problem, IsEmpty());
  EXPECT_THAT(shown.out, AllOf(HasSubstr("a schedule of private_futex, 1x1, 3 messages each"),
                               HasSubstr("producer 0, its step 17: producer 0 goes on instead"),
                               HasSubstr("\"transport\": \"private_futex\"")));
  const Ended json = run_program(scratch, {"show", file, "--json"});
  const auto line = nlohmann::json::parse(json.out, nullptr, false);
  ASSERT_TRUE(line.is_object()) << json.all();
  EXPECT_EQ(line["departures"], "0@17:run=0 1@5:run=1");
  EXPECT_EQ(line["scenario"]["messages"], 3);
}

TEST(FuzzedSchedule, BecomesASmallBundleThatReplays) {
  const Scratch scratch;
  const std::string file = schedule_of(scratch, "private_futex");
  const Ended small = run_program(scratch, {"shrink", file, "--json"});
  EXPECT_EQ(small.exit_code, 1) << small.all();
  EXPECT_THAT(small.problem, IsEmpty());
  const auto line = nlohmann::json::parse(small.out, nullptr, false);
  ASSERT_TRUE(line.is_object()) << small.all();
  EXPECT_EQ(line["bundle"], file + "-small");
  EXPECT_EQ(line["departures"], "") << "they change nothing";
  const Ended replay = run_program(scratch, {"replay", file + "-small"});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("reproduced 5/5, step by step"));
}

TEST(FuzzedSchedule, OfACorrectTransportIsNoFailure) {
  const Scratch scratch;
  const Ended small = run_program(scratch, {"shrink", schedule_of(scratch, "private_futex_twin")});
  EXPECT_EQ(small.exit_code, 0) << small.all();
  EXPECT_THAT(small.out, HasSubstr("not reproduced"));
  EXPECT_FALSE(std::filesystem::exists(scratch.path("crash-1-small")));
}

TEST(FuzzedSchedule, WhatIsNoneIsRefusedInOneLine) {
  const Scratch scratch;
  const auto refusal = [&](const std::string& verb, const std::string& file) {
    const Ended ended = run_program(scratch, {verb, file});
    EXPECT_EQ(ended.exit_code, 64) << ended.all();
    EXPECT_THAT(ended.out, IsEmpty());
    return ended.err;
  };
  for (const std::string verb : {"show", "shrink"}) {
    EXPECT_THAT(refusal(verb, schedule_of(scratch, "pipe", 0)),
                HasSubstr("crash-1: fuzz input: version 0, this program reads 1"));
    EXPECT_THAT(refusal(verb, schedule_of(scratch, "pype")), HasSubstr("pype"));
    EXPECT_THAT(
        refusal(verb, schedule_of(scratch, "pipe", 1, 'X')),
        HasSubstr("crash-1: is a fuzz input of kind 'X', which this program does not know"));
    EXPECT_THAT(refusal(verb, scratch.path("nothing")), HasSubstr("No such file"));
    EXPECT_THAT(refusal(verb, "/dev/zero"), HasSubstr("/dev/zero: is"));
  }
}

}  // namespace
}  // namespace ipctorture
