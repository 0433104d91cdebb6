#include "harness/launch/run_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "harness/launch/active.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

// Removing a file outside the run's directory stands for mq_unlink, shmctl(IPC_RMID) and the like.
std::string mark_of(const Options& options) { return "/tmp/ipctorture-mark-" + options.name; }

class Marked : public Transport {
 public:
  Marked(const Options& options, std::vector<Descriptor>) : mark_(mark_of(options)) {}
  void create() override { std::ofstream(mark_) << "x"; }
  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override { return nullptr; }
  void destroy() noexcept override { ::unlink(mark_.c_str()); }

 private:
  std::string mark_;
};

const Registered marked{{.name = "test_marked",
                         .summary = "leaves a file outside the run's directory",
                         .contract = {.message_max = 64},
                         .make = make_transport<Marked>,
                         .kind = Kind::canary}};

class RunDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<char, 32> path{"/tmp/ictrd-XXXXXX"};
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    base_ = path.data();
  }
  void TearDown() override { fs::remove_all(base_); }
  std::string parent() const { return base_ + "/ipctorture-" + std::to_string(::geteuid()); }

  // A process that holds a run until it is killed; `during` works in the run's directory. Returns
  // once the run is there, with its path.
  template <typename During>
  pid_t start_run(std::string* path, During during) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const RunDirectory run(base_);
      during(run);
      if (::write(pipe[1], run.path().data(), run.path().size()) < 0) ::_exit(1);
      ::close(pipe[1]);
      for (;;) ::pause();
    }
    ::close(pipe[1]);
    std::array<char, 256> text{};
    *path = std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(
                                         0, ::read(pipe[0], text.data(), text.size()))));
    ::close(pipe[0]);
    return pid;
  }
  static void kill_and_wait(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  std::string base_;
};

TEST_F(RunDirectoryTest, IsPrivateAndGoesWithItsOwner) {
  std::string path;
  {
    const RunDirectory run(base_);
    path = run.path();
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    EXPECT_EQ(fs::status(run.parent()).permissions(), fs::perms::owner_all);
    EXPECT_LE(path.size(), run_path_max);
    std::ofstream(path + "/something") << "x";
    fs::create_directories(path + "/a/b/c");
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RunDirectoryTest, TwoRunsNeverMeet) {
  const RunDirectory a(base_), b(base_);
  EXPECT_NE(a.path(), b.path());
}

TEST_F(RunDirectoryTest, ForkedCopyRemovesNothing) {
  const RunDirectory run(base_);
  const pid_t pid = ::fork();
  if (pid == 0) {
    run.~RunDirectory();
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
  EXPECT_TRUE(fs::exists(run.path() + "/lock"));
}

TEST_F(RunDirectoryTest, RefusesAParentThatOthersMayWrite) {
  fs::create_directory(parent());
  fs::permissions(parent(), fs::perms::all);
  EXPECT_THROW(RunDirectory run(base_), std::runtime_error);
  EXPECT_THAT(clean_dead_runs(base_, nullptr).problems, testing::ElementsAre(HasSubstr("chmod")));
}

TEST_F(RunDirectoryTest, RefusesAParentThatIsALink) {
  fs::create_directory(base_ + "/elsewhere");
  fs::permissions(base_ + "/elsewhere", fs::perms::owner_all);
  fs::create_directory_symlink(base_ + "/elsewhere", parent());
  EXPECT_THROW(RunDirectory run(base_), std::system_error);
}

TEST_F(RunDirectoryTest, RefusesABaseThatIsTooLong) {
  const std::string base = base_ + "/" + std::string(40, 'x');
  fs::create_directory(base);
  EXPECT_THROW(RunDirectory run(base), std::runtime_error);
}

TEST_F(RunDirectoryTest, CleaningLeavesTheLivingAlone) {
  std::string path;
  const pid_t pid = start_run(&path, [](const RunDirectory&) {});
  const CleanReport report = clean_dead_runs(base_, nullptr);
  EXPECT_EQ(report.runs_alive, 1u);
  EXPECT_EQ(report.runs_removed, 0u);
  EXPECT_TRUE(fs::exists(path));
  kill_and_wait(pid);
}

TEST_F(RunDirectoryTest, CleaningLeavesOwnRunAlone) {
  const RunDirectory run(base_);
  EXPECT_EQ(clean_dead_runs(base_, &run).runs_removed, 0u);
  EXPECT_TRUE(fs::exists(run.path() + "/lock"));
  // Its lock must still be held: another process cleans and must find it alive.
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(clean_dead_runs(base_, nullptr).runs_alive == 1 ? 0 : 1);
  int status = -1;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(RunDirectoryTest, KilledRunIsDestroyedAndRemoved) {
  std::string path;
  std::string mark;
  const pid_t pid = start_run(&path, [](const RunDirectory& run) {
    static ActiveFile active(run.path() + "/engine-0.active");  // outlives the lambda
    const Options options{.name = run.name() + "-a", .directory = run.path() + "/s1"};
    fs::create_directory(options.directory);
    active.set(1, "test_marked", options);
    Marked(options, {}).create();
  });
  mark = mark_of({.name = fs::path(path).filename().string() + "-a"});
  ASSERT_TRUE(fs::exists(mark));
  kill_and_wait(pid);
  const CleanReport report = clean_dead_runs(base_, nullptr);
  EXPECT_EQ(report.transports_destroyed, 1u);
  EXPECT_EQ(report.runs_removed, 1u);
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_FALSE(fs::exists(mark));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RunDirectoryTest, UnknownTransportIsLeftAndNamed) {
  std::string path;
  const pid_t pid = start_run(&path, [](const RunDirectory& run) {
    static ActiveFile active(run.path() + "/engine-0.active");
    active.set(0, "not_in_this_program", {.name = "x", .directory = run.path() + "/s1"});
  });
  kill_and_wait(pid);
  const CleanReport report = clean_dead_runs(base_, nullptr);
  EXPECT_THAT(report.problems, testing::ElementsAre(HasSubstr("not_in_this_program")));
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(RunDirectoryTest, RecordThatPointsElsewhereIsNotFollowed) {
  std::string path;
  const std::string mark = mark_of({.name = "elsewhere"});
  std::ofstream(mark) << "x";
  const pid_t pid = start_run(&path, [&](const RunDirectory& run) {
    static ActiveFile active(run.path() + "/engine-0.active");
    active.set(0, "test_marked", {.name = "elsewhere", .directory = base_ + "/other"});
  });
  kill_and_wait(pid);
  EXPECT_EQ(clean_dead_runs(base_, nullptr).transports_destroyed, 0u);
  EXPECT_TRUE(fs::exists(mark));
  EXPECT_FALSE(fs::exists(path));
  fs::remove(mark);
}

TEST_F(RunDirectoryTest, LinksAreRemovedAndNotFollowed) {
  std::string path;
  const std::string outside = base_ + "/precious";
  fs::create_directory(outside);
  std::ofstream(outside + "/file") << "x";
  const pid_t pid = start_run(&path, [&](const RunDirectory& run) {
    fs::create_directory_symlink(outside, run.path() + "/link");
    fs::create_directories(run.path() + "/deep/er");
    fs::create_symlink(outside + "/file", run.path() + "/deep/er/link");
  });
  kill_and_wait(pid);
  EXPECT_EQ(clean_dead_runs(base_, nullptr).runs_removed, 1u);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(outside + "/file"));
}

TEST_F(RunDirectoryTest, RunWithoutALockIsDead) {
  std::string path;
  const pid_t pid = start_run(&path, [](const RunDirectory&) {});
  kill_and_wait(pid);
  fs::remove(path + "/lock");
  EXPECT_EQ(clean_dead_runs(base_, nullptr).runs_removed, 1u);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RunDirectoryTest, NothingToCleanIsNoError) {
  const CleanReport report = clean_dead_runs(base_, nullptr);
  EXPECT_EQ(report.runs_removed, 0u);
  EXPECT_THAT(report.problems, IsEmpty());
}

// Cleanings and beginnings at the same time: a run that exists keeps its lock and its directory.
TEST_F(RunDirectoryTest, CleaningRacesWithCreation) {
  const pid_t cleaner = ::fork();
  if (cleaner == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) clean_dead_runs(base_, nullptr);
  }
  for (int i = 0; i < 300; ++i) {
    const RunDirectory run(base_);
    ASSERT_TRUE(fs::exists(run.path() + "/lock"));
    std::ofstream(run.path() + "/file") << "x";
    ASSERT_TRUE(fs::exists(run.path() + "/file"));
  }
  kill_and_wait(cleaner);
}

TEST(RunBaseDirectory, FallsBackWhereTheEnvironmentIsUnusable) {
  const char* old_runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string runtime = old_runtime == nullptr ? "" : old_runtime;
  ::setenv("XDG_RUNTIME_DIR", "/no/such/directory", 1);
  ::setenv("TMPDIR", "relative", 1);
  EXPECT_EQ(run_base_directory(), "/tmp");
  ::unsetenv("TMPDIR");
  ::unsetenv("XDG_RUNTIME_DIR");
  if (old_runtime != nullptr) ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
}

}  // namespace
}  // namespace ipctorture
