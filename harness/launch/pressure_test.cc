#include "harness/launch/pressure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A made-up /proc and /sys/fs/cgroup.
class PressureTest : public ::testing::Test {
 protected:
  PressureTest() : root_(::testing::TempDir() + "pressureXXXXXX") {
    if (::mkdtemp(root_.data()) == nullptr) throw_system_error("mkdtemp", root_);
  }
  ~PressureTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void mount(const std::string& lines) const { write("/proc/self/mountinfo", lines); }
  void group(const std::string& lines) const { write("/proc/self/cgroup", lines); }

  std::string root_;
};

constexpr const char* mount_2 =
    "25 1 0:20 / /proc rw - proc proc rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* mount_1 =
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 /docker/1f /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

TEST_F(PressureTest, ReadsVersionTwo) {
  mount(mount_2);
  group("0::/a.slice/b\n");
  const std::string top = "/sys/fs/cgroup";
  write(top + "/a.slice/b/memory.events", "low 0\nhigh 1\nmax 9\noom 8\noom_kill 3\n");
  write(top + "/a.slice/memory.events", "oom_kill 50\n");
  write(top + "/a.slice/b/cpu.stat",
        "usage_usec 7\nnr_periods 5\nnr_throttled 2\nthrottled_usec 30\n");
  write(top + "/a.slice/cpu.stat", "nr_throttled 4\nthrottled_usec 500\n");
  write(top + "/cpu.stat", "usage_usec 99\n");
  write("/proc/vmstat", "nr_free_pages 1\noom_kill 60\n");
  const PressureCounts counts = PressureGauge(root_).read();
  EXPECT_EQ(counts.group_kills, 3u);
  EXPECT_EQ(counts.machine_kills, 60u);
  EXPECT_EQ(counts.throttled, 6u) << "a limit further up counts too";
  EXPECT_EQ(counts.throttled_ns, 530'000u);
}

TEST_F(PressureTest, ReadsVersionOne) {
  mount(mount_1);
  group("9:cpuset:/elsewhere\n4:memory:/docker/1f/worker\n1:cpu,cpuacct:/docker/1f\n0::/\n");
  write("/sys/fs/cgroup/memory/worker/memory.oom_control",
        "oom_kill_disable 7\nunder_oom 0\noom_kill 2\n");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.stat", "nr_throttled 3\nthrottled_time 9000\n");
  const PressureCounts counts = PressureGauge(root_).read();
  EXPECT_EQ(counts.group_kills, 2u);
  EXPECT_EQ(counts.machine_kills, 0u);
  EXPECT_EQ(counts.throttled, 3u);
  EXPECT_EQ(counts.throttled_ns, 9000u);
}

TEST_F(PressureTest, AGroupThatIsNotMountedIsSeenAtTheMountPoint) {
  mount(mount_1);
  group("4:memory:/another/2e\n");
  write("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill 5\n");
  EXPECT_EQ(PressureGauge(root_).read().group_kills, 5u);
}

TEST_F(PressureTest, NothingThereIsNoPressure) {
  const PressureCounts counts = PressureGauge(root_).read();
  EXPECT_EQ(counts.group_kills + counts.machine_kills + counts.throttled_ns, 0u);
  EXPECT_THAT(pressure_between(counts, counts, 1'000'000'000), IsEmpty());
}

TEST(PressureBetween, NamesTheNearestVictims) {
  const auto told = pressure_between({.group_kills = 1, .machine_kills = 7},
                                     {.group_kills = 3, .machine_kills = 10}, 1);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].fact, Fact::pressure);
  EXPECT_EQ(told[0].value, 2u);
  EXPECT_THAT(told[0].text,
              HasSubstr("out of memory: the kernel killed 2 process(es) of this control"));
  const auto elsewhere = pressure_between({.machine_kills = 7}, {.machine_kills = 8}, 1);
  ASSERT_EQ(elsewhere.size(), 1u);
  EXPECT_THAT(elsewhere[0].text, HasSubstr("1 process(es) of this machine"));
}

TEST(PressureBetween, ThrottlingIsTimeInWhichNothingRan) {
  const PressureCounts before{.throttled = 1, .throttled_ns = 1'000'000};
  const auto after = [&](std::uint64_t ns) {
    return pressure_between(before, {.throttled = 3, .throttled_ns = 1'000'000 + ns}, 50'000'000);
  };
  EXPECT_THAT(after(4'000'000), IsEmpty()) << "too short to matter";
  ASSERT_EQ(after(20'000'000).size(), 1u);
  EXPECT_EQ(after(20'000'000)[0].fact, Fact::machine_stalled);
  EXPECT_EQ(after(20'000'000)[0].value, 20'000'000u);
  EXPECT_EQ(after(20'000'000)[0].text, "the control group was throttled 2 time(s)");
  EXPECT_EQ(after(90'000'000)[0].value, 50'000'000u) << "two processors, but no more than passed";
}

}  // namespace
}  // namespace ipctorture
