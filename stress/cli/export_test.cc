// `ipctorture run NAME --export FILE`: what it writes is judged by the command that it ends with,
// and by any reader of plain histories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "stress/cli/child.h"
#include "stress/cli/verdicts.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string last_line(const std::string& said) {
  const std::vector<std::string> lines = lines_of(said);
  return lines.empty() ? "" : lines.back();
}

// The command in the last line of a run, as a user would copy it.
Ended do_as_told(const Scratch& scratch, const std::string& said) {
  std::vector<std::string> words = words_of(last_line(said));
  if (words.empty() || words.front() != IPCTORTURE_PROGRAM) {
    return {.exit_code = -1, .err = "this is no command: " + last_line(said)};
  }
  words.erase(words.begin());
  return run_program(scratch, words);
}

struct Exported {
  const char* transport;
  std::vector<std::string> which;  // scenario
  const char* contract;            // as the last line ends
  int exit_code;                   // of recheck
};

class Export : public testing::TestWithParam<Exported> {};

TEST_P(Export, IsJudgedAsTheRunWas) {
  const Scratch scratch;
  std::vector<std::string> arguments{"run",    GetParam().transport, "--export",    "h.txt",
                                     "--seed", "g1:c0ffee",          "--hand-over", "0"};
  arguments.insert(arguments.end(), GetParam().which.begin(), GetParam().which.end());
  const Ended run = run_program(scratch, arguments);
  ASSERT_THAT(last_line(run.out), HasSubstr(GetParam().contract)) << run.all();
  if (GetParam().exit_code == 0) {
    EXPECT_THAT(objection(run), IsEmpty()) << run.all();
  }
  if (GetParam().exit_code == 1) {
    EXPECT_EQ(run.exit_code, 1) << run.all();
  }
  const Ended judged = do_as_told(scratch, run.out);
  EXPECT_EQ(judged.exit_code, GetParam().exit_code) << judged.all();
  EXPECT_THAT(judged.err, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Transports, Export,
    testing::Values(
        Exported{"pipe", {"--runs", "1"}, " --contract per-producer", 0},
        Exported{"shm_ring", {"--case", "9"}, " --contract fifo --capacity 8", 0},
        Exported{"posix_mq", {"--case", "10"}, " --contract priority --capacity 7", 0},
        Exported{"shm_broadcast", {"--case", "2"}, " --contract broadcast", 0},
        Exported{"tcp", {"--case", "3"}, " --contract per-producer", 0},
        Exported{"udp", {"--case", "4"}, " --contract set", 0},
        Exported{"file_snapshot", {"--case", "3"}, " --contract register", 0},
        // Consumers are killed and succeeded: no capacity is certain.
        Exported{"file_log", {"--case", "6"}, " --contract fifo", 0},
        // One producer, one consumer: the stamps are fenced all the same.
        Exported{"canary_reorder", {"--case", "5"}, " --contract fifo --capacity 55", 1},
        Exported{"canary_duplicate", {"--case", "4"}, " --contract fifo --capacity 15", 1}),
    [](const auto& one) { return one.param.transport; });

TEST(ExportedRun, NeedsNoSeedThatSuits) {
  const Scratch scratch;
  std::ofstream(scratch.path("h.txt")) << std::string(1 << 20, 'x');
  const Ended run = run_program(scratch, {"run", "shm_queue", "--case", "2", "--export", "h.txt"});
  EXPECT_THAT(objection(run), IsEmpty()) << run.all();
  EXPECT_EQ(do_as_told(scratch, run.out).exit_code, 0);
  EXPECT_THAT(text_of(scratch.path("h.txt")), Not(HasSubstr("xx")));
}

TEST(ExportedRun, TheFileIsForItsOwnerAlone) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"run", "pipe", "--case", "2", "--export", "h.txt"});
  struct stat status{};
  ASSERT_EQ(::stat(scratch.path("h.txt").c_str(), &status), 0) << run.all();
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// Between pipes: all else is on standard error.
TEST(ExportedRun, StandardOutputHasTheHistoryAlone) {
  const Scratch scratch;
  for (const bool json : {false, true}) {
    std::vector<std::string> arguments{"run", "pipe", "--case", "2", "--export", "-"};
    if (json) arguments.emplace_back("--json");
    const Ended run = run_program(scratch, arguments);
    EXPECT_THAT(objection(Ended{.exit_code = run.exit_code, .out = run.err}), IsEmpty());
    EXPECT_THAT(run.out,
                AllOf(HasSubstr("producer-0 invoke send 0-0 t="), Not(HasSubstr("ipctorture"))));
    EXPECT_THAT(run.err, HasSubstr("recheck /dev/stdin --contract per-producer"));
    std::ofstream(scratch.path("h.txt")) << run.out;
    const Ended judged = run_program(scratch, {"recheck", "h.txt", "--contract", "per-producer"});
    EXPECT_EQ(judged.exit_code, 0) << judged.all();
  }
}

TEST(ExportedRun, ABundleGoesToStandardOutputLikewise) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"run", "canary_reorder", "--case", "4", "--seed",
                                          "g1:c0ffee", "--hand-over", "0", "--out", "o"});
  ASSERT_EQ(run.exit_code, 1) << run.all();
  const Ended ended =
      run_program(scratch, {"recheck", "o/canary_reorder-order-reordered", "--export", "-"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.out, AllOf(HasSubstr(" invoke send "), Not(HasSubstr("promise"))));
  EXPECT_THAT(ended.err, HasSubstr("promise"));
}

TEST(ExportedRun, AsJsonTheCommandIsAField) {
  const Scratch scratch;
  const Ended run = run_program(
      scratch, {"run", "pipe", "--case", "2", "--export", "h.txt", "--json", "--out", "o"});
  std::string recheck;
  for (const std::string& line : lines_of(run.out)) {
    const auto json = nlohmann::json::parse(line);
    if (json["event"] != "export") continue;
    EXPECT_EQ(json["file"], "h.txt");
    recheck = json["recheck"];
  }
  EXPECT_THAT(recheck, HasSubstr(" recheck h.txt --contract per-producer"));
  EXPECT_THAT(text_of(scratch.path("o/results.jsonl")), HasSubstr("\"export\""));
}

TEST(ExportedRun, WhatCannotRunHereLeavesNoFile) {
  const Scratch scratch;
  const Ended run =
      run_program(scratch, {"run", "pipe", "--runs", "1", "--launch", "exec", "--export", "h.txt"});
  EXPECT_EQ(run.exit_code, 69) << run.all();
  EXPECT_THAT(text_of(scratch.path("h.txt")), IsEmpty());
}

}  // namespace
}  // namespace ipctorture
