// Does a fuzzer see into forked workers? With planted/magic_fuzzer.cc, whose bug lies behind six
// bytes that only a worker looks at: the same number of executions with shared counters and
// without. Counters that get lost without a word make a fuzzer blind, so that must be told.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

// With these it takes about 130,000 executions. More of them than that: the ways of libFuzzer
// depend a little on how long an input takes.
const std::vector<std::string> search = {"-seed=2", "-runs=600000", "-max_len=6", "-mutate_depth=1",
                                         "-exact_artifact_path=/dev/null"};

struct Ran {
  int status = 0;  // of waitpid(2)
  std::string said;
  bool in_order() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
};

Ran run(std::vector<std::string> words, const std::vector<std::string>& more = {}) {
  words.insert(words.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", "");
  const Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit no_core{};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(to.get(), 1);
    ::dup2(to.get(), 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  to.reset();
  Ran ran;
  char chunk[4096];
  for (ssize_t got; (got = ::read(from.get(), chunk, sizeof chunk)) > 0;) {
    ran.said.append(chunk, static_cast<std::size_t>(got));
  }
  ::waitpid(pid, &ran.status, 0);
  return ran;
}

TEST(SharedCounters, LeadAFuzzerToABugInAWorker) {
  const Ran ran = run({IPCTORTURE_PLANTED_MAGIC}, search);
  EXPECT_THAT(ran.said, ContainsRegex("[1-9][0-9]* inline 8-bit counters"));
  EXPECT_THAT(ran.said, HasSubstr("the worker died"));
  EXPECT_FALSE(ran.in_order());
}

TEST(SharedCounters, AreWhatLeadsItThere) {
  const Ran ran = run({IPCTORTURE_PLANTED_MAGIC, "--alone"}, search);
  EXPECT_THAT(ran.said, HasSubstr("Done 600000 runs"));
  EXPECT_THAT(ran.said, Not(HasSubstr("the worker died")));
  EXPECT_TRUE(ran.in_order()) << ran.said;
}

TEST(SharedCounters, AreToldToBeLostWhenAWorkerCountsNothing) {
  const Ran ran = run({IPCTORTURE_PLANTED_MAGIC, "--idle", "-runs=1"});
  EXPECT_THAT(ran.said, HasSubstr("the coverage of the workers is lost"));
  ASSERT_TRUE(WIFEXITED(ran.status));
  EXPECT_EQ(WEXITSTATUS(ran.status), 70);
}

TEST(SharedCounters, AreToldToHaveNoPagesOfTheirOwn) {
  const Ran ran = run({IPCTORTURE_PLANTED_MAGIC "_unaligned", "-runs=1"});
  EXPECT_THAT(ran.said, HasSubstr("link it with fuzz/counters.ld"));
  EXPECT_FALSE(ran.in_order());
}

}  // namespace
}  // namespace ipctorture
