// `ipctorture recheck FILE... --contract NAME`: histories of any program, as a user has them
// judged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

constexpr const char* overtaken =
    "# what a consumer that takes the wrong one looks like\n"
    "1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n"
    "2 invoke receive\n2 ok receive b\n2 invoke receive\n2 ok receive a\n";

TEST(RecheckHistory, AWrongOneIsAViolationWithItsWitness) {
  const Scratch scratch;
  write(scratch.path("h.txt"), overtaken);
  const Ended ended = run_program(scratch, {"recheck", "h.txt", "--contract", "fifo"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.err, IsEmpty());
  EXPECT_THAT(lines_of(ended.out), SizeIs(5));
  EXPECT_THAT(ended.out,
              AllOf(StartsWith("fifo: VIOLATION: process 2 received b before a, although send(a) "
                               "had returned before send(b) began\n"),
                    HasSubstr("  process 2: receive b, ok (h.txt:6 to h.txt:7)\n")));
}

TEST(RecheckHistory, AsJsonTheWitnessIsListed) {
  const Scratch scratch;
  write(scratch.path("h.txt"), overtaken);
  const Ended ended = run_program(scratch, {"recheck", "h.txt", "--contract=fifo", "--json"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["verdict"], "violation");
  EXPECT_EQ(json["contract"], "fifo");
  EXPECT_THAT(json["witness"], SizeIs(4));
  EXPECT_EQ(json["witness"][0]["invoked"], "h.txt:2");
}

TEST(RecheckHistory, ARightOnePasses) {
  const Scratch scratch;
  write(scratch.path("h.txt"), overtaken);
  const Ended ended = run_program(scratch, {"recheck", "h.txt", "--contract", "set"});
  EXPECT_EQ(ended.exit_code, 0) << ended.all();
  EXPECT_EQ(ended.out, "set: pass\n");
}

TEST(RecheckHistory, SeveralFilesAreMergedByTime) {
  const Scratch scratch;
  write(scratch.path("1.txt"), "1 invoke send a t=10\n1 ok send t=20\n");
  write(scratch.path("2.jsonl"),
        "{\"process\": 2, \"event\": \"invoke\", \"operation\": \"receive\", \"t\": 30}\n"
        "{\"process\": 2, \"event\": \"empty\", \"operation\": \"receive\", \"t\": 40}\n");
  const Ended ended = run_program(scratch, {"recheck", "1.txt", "2.jsonl", "--contract", "fifo"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("process 2 found nothing"), HasSubstr("(1.txt:1 to 1.txt:2)"),
                    HasSubstr("(2.jsonl:1 to 2.jsonl:2)")));
}

TEST(RecheckHistory, WithACapacityItMustHaveBeenFull) {
  const Scratch scratch;
  write(scratch.path("h.txt"),
        "1 invoke send a\n1 ok send\n1 invoke send b\n1 full send\n2 invoke receive\n2 ok receive "
        "a\n");
  const std::vector<std::string> with{"recheck", "h.txt", "--contract", "fifo", "--capacity"};
  auto one = with, two = with;
  one.emplace_back("1");
  two.emplace_back("2");
  EXPECT_EQ(run_program(scratch, one).exit_code, 0);
  EXPECT_EQ(run_program(scratch, two).exit_code, 1);
}

TEST(RecheckHistory, AnEmptyOrOneSidedOneIsInconclusive) {
  const Scratch scratch;
  write(scratch.path("empty.txt"), "# nothing\n");
  write(scratch.path("one.txt"), "1 invoke send a\n1 ok send\n");
  Ended ended = run_program(scratch, {"recheck", "empty.txt", "--contract", "fifo"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.out, "fifo: inconclusive: the history is empty\n");
  ended = run_program(scratch, {"recheck", "one.txt", "--contract", "fifo"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.out, "fifo: inconclusive: nothing is received in this history\n");
}

struct Slip {
  const char* name;
  std::string text;
  std::vector<std::string> flags;
  const char* answer;
};

class BadHistories : public testing::TestWithParam<Slip> {};

TEST_P(BadHistories, AreRefusedInOneLine) {
  const Scratch scratch;
  write(scratch.path("h.txt"), GetParam().text);
  std::vector<std::string> arguments{"recheck", "h.txt"};
  arguments.insert(arguments.end(), GetParam().flags.begin(), GetParam().flags.end());
  const Ended ended = run_program(scratch, arguments);
  EXPECT_EQ(ended.exit_code, 64) << ended.all();
  EXPECT_THAT(ended.out, IsEmpty());
  EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
  EXPECT_THAT(ended.err, AllOf(StartsWith("ipctorture: "), HasSubstr(GetParam().answer)));
}

const std::vector<std::string> fifo{"--contract", "fifo"};

INSTANTIATE_TEST_SUITE_P(
    Slips, BadHistories,
    testing::Values(
        Slip{"Answer", "1 ok send\n", fifo, "h.txt:1: an answer without an invocation"},
        Slip{"Open", "1 invoke receive\n1 invoke receive\n", fifo,
             "h.txt:2: the process has an open"},
        Slip{"Twice", "1 invoke send a\n1 ok send\n1 invoke send a\n", fifo,
             "h.txt:3: 'a' is sent a second time"},
        Slip{"Word", "1 invoke send a\n1 done send\n", fifo, "h.txt:2: unknown word 'done'"},
        Slip{"Escape", "1 \033[31m send a\n", fifo, "h.txt:1: unknown word"},
        Slip{"Endless", std::string(1 << 20, 'a'), fifo, "h.txt:1: a line has at most 4096 bytes"},
        Slip{
            "Contract", "1 join\n", {"--contract", "lifo"}, "'lifo' is none of fifo, per-producer"},
        Slip{"NoContract", "1 join\n", {}, "give --contract NAME"},
        Slip{"Capacity", "1 join\n", {"--contract", "fifo", "--capacity", "0"}, "--capacity"},
        Slip{"File", "1 join\n", {"none.txt", "--contract", "fifo"}, "none.txt: No such file"},
        Slip{"Untimed",
             "1 join\n",
             {"h.txt", "--contract", "fifo"},
             "several files are merged by time"}),
    [](const testing::TestParamInfo<Slip>& slip) { return slip.param.name; });

TEST(RecheckHistory, AnEndlessLineOfADeviceIsRefused) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"recheck", "/dev/zero", "--contract", "fifo"});
  EXPECT_EQ(ended.exit_code, 64);
  EXPECT_THAT(ended.err, HasSubstr("/dev/zero:1: a line has at most 4096 bytes"));
}

TEST(RecheckHistory, ContractsAreExplained) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"list", "--contracts"});
  EXPECT_EQ(ended.exit_code, 0);
  for (const char* name :
       {"fifo\n", "per-producer\n", "priority\n", "register\n", "broadcast\n", "set\n"}) {
    EXPECT_THAT(ended.out, HasSubstr(name));
  }
  EXPECT_THAT(lines_of(run_program(scratch, {"list", "--contracts", "--json"}).out), SizeIs(6));
}

}  // namespace
}  // namespace ipctorture
