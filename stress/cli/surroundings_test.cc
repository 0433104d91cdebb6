// Terminals, pipes and streams of every sort, another user, and another run beside.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "stress/cli/child.h"
#include "stress/cli/footprint.h"
#include "stress/cli/verdicts.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::SizeIs;

// --- terminals
// -------------------------------------------------------------------------------------

TEST(Terminal, NoLineOfTheTableIsWiderThanTheTerminal) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "unix_seqpacket", "canary_lose", "--runs", "2"},
                                  {.before = Before::terminal, .columns = 40});
  EXPECT_THAT(disorder(ended), IsEmpty());
  const auto table = table_of(ended);
  EXPECT_THAT(table, SizeIs(3)) << ended.out;
  for (const std::string& line : table) EXPECT_THAT(line.size(), Le(40u)) << line;
}

// The bar is drawn again and again in one line: a line that wraps would scroll.
TEST(Terminal, TheProgressBarStaysInItsLine) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "pipe", "--runs", "3"},
                                  {.before = Before::terminal, .columns = 40});
  EXPECT_THAT(disorder(ended), IsEmpty());
  std::size_t bars = 0;
  for (std::size_t at = 0; (at = ended.out.find('\r', at)) != std::string::npos; ++at) {
    const std::size_t end = ended.out.find("\x1b[K", at);
    if (end == std::string::npos) break;
    const std::string shown = ended.out.substr(at + 1, end - at - 1);
    if (shown.find('\n') != std::string::npos) continue;
    EXPECT_THAT(shown.size(), Le(40u)) << shown;
    bars += shown.empty() ? 0 : 1;
  }
  EXPECT_GT(bars, 0u) << ended.out;
}

TEST(Terminal, ListFitsInFortyColumns) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"list"}, {.before = Before::terminal, .columns = 40});
  EXPECT_EQ(ended.exit_code, 0) << ended.out;
  EXPECT_THAT(lines_of(without_escapes(ended.out)), Each(SizeIs(Le(40u))));
  EXPECT_THAT(ended.out, HasSubstr("unix_st"));
}

TEST(Terminal, ListSaysWhoWithstandsAHostilePeer) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"list", "pipe", "tcp", "udp", "shm_queue"});
  EXPECT_THAT(ended.out, HasSubstr("\nwithstand a hostile peer: tcp, udp\n"
                                   "do not defend themselves: pipe, shm_queue\n"));
}

TEST(Terminal, VerdictsHaveColoursThere) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "canary_lose", "--runs", "10", "--fail-fast"},
                                  {.before = Before::terminal});
  EXPECT_EQ(ended.exit_code, 1) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("\x1b[1;31mVIOLATION\x1b[0m"));
}

TEST(Terminal, NoColorIsHonoured) {
  const Scratch scratch;
  const Ended ended =
      run_program(scratch, {"run", "canary_lose", "--runs", "10", "--fail-fast", "--quiet"},
                  {.before = Before::terminal, .environment = {"NO_COLOR=1"}});
  EXPECT_EQ(ended.exit_code, 1) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("VIOLATION"));
  EXPECT_THAT(ended.out, Not(HasSubstr("\x1b")));
}

TEST(Terminal, APipeGetsNoEscapeSequences) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "canary_lose", "--runs", "10", "--fail-fast"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.all(), HasSubstr("VIOLATION"));
  EXPECT_THAT(ended.all(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(ended.all(), Not(HasSubstr("\r")));
}

TEST(Terminal, ItIsLeftAsItWas) {
  const Scratch scratch;
  Child child(scratch, {"run", "pipe", "--time", "10m"}, {.before = Before::terminal});
  ASSERT_TRUE(child.says(" scenarios"));
  EXPECT_TRUE(child.until([&] { return !child.echoes(); })) << "keys are read while it runs";
  EXPECT_FALSE(child.waits_for_keys()) << "Ctrl-C discards a key just announced: nobody hears it";
  child.type("\x03");
  EXPECT_THAT(disorder(child.end()), IsEmpty());
  EXPECT_TRUE(child.echoes());
}

// --- streams
// ---------------------------------------------------------------------------------------

// Standard output is a pipe that nobody reads any more.
const char* break_standard_output() {
  int ends[2];
  if (::pipe(ends) != 0) return "pipe";
  ::close(ends[0]);
  if (::dup2(ends[1], STDOUT_FILENO) < 0) return "dup2";
  ::close(ends[1]);
  return nullptr;
}

const char* close_standard_streams() {
  for (int fd = 0; fd < 3; ++fd) ::close(fd);
  return nullptr;
}

TEST(Streams, AReaderThatLeftKillsNothing) {
  const Scratch scratch;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "pipe", "--runs", "2"},
        std::vector<std::string>{"run", "canary_lose", "--runs", "5", "--json"},
        std::vector<std::string>{"list"}, std::vector<std::string>{"doctor"}}) {
    const Ended ended = run_program(scratch, arguments, {.prepare = break_standard_output});
    EXPECT_THAT(disorder(ended), IsEmpty()) << arguments[0];
  }
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(Streams, AFullDiskBehindStandardOutputIsNoPass) {
  const Scratch scratch;
  const auto full = []() -> const char* {
    return ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) < 0 ? "dup2" : nullptr;
  };
  const Ended ended = run_program(scratch, {"list"}, {.prepare = full});
  EXPECT_EQ(ended.exit_code, 3) << ended.all();
  EXPECT_THAT(ended.err, HasSubstr("standard output could not be written"));
}

TEST(Streams, ClosedStandardInputIsNoMatter) {
  const Scratch scratch;
  for (const char* launch : {"fork", "exec"}) {
    const Ended ended =
        run_program(scratch, {"run", "fifo", "--runs", "3", "--seed", "g1:1", "--launch", launch},
                    {.prepare = []() -> const char* {
                      return ::close(STDIN_FILENO) == 0 ? nullptr : "close";
                    }});
    EXPECT_THAT(objection(ended), IsEmpty()) << launch;
  }
}

// What is opened next gets the numbers of the streams: nothing may be written into it by mistake.
TEST(Streams, AllClosedSpoilsNoFile) {
  const Scratch scratch;
  const Ended ended =
      run_program(scratch, {"run", "pipe", "file_log", "--runs", "2", "--out", "bundles"},
                  {.prepare = close_standard_streams});
  EXPECT_THAT(disorder(ended), IsEmpty());
  EXPECT_THAT(ended.exit_code, testing::AnyOf(0, 2));
  const std::string results = text_of(scratch.path("bundles/results.jsonl"));
  EXPECT_THAT(lines_of(results), Each(testing::StartsWith("{")));
  EXPECT_THAT(lines_of(results), Not(IsEmpty()));
}

// --- another user
// ----------------------------------------------------------------------------------

constexpr uid_t ordinary_user = 65534;

const char* become_ordinary() {
  if (::geteuid() != 0) return nullptr;
  if (::setgroups(0, nullptr) != 0) return "setgroups";
  if (::setgid(ordinary_user) != 0) return "setgid";
  return ::setuid(ordinary_user) == 0 ? nullptr : "setuid";
}

void give_to_ordinary(const std::string& path) {
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), ordinary_user, ordinary_user), 0);
  }
}

TEST(OrdinaryUser, TorturesEverything) {
  const Scratch scratch;
  give_to_ordinary(scratch.path());
  const Ended ended =
      run_program(scratch, {"run", "--runs", "3", "--seed", "g1:1"}, {.prepare = become_ordinary});
  EXPECT_THAT(objection(ended), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(OrdinaryUser, AForeignDirectoryIsRefusedInOneLine) {
  const Scratch scratch;
  give_to_ordinary(scratch.path());
  for (const std::vector<std::string>& out :
       {std::vector<std::string>{}, std::vector<std::string>{"--out", "/proc/bundles"}}) {
    std::vector<std::string> arguments{"run", "pipe", "--runs", "2"};
    arguments.insert(arguments.end(), out.begin(), out.end());
    const Ended ended =
        run_program(scratch, arguments, {.directory = "/proc", .prepare = become_ordinary});
    EXPECT_EQ(ended.exit_code, 3) << ended.all();
    EXPECT_THAT(ended.problem, IsEmpty());
    EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(out.empty() ? "ipctorture-out" : "/proc/bundles"));
    EXPECT_THAT(run_directories(scratch), IsEmpty());
  }
}

// --- side by side
// ----------------------------------------------------------------------------------

TEST(SideBySide, TwoRunsWithOneSeedDoNotMeet) {
  const Scratch scratch;
  const std::vector<std::string> arguments{"run", "shm_queue", "posix_mq", "sysv_msg", "--runs",
                                           "3",   "--seed",    "g1:1",     "--launch", "fork"};
  Child first(scratch, arguments);
  Child second(scratch, arguments);
  for (Child* child : {&first, &second}) {
    const Ended ended = child->end();
    EXPECT_THAT(disorder(ended), IsEmpty());
    EXPECT_THAT(ended.exit_code, testing::AnyOf(0, 2)) << ended.all();
    EXPECT_THAT(ended.out, Not(HasSubstr("VIOLATION")));
    EXPECT_THAT(ended.err, Not(HasSubstr("dead run"))) << "took the other for dead";
  }
  std::size_t outs = 0;
  for (const auto& entry : fs::directory_iterator(scratch.path("ipctorture-out"))) {
    outs += entry.is_symlink() ? 0 : 1;
  }
  EXPECT_EQ(outs, 2u);
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(SideBySide, TwoRunsMayShareOneOut) {
  const Scratch scratch;
  const std::vector<std::string> arguments{"run",    "canary_lose", "--runs", "10",
                                           "--seed", "g1:1",        "--out",  "shared"};
  Child first(scratch, arguments);
  Child second(scratch, arguments);
  std::size_t bundles = 0;
  for (Child* child : {&first, &second}) {
    const Ended ended = child->end();
    EXPECT_EQ(ended.exit_code, 1) << ended.all();
    EXPECT_THAT(ended.problem, IsEmpty());
    EXPECT_THAT(ended.all(), Not(HasSubstr("the harness failed")));
    for (const std::string& line : lines_of(ended.out)) {
      bundles += line.starts_with("  /") && line.find(" replay shared/") != std::string::npos;
    }
  }
  std::size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(scratch.path("shared"))) {
    const bool doubt = entry.path().filename().string().find("-inconclusive") != std::string::npos;
    folders += entry.is_directory() && !doubt ? 1 : 0;  // doubts are told below the table alone
  }
  EXPECT_EQ(folders, bundles);
}

// --- a copy without the explorer beside it

TEST(WithoutItsExplorer, ARunSaysThatItSearchesNoInterleavings) {
  const Scratch scratch;
  const std::string alone = scratch.path("ipctorture");
  fs::copy_file(IPCTORTURE_PROGRAM, alone);
  const auto run = [&](const char* control) {
    return run_program(scratch, {"run", "pipe", "--time", "100ms", "--control", control},
                       {.program = alone});
  };
  const Ended asked = run("40"), not_asked = run("0");
  EXPECT_THAT(asked.err, HasSubstr("ipctorture-explore is not there: no interleavings"));
  EXPECT_THAT(asked.out, HasSubstr("verified in")) << "the free engine has all the time";
  EXPECT_THAT(not_asked.err, Not(HasSubstr("is not there")));
}

}  // namespace
}  // namespace ipctorture
