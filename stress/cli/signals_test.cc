// A run that is interrupted, killed, or loses its zygote: what it had found is told, and nothing of
// it stays, at the latest after the next run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "stress/cli/child.h"
#include "stress/cli/footprint.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::vector<std::string> long_run{"run",      "shm_queue", "posix_mq", "sysv_msg",
                                        "sysv_shm", "--time",    "10m"};

bool finished_a_scenario(const std::string& said) {
  for (std::size_t at = 0; (at = said.find(" scenarios,", at)) != std::string::npos; ++at) {
    const char before = at >= 2 ? said[at - 2] : ' ';  // ": 0 scenarios" until the first is done
    if (said[at - 1] != '0' || before != ' ') return true;
  }
  return false;
}

TEST(Signals, InterruptFromTheTerminalReportsWhatWasFound) {
  const Scratch scratch;
  Child child(scratch, {"run", "pipe", "--time", "10m"}, {.before = Before::terminal});
  ASSERT_TRUE(child.says(finished_a_scenario));
  child.type("\x03");
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.out;
  EXPECT_THAT(ended.problem, IsEmpty());
  const std::string shown = without_escapes(ended.out);
  EXPECT_THAT(shown, HasSubstr("transport  scenarios"));
  EXPECT_THAT(shown, HasSubstr("messages verified in"));
  EXPECT_THAT(shown, Not(HasSubstr("no scenario of it was finished")));
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

// As soon as there is something to remove.
TEST(Signals, InterruptRightAtTheStartLeavesNothing) {
  for (const char* verb : {"run", "explore"}) {
    for (int i = 0; i < 10; ++i) {
      const Scratch scratch;
      Child child(scratch, {verb, "pipe", "--time", "10m"}, {.before = Before::terminal});
      ASSERT_TRUE(child.until([&] { return !run_directories(scratch).empty(); }));
      child.type("\x03");
      const Ended ended = child.end();
      EXPECT_EQ(ended.exit_code, 130) << verb << "\n" << ended.out;
      EXPECT_THAT(ended.problem, IsEmpty());
      EXPECT_THAT(run_directories(scratch), IsEmpty()) << verb;
    }
  }
}

TEST(Signals, InterruptAfterAViolationIsStillAViolation) {
  const Scratch scratch;
  Child child(scratch, {"run", "canary_lose", "--time", "10m"});
  ASSERT_TRUE(child.says("VIOLATION canary_lose: "));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, HasSubstr("\ncanary_lose: VIOLATION\n"));
  EXPECT_THAT(ended.out, HasSubstr(" replay ipctorture-out/"));
}

TEST(Signals, TerminationLeavesNothingBehind) {
  const Scratch scratch;
  Child child(scratch, long_run);
  const auto names = freeze_with_names(child, scratch);
  ASSERT_THAT(names, Not(IsEmpty()));
  child.signal(SIGTERM);
  child.signal(SIGCONT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 143) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, HasSubstr("messages verified in"));
  EXPECT_THAT(remaining(names), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

// As timeout(1) and a terminal that hangs up do: everyone gets it, only the supervisor minds.
TEST(Signals, ASignalToTheWholeGroupEndsInOrder) {
  for (const auto& [signal, launch] :
       {std::pair{SIGTERM, "fork"}, std::pair{SIGTERM, "exec"}, std::pair{SIGHUP, "fork"}}) {
    const Scratch scratch;
    Child child(scratch, {"run", "shm_queue", "--time", "10m", "--launch", launch});
    ASSERT_THAT(freeze_with_names(child, scratch), Not(IsEmpty()));
    ::kill(-child.pid(), signal);
    child.signal(SIGCONT);
    const Ended ended = child.end();
    EXPECT_EQ(ended.exit_code, 143) << ended.all();
    EXPECT_THAT(ended.problem, IsEmpty());
    EXPECT_THAT(ended.all(), Not(HasSubstr("the harness failed")));
    EXPECT_THAT(ended.all(), Not(HasSubstr("VIOLATION")));
    EXPECT_THAT(run_directories(scratch), IsEmpty());
  }
}

// A stopped zygote kills no worker, so that the first interrupt cannot end the run by itself.
TEST(Signals, SecondInterruptEndsAtOnce) {
  const Scratch scratch;
  Child child(scratch, {"run", "shm_queue", "--time", "10m", "--launch", "fork"});
  ASSERT_THAT(freeze_with_names(child, scratch), Not(IsEmpty()));
  for (const pid_t zygote : children_of(child.pid())) ::kill(zygote, SIGSTOP);
  child.signal(SIGCONT);
  child.signal(SIGINT);
  ASSERT_TRUE(child.says("once more to end at once"));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, Not(HasSubstr("messages verified in")));
}

// A run that SIGKILL ended while it had names, and these.
std::vector<SystemName> leave_a_dead_run(const Scratch& scratch) {
  Child child(scratch, long_run);
  const auto names = freeze_with_names(child, scratch);
  child.signal(SIGKILL);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, -SIGKILL) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty()) << "workers outlive their supervisor";
  EXPECT_EQ(remaining(names).size(), names.size()) << "removed by whom?";
  return names;
}

TEST(Signals, CleaningRemovesWhatAKilledRunLeft) {
  const Scratch scratch;
  const auto names = leave_a_dead_run(scratch);
  ASSERT_THAT(names, Not(IsEmpty()));
  EXPECT_THAT(run_directories(scratch), SizeIs(1));
  const Ended cleaned = run_program(scratch, {"doctor", "--clean"});
  EXPECT_EQ(cleaned.exit_code, 0) << cleaned.all();
  EXPECT_THAT(cleaned.out, HasSubstr("removed 1 dead runs"));
  EXPECT_THAT(remaining(names), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(Signals, NextRunRemovesWhatAKilledRunLeft) {
  const Scratch scratch;
  const auto names = leave_a_dead_run(scratch);
  ASSERT_THAT(names, Not(IsEmpty()));
  const Ended next = run_program(scratch, {"run", "pipe", "--runs", "1"});
  EXPECT_THAT(next.err, HasSubstr("removed what 1 dead run(s) left"));
  EXPECT_THAT(next.problem, IsEmpty());
  EXPECT_THAT(remaining(names), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

TEST(Signals, CleaningLeavesALiveRunAlone) {
  const Scratch scratch;
  Child child(scratch, long_run);
  const auto names = freeze_with_names(child, scratch);
  ASSERT_THAT(names, Not(IsEmpty()));
  const Ended cleaned = run_program(scratch, {"doctor", "--clean"});
  EXPECT_EQ(cleaned.exit_code, 0) << cleaned.all();
  EXPECT_THAT(cleaned.out, HasSubstr("removed 0 dead runs"));
  EXPECT_THAT(cleaned.out, HasSubstr("1 runs are alive"));
  EXPECT_EQ(remaining(names).size(), names.size());
  EXPECT_THAT(run_directories(scratch), SizeIs(1));
  child.signal(SIGTERM);
  child.signal(SIGCONT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 143) << ended.all();
  EXPECT_THAT(remaining(names), IsEmpty());
}

TEST(Signals, AKilledZygoteIsToldOnceAndReplaced) {
  const Scratch scratch;
  Child child(scratch, {"run", "shm_queue", "--time", "10m", "--launch", "fork"});
  const auto names = freeze_with_names(child, scratch);
  ASSERT_THAT(names, Not(IsEmpty()));
  const auto zygotes = children_of(child.pid());
  ASSERT_THAT(zygotes, Not(IsEmpty()));
  ::kill(zygotes.front(), SIGKILL);
  child.signal(SIGCONT);
  ASSERT_TRUE(child.says("the harness failed"));
  // The same number of zygotes again, one of them new.
  EXPECT_TRUE(child.until([&] {
    const auto now = children_of(child.pid());
    return now.size() == zygotes.size() && now != zygotes;
  }));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 3) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  std::vector<std::string> failures = lines_of(ended.err);
  std::erase_if(failures, [](const std::string& line) {
    return line.find("the harness failed") == std::string::npos;
  });
  EXPECT_THAT(failures, ElementsAre(HasSubstr("the zygote is gone; it was killed from outside")));
  EXPECT_THAT(remaining(names), IsEmpty());
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

// --- what every worker does
// ------------------------------------------------------------------------

bool tells_of_workers(const std::string& said) {
  const auto engine = said.find("engine 0:");
  const auto lane = said.find(" lane 0 pid ", std::min(engine, said.size()));
  return lane != std::string::npos && said.find(" operations, ", lane) != std::string::npos;
}

TEST(Signals, KeyTSaysWhatEveryWorkerDoes) {
  const Scratch scratch;
  Child child(scratch, {"run", "pipe", "--time", "10m"}, {.before = Before::terminal});
  ASSERT_TRUE(child.says(" scenarios"));
  // Between two scenarios all engines may be idle: the key again.
  EXPECT_TRUE(child.until([&] {
    child.type("t");
    return tells_of_workers(child.said());
  }));
  child.type("\x03");
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.out;
  EXPECT_THAT(ended.problem, IsEmpty());
}

TEST(Signals, SigUsr1SaysWhatEveryWorkerDoes) {
  const Scratch scratch;
  Child child(scratch, {"run", "pipe", "--time", "10m"});
  ASSERT_TRUE(child.says(" scenarios"));
  EXPECT_TRUE(child.until([&] {
    child.signal(SIGUSR1);
    return tells_of_workers(child.said());
  }));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
}

}  // namespace
}  // namespace ipctorture
