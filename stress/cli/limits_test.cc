// With less than a run wants: descriptors, queues, file sizes, shared memory. It passes with what
// there is, or says in words what is short; it neither crashes nor hangs.
//
// RLIMIT_NPROC is not among them: it does not bind root, as which containers run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>

#include "stress/cli/child.h"
#include "stress/cli/footprint.h"
#include "stress/cli/verdicts.h"

namespace ipctorture {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Surroundings limited(decltype(RLIMIT_NOFILE) which, rlim_t most) {
  return {.prepare = [=] {
    const rlimit limit{most, most};
    return ::setrlimit(which, &limit) == 0 ? nullptr : "setrlimit";
  }};
}

// --- descriptors
// -----------------------------------------------------------------------------------

TEST(Limits, SixtyFourDescriptorsAreEnoughForTwoTransports) {
  const Scratch scratch;
  const Ended ended = run_program(
      scratch, {"run", "pipe", "shm_queue", "--runs", "3", "--seed", "g1:1", "--jobs", "2"},
      limited(RLIMIT_NOFILE, 64));
  EXPECT_THAT(objection(ended), IsEmpty());
}

TEST(Limits, TooFewDescriptorsForAllTransportsIsTold) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "--runs", "1"}, limited(RLIMIT_NOFILE, 40));
  EXPECT_THAT(disorder(ended), IsEmpty());
  EXPECT_THAT(ended.exit_code, AnyOf(2, 3)) << ended.all();
  EXPECT_THAT(ended.all(), HasSubstr("Too many open files"));
  EXPECT_THAT(ended.out, Not(HasSubstr("VIOLATION")));
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

class FewDescriptors : public testing::TestWithParam<rlim_t> {};

TEST_P(FewDescriptors, RunFailsWithOneLine) {
  const Scratch scratch;
  const Ended ended =
      run_program(scratch, {"run", "pipe", "--runs", "1"}, limited(RLIMIT_NOFILE, GetParam()));
  EXPECT_EQ(ended.exit_code, 3) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("ipctorture: the harness failed: "));
  EXPECT_THAT(ended.err, HasSubstr("Too many open files"));
  EXPECT_THAT(run_directories(scratch), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Limits, FewDescriptors, testing::Values(5, 6, 8, 12),
                         testing::PrintToStringParamName());

TEST(Limits, DoctorNamesTheDescriptorsThatAreWanting) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"doctor"}, limited(RLIMIT_NOFILE, 64));
  EXPECT_EQ(ended.exit_code, 69) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, HasSubstr("64, needs 1024"));
}

// --- queues and files
// ------------------------------------------------------------------------------

TEST(Limits, NoQueueBytesIsUnsupportedWhenNamed) {
  const Scratch scratch;
  const Ended ended =
      run_program(scratch, {"run", "posix_mq", "--runs", "2"}, limited(RLIMIT_MSGQUEUE, 0));
  EXPECT_EQ(ended.exit_code, 69) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_EQ(verdict_of(ended, "posix_mq"), "unsupported");
  EXPECT_THAT(ended.out, HasSubstr("RLIMIT_MSGQUEUE"));
}

TEST(Limits, NoQueueBytesDoesNotSpoilTheOthers) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "p*", "--runs", "3", "--seed", "g1:1"},
                                  limited(RLIMIT_MSGQUEUE, 0));
  EXPECT_THAT(objection(ended), IsEmpty());
  EXPECT_EQ(verdict_of(ended, "posix_mq"), "unsupported");
  EXPECT_THAT(ended.out, HasSubstr("RLIMIT_MSGQUEUE"));
}

// The arena of the workers is a sparse file of gigabytes: nothing starts, and that is said.
TEST(Limits, ASmallFileSizeFailsTheHarnessInWords) {
  for (const rlim_t bytes : {rlim_t{0}, rlim_t{4096}, rlim_t{1} << 20}) {
    const Scratch scratch;
    const Ended ended = run_program(scratch, {"run", "pipe", "file_log", "--runs", "2"},
                                    limited(RLIMIT_FSIZE, bytes));
    EXPECT_THAT(ended.exit_code, AnyOf(3, 69)) << bytes << ": " << ended.all();
    EXPECT_THAT(ended.problem, IsEmpty());
    EXPECT_THAT(ended.err, HasSubstr("File too large")) << bytes;
    EXPECT_THAT(run_directories(scratch), IsEmpty());
  }
}

// --- shared memory and disks
// -----------------------------------------------------------------------

// A file system of its own, of so many bytes, in namespaces of its own.
Surroundings with_small(const std::string& directory, const std::string& size) {
  return {.prepare = [directory, size]() -> const char* {
    const bool root = ::geteuid() == 0;
    const std::string user = "0 " + std::to_string(::geteuid()) + " 1";
    if (::unshare(CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER)) != 0) return "unshare";
    if (!root) {
      const Descriptor map(::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC));
      if (::write(map.get(), user.data(), user.size()) < 0) return "uid_map";
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mount /";
    const std::string options = "mode=1777,size=" + size;
    const int made =
        ::mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str());
    return made == 0 ? nullptr : "mount tmpfs";
  }};
}

// Nothing when the kernel, or the container's filter, refuses namespaces.
std::optional<Ended> run_with_shared_memory_of(const std::string& size, std::string* refusal) {
  const Scratch scratch;
  try {
    return run_program(scratch, {"run", "shm_*", "file_log", "--runs", "5", "--seed", "g1:1"},
                       with_small("/dev/shm", size));
  } catch (const std::system_error& error) {
    *refusal = error.what();
    return std::nullopt;
  }
}

TEST(Limits, SixtyFourMegabytesOfSharedMemoryAreEnough) {
  std::string refusal;
  const auto ended = run_with_shared_memory_of("64m", &refusal);
  if (!ended) GTEST_SKIP() << refusal;
  EXPECT_THAT(objection(*ended), IsEmpty());
}

TEST(Limits, AlmostNoSharedMemoryIsTold) {
  std::string refusal;
  const auto ended = run_with_shared_memory_of("1m", &refusal);
  if (!ended) GTEST_SKIP() << refusal;
  EXPECT_THAT(disorder(*ended), IsEmpty());
  EXPECT_THAT(ended->exit_code, AnyOf(0, 2)) << ended->all();
  EXPECT_THAT(ended->out, Not(HasSubstr("VIOLATION")));
  EXPECT_THAT(verdict_of(*ended, "file_log"), AnyOf("pass", "inconclusive"));
  // The first scenarios of shm_queue with these seeds want more than a megabyte.
  EXPECT_THAT(ended->out, HasSubstr("/dev/shm has "));
}

// The journals of separate programs are files of 2 MiB in TMPDIR. One scenario at a time: the
// journals of another would leave no room for the transport's own file, and that would be told.
TEST(Limits, AFullDiskIsUnsupportedAndNoCrash) {
  const Scratch scratch;
  std::optional<Ended> ended;
  try {
    ended = run_program(
        scratch,
        {"run", "fifo", "--runs", "3", "--seed", "g1:1", "--jobs", "1", "--launch", "exec"},
        with_small(scratch.path(), "1m"));
  } catch (const std::system_error& error) {
    GTEST_SKIP() << error.what();
  }
  EXPECT_EQ(ended->exit_code, 69) << ended->all();
  EXPECT_THAT(ended->problem, IsEmpty());
  EXPECT_EQ(verdict_of(*ended, "fifo"), "unsupported");
  EXPECT_THAT(ended->out, HasSubstr("no room for the workers' journals: "));
  EXPECT_THAT(ended->out, HasSubstr("No space left on device"));
}

}  // namespace
}  // namespace ipctorture
