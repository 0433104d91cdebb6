// The director before workers that do nothing but end: what it makes of each way to end.
#include "harness/launch/director.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

namespace ipctorture {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t records = 16;

// One producer and one consumer that are there and never say a word, until the first wait.
class SilentCrew final : public Crew {
 public:
  SilentCrew()
      : memory_(create_unnamed_memory("lanes", lanes * stride, Backing::sparse)),
        mapping_(memory_.get(), lanes * stride, "lanes") {
    for (unsigned i = 0; i < lanes; ++i) lane(i).reset(StampSource::monotonic, true, records);
  }
  void start(const CrewJob&) override {}
  Lane lane(unsigned lane) const override { return Lane(mapping_.data() + lane * stride); }
  std::uint64_t lane_records() const override { return records; }
  bool finished(unsigned worker) const override { return gone_ || killed_[worker]; }
  void kill(unsigned worker) override { killed_[worker] = true; }
  void signal(unsigned, int, pid_t) override {}
  bool delivered(unsigned) const override { return true; }
  std::vector<WorkerExit> collect_exits() override {
    if (!ending_ || gone_) return {};
    gone_ = true;
    return {*ending_};
  }
  void wait(Deadline) override {
    if (meanwhile) meanwhile();
    ending_ = ending;
  }
  Strays end_strays() override { return {}; }
  std::string output(unsigned worker) const override { return worker == 0 ? said : std::string(); }

  std::optional<WorkerExit> ending;
  std::function<void()> meanwhile;  // what happens before it
  std::string said;                 // by worker 0

 private:
  static constexpr unsigned lanes = 2;
  static constexpr std::size_t stride = lane_records_offset + 4096;
  Descriptor memory_;
  SharedMapping mapping_;
  std::optional<WorkerExit> ending_;
  bool gone_ = false;
  bool killed_[lanes] = {};
};

class DirectorTest : public ::testing::Test {
 protected:
  DirectorTest() : root_(::testing::TempDir() + "directorXXXXXX") {
    if (::mkdtemp(root_.data()) == nullptr) throw_system_error("mkdtemp", root_);
    std::filesystem::create_directory(root_ + "/proc");
    count_kills(5);
  }
  ~DirectorTest() override { std::filesystem::remove_all(root_); }

  // Of the whole machine, as the kernel counts them.
  void count_kills(int kills) const {
    std::ofstream(root_ + "/proc/vmstat") << "oom_kill " << kills << "\n";
  }

  std::vector<Evidence> lead() {
    Watch watch(StampProperties{}, PressureGauge(root_));
    watch.begin({crew_.lane(0), crew_.lane(1)}, records);
    const Scenario scenario;
    const Contract contract{.message_max = 64};
    Director(crew_, watch, scenario, contract, &interrupted_).lead([] {});
    return watch.take_evidence();
  }
  static std::vector<Evidence> of(const std::vector<Evidence>& evidence, Fact fact) {
    std::vector<Evidence> found;
    std::copy_if(evidence.begin(), evidence.end(), std::back_inserter(found),
                 [&](const Evidence& e) { return e.fact == fact; });
    return found;
  }

  std::string root_;
  SilentCrew crew_;
  std::atomic<bool> interrupted_{false};
};

TEST_F(DirectorTest, AWorkerThatCouldNotBeForkedIsSaidSo) {
  crew_.ending = {.worker = 1, .status = -1, .text = "fork: Resource temporarily unavailable"};
  const auto evidence = lead();
  const auto missing = of(evidence, Fact::not_started);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].lane, 1);
  EXPECT_EQ(missing[0].text, "fork: Resource temporarily unavailable");
  EXPECT_THAT(of(evidence, Fact::died), IsEmpty());
}

TEST_F(DirectorTest, AWorkerThatLeavesInTheMiddleHasDied) {
  crew_.ending = {.worker = 1, .status = 0};
  const auto dead = of(lead(), Fact::died);
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].value, 0u);
}

TEST_F(DirectorTest, AKillForWantOfMemoryIsTold) {
  crew_.ending = {.worker = 0, .status = SIGKILL};
  crew_.meanwhile = [this] { count_kills(6); };
  const auto evidence = lead();
  EXPECT_EQ(of(evidence, Fact::died).size(), 1u);
  const auto pressure = of(evidence, Fact::pressure);
  ASSERT_EQ(pressure.size(), 1u);
  EXPECT_THAT(pressure[0].text, HasSubstr("out of memory: the kernel killed 1 process(es)"));
}

TEST_F(DirectorTest, NoMemoryWasShortWhenAStrangerKills) {
  crew_.ending = {.worker = 0, .status = SIGKILL};
  const auto evidence = lead();
  EXPECT_EQ(of(evidence, Fact::died).size(), 1u);
  EXPECT_THAT(of(evidence, Fact::pressure), IsEmpty());
}

TEST_F(DirectorTest, AReportIsFoundInTheOutputOfTheDead) {
  crew_.ending = {.worker = 0, .status = 1 << 8};
  crew_.said = "hello\n==9==ERROR: AddressSanitizer: stack-overflow on address 0x1\n";
  const auto evidence = lead();
  const auto reports = of(evidence, Fact::sanitizer);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].lane, 0);
  EXPECT_EQ(reports[0].text, "==9==ERROR: AddressSanitizer: stack-overflow on address 0x1\n");
  ASSERT_EQ(of(evidence, Fact::died).size(), 1u);
  EXPECT_EQ(of(evidence, Fact::died)[0].text, crew_.said);
}

TEST_F(DirectorTest, AReportIsFoundInTheOutputOfTheLivingToo) {
  interrupted_ = true;
  crew_.said = "ring.cc:1:2: runtime error: division by zero\n";
  EXPECT_EQ(of(lead(), Fact::sanitizer).size(), 1u);
}

}  // namespace
}  // namespace ipctorture
