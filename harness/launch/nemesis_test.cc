// Each class of faults, seen in the history of a real scenario; and before workers that exist on
// paper only, who is spared.
#include "harness/launch/nemesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Contract survivor{.ordering = Ordering::total,
                            .late_consumer = LateConsumer::backlog,
                            .late_producer = true,
                            .message_max = 64,
                            .producers_max = 8,
                            .consumers_max = 8,
                            .lives_max = 255,
                            .attach = AttachBy::inherited,
                            .survives_producer_death = true,
                            .survives_consumer_death = true,
                            .rejoins = true,
                            .lost_per_death_max = 1};

constexpr std::uint32_t capacity_of_the_unlimited = 63;

// A SOCK_SEQPACKET pair, which survives whoever dies: its ends belong to all.
class Pair final : public Transport {
 public:
  Pair(const Options& options, std::vector<Descriptor> handles)
      : capacity_(options.capacity), producers_(options.producers), handles_(std::move(handles)) {}
  void create() override {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      throw_system_error("socketpair", "pair");
    }
    handles_.emplace_back(pair[0]);
    handles_.emplace_back(pair[1]);
  }
  std::vector<Descriptor> take_handles() override { return std::move(handles_); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline) override {
    if (role == Role::producer && index >= producers_) {
      throw_system_error("attach", "not one of those that were announced", EINVAL);
    }
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (capacity_ == capacity_of_the_unlimited && limit.rlim_cur < 256) {
      throw_system_error("getrlimit", "a low limit is left", EINVAL);
    }
    return std::make_unique<End>(std::move(handles_[role == Role::producer ? 0 : 1]));
  }
  void destroy() noexcept override {}

 private:
  class End final : public Endpoint {
   public:
    explicit End(Descriptor fd) : fd_(std::move(fd)) {}
    IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
      while (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) return IoResult::failed(errno);
      }
      return IoResult::sent();
    }
    IoResult receive(std::span<std::byte> buffer, Deadline) override {
      for (;;) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got > 0) return IoResult::received(static_cast<std::size_t>(got));
        if (got == 0 || errno != EINTR) return IoResult::failed(errno);
      }
    }
    IoResult close(Deadline) override { return IoResult::sent(); }

   private:
    Descriptor fd_;
  };
  const std::uint32_t capacity_, producers_;
  std::vector<Descriptor> handles_;
};

class Injected : public ::testing::Test {
 protected:
  Injected() : directory_(::testing::TempDir() + "nemesisXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
    scenario_.set_transport("nemesis_pair");
    // Long enough for every fault to find its moment, however late the supervisor looks.
    scenario_.messages = 1000;
    scenario_.burst = 1, scenario_.burst_pause_us = 1000;
  }
  ~Injected() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  Engine::Run run() {
    EXPECT_THAT(scenario_faults(scenario_, survivor), IsEmpty());
    return engine_->run(scenario_, *find_registration(scenario_.transport_name()));
  }
  static std::vector<Evidence> of(const Engine::Run& run, Fact fact) {
    std::vector<Evidence> found;
    std::copy_if(run.history.evidence.begin(), run.history.evidence.end(),
                 std::back_inserter(found), [&](const Evidence& e) { return e.fact == fact; });
    return found;
  }
  static std::vector<int> lanes_of(const std::vector<Evidence>& evidence) {
    std::vector<int> lanes;
    for (const Evidence& e : evidence) lanes.push_back(e.lane);
    std::sort(lanes.begin(), lanes.end());
    return lanes;
  }
  // It was carried through to the end by those who lived on.
  static void expect_carried_through(const Engine::Run& run) {
    for (const Fact fact : {Fact::died, Fact::deadlocked, Fact::no_progress, Fact::truncated}) {
      EXPECT_THAT(of(run, fact), IsEmpty()) << to_string(fact);
    }
    EXPECT_THAT(history_faults(run.history), IsEmpty());
  }

  Scenario scenario_;
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(Injected, EachKilledProducerHasASuccessor) {
  for (const bool fresh : {true, false}) {
    scenario_.fresh_workers = fresh;
    scenario_.producers = 4, scenario_.late_producers = 3;
    scenario_.faults.producer_kills = 3;
    const Engine::Run result = run();
    expect_carried_through(result);
    EXPECT_THAT(lanes_of(of(result, Fact::killed)), ElementsAre(0, 1, 2));
    const auto& last = result.history.lanes[3].records;
    ASSERT_FALSE(last.empty()) << "the last successor came";
    EXPECT_EQ(last.back().op(), Op::close);
  }
}

TEST_F(Injected, ConsumersAreKilledToo) {
  scenario_.consumers = 3, scenario_.late_consumers = 1;
  scenario_.faults.consumer_kills = 2;
  const Engine::Run result = run();
  expect_carried_through(result);
  EXPECT_EQ(of(result, Fact::killed).size(), 2u);
}

TEST_F(Injected, HundredsSucceedEachOther) {
  scenario_.messages = 5, scenario_.burst = 0, scenario_.burst_pause_us = 0;
  scenario_.producers = 200, scenario_.late_producers = 199;
  scenario_.faults.producer_kills = 199;
  const Engine::Run result = run();
  expect_carried_through(result);
  EXPECT_EQ(of(result, Fact::killed).size(), 199u);
  ASSERT_EQ(result.history.lanes.size(), 201u);
  EXPECT_EQ(result.history.lanes[199].records.back().op(), Op::close);
  // The lanes of the next one lie elsewhere, and are new.
  scenario_.producers = 2, scenario_.late_producers = 0, scenario_.faults = {};
  expect_carried_through(run());
}

TEST_F(Injected, ASuccessorMayHaveTheIndexOfTheDead) {
  scenario_.producers = 5, scenario_.late_producers = 3;
  scenario_.faults.producer_kills = 4;
  scenario_.faults.same_identity = true;
  const Engine::Run result = run();
  EXPECT_EQ(result.options.producers, 2u);
  expect_carried_through(result);
  EXPECT_EQ(of(result, Fact::killed).size(), 4u);
  EXPECT_EQ(result.history.lanes[4].records.front().result(), Outcome::ok) << "the last came";
}

TEST_F(Injected, AKilledWorkersLastOperationIsUnknown) {
  scenario_.producers = 8;
  scenario_.faults.producer_kills = 7;
  const Engine::Run result = run();
  for (const Evidence& e : of(result, Fact::killed)) {
    const auto& records = result.history.lanes[static_cast<std::size_t>(e.lane)].records;
    ASSERT_FALSE(records.empty());
    EXPECT_NE(records.back().op(), Op::close);
    EXPECT_GE(e.to, e.from);
    EXPECT_TRUE(!records.back().open() || records.back().result() == Outcome::unknown);
  }
}

TEST_F(Injected, StoppedWorkersGoOn) {
  scenario_.faults.pauses = 2, scenario_.faults.pause_us = 5000;
  for (const bool fresh : {true, false}) {
    scenario_.fresh_workers = fresh;
    const Engine::Run result = run();
    expect_carried_through(result);
    const auto pauses = of(result, Fact::paused);
    ASSERT_FALSE(pauses.empty());
    for (const Evidence& e : pauses) EXPECT_GE(result.history.ns(e.to - e.from), 5'000'000);
    EXPECT_THAT(of(result, Fact::killed), IsEmpty());
    EXPECT_EQ(result.traffic.received, result.traffic.accepted);
  }
}

// One that outlasts the time after which workers that stand still are in a deadlock, and the one in
// which something must be completed.
TEST_F(Injected, AStopIsNoStandstill) {
  scenario_.set_transport("nemesis_quick");
  scenario_.faults.pauses = 1, scenario_.faults.pause_us = 1'200'000;
  const Engine::Run result = run();
  expect_carried_through(result);
  EXPECT_EQ(of(result, Fact::paused).size(), 1u);
  EXPECT_THAT(of(result, Fact::killed), IsEmpty());
}

TEST_F(Injected, AStormInterruptsAndNobodyDies) {
  scenario_.burst = 1, scenario_.burst_pause_us = 200;
  scenario_.threads = 2, scenario_.producers = 2;
  scenario_.faults.signals = 100, scenario_.faults.signal_gap_us = 100;
  const Engine::Run result = run();
  expect_carried_through(result);
  std::uint64_t signals = 0;
  for (const Evidence& e : of(result, Fact::signalled)) signals += e.value;
  EXPECT_GT(signals, 0u);
  EXPECT_LE(signals, 100u);
  EXPECT_EQ(result.traffic.received, result.traffic.accepted);
}

TEST_F(Injected, LowLimitsHoldInEachWorkerAndInNoOther) {
  scenario_.fresh_workers = false;
  scenario_.faults.spare_descriptors = spare_descriptors_least(scenario_);
  scenario_.faults.spare_signals = 1024;
  const Engine::Run result = run();
  expect_carried_through(result);
  const auto limited = of(result, Fact::limited);
  EXPECT_THAT(lanes_of(limited), ElementsAre(0, 1));
  for (const Evidence& e : limited) {
    EXPECT_GT(e.value, scenario_.faults.spare_descriptors);
    EXPECT_LT(e.value, scenario_.faults.spare_descriptors + 200);
  }
  scenario_.faults = {};
  scenario_.capacity = capacity_of_the_unlimited;
  const Engine::Run next = run();
  EXPECT_THAT(of(next, Fact::limited), IsEmpty());
  EXPECT_THAT(of(next, Fact::worker_failed), IsEmpty());
}

// --- on paper

// Lanes that are at it, and signals that are written down.
class PaperCrew final : public Crew {
 public:
  explicit PaperCrew(unsigned lanes)
      : memory_(create_unnamed_memory("lanes", lanes * stride, Backing::sparse)),
        mapping_(memory_.get(), lanes * stride, "lanes") {
    for (unsigned i = 0; i < lanes; ++i) {
      lane(i).reset(StampSource::monotonic, true, 16);
      be(i, LaneState::running);
    }
  }
  void be(unsigned number, LaneState state) const {
    lane(number).header().state.store(static_cast<std::uint32_t>(state));
  }
  void start(const CrewJob&) override {}
  Lane lane(unsigned lane) const override { return Lane(mapping_.data() + lane * stride); }
  std::uint64_t lane_records() const override { return 16; }
  bool finished(unsigned) const override { return false; }
  void kill(unsigned worker) override { killed.push_back(worker); }
  void signal(unsigned, int signal, pid_t) override { signals.push_back(signal); }
  bool delivered(unsigned) const override { return answered; }
  std::vector<WorkerExit> collect_exits() override { return {}; }
  void wait(Deadline) override {}
  Strays end_strays() override { return {}; }
  std::string output(unsigned) const override { return {}; }

  std::vector<unsigned> killed;
  std::vector<int> signals;
  bool answered = true;

 private:
  static constexpr std::size_t stride = lane_records_offset + 4096;
  Descriptor memory_;
  SharedMapping mapping_;
};

class OnPaper : public ::testing::Test {
 protected:
  OnPaper() {
    scenario_.producers = 2;
    for (unsigned i = 0; i < 3; ++i) lanes_.push_back(crew_.lane(i));
    watch_.begin(lanes_, 16);
  }
  // Long after everything is due.
  void act_twice(Nemesis& nemesis) {
    nemesis.begin();
    nemesis.finish();
    for (const std::int64_t later : {0, 1'000'000'000}) nemesis.act(monotonic_now() + later);
  }
  std::vector<LanePlan> plans() const {
    std::vector<LanePlan> plans;
    for (unsigned i = 0; i < 3; ++i) plans.push_back(plan_lane(scenario_, i));
    return plans;
  }

  PaperCrew crew_{3};
  std::vector<Lane> lanes_;
  Watch watch_{StampProperties{}};
  Scenario scenario_;
};

TEST_F(OnPaper, TheLastOfARoleIsSpared) {
  scenario_.faults.producer_kills = 1;
  crew_.be(1, LaneState::closing);
  const auto all = plans();
  Nemesis nemesis(crew_, watch_, scenario_, all);
  act_twice(nemesis);
  EXPECT_THAT(crew_.killed, IsEmpty());
  EXPECT_TRUE(nemesis.finish()) << "nobody is left to be killed";
}

TEST_F(OnPaper, TheLastIsKilledWhenASuccessorWaits) {
  scenario_.faults.producer_kills = 1;
  scenario_.late_producers = 1;
  crew_.be(1, LaneState::idle);
  const auto all = plans();
  Nemesis nemesis(crew_, watch_, scenario_, all);
  act_twice(nemesis);
  EXPECT_THAT(crew_.killed, ElementsAre(0));
  EXPECT_FALSE(nemesis.finish()) << "it is on its way to die";
  EXPECT_FALSE(nemesis.claims({.worker = 2, .status = SIGKILL})) << "that one was not ours";
  EXPECT_TRUE(nemesis.claims({.worker = 0, .status = SIGKILL}));
  EXPECT_EQ(nemesis.deaths(), 1u);
  const auto evidence = watch_.take_evidence();
  ASSERT_EQ(evidence.size(), 1u);
  EXPECT_EQ(evidence[0].fact, Fact::killed);
  EXPECT_EQ(evidence[0].lane, 0);
}

TEST_F(OnPaper, AVictimThatCrashedFirstHasCrashed) {
  scenario_.faults.producer_kills = 1;
  const auto all = plans();
  Nemesis nemesis(crew_, watch_, scenario_, all);
  act_twice(nemesis);
  ASSERT_EQ(crew_.killed.size(), 1u);
  EXPECT_FALSE(nemesis.claims({.worker = crew_.killed[0], .status = SIGSEGV}));
  EXPECT_EQ(nemesis.deaths(), 0u);
}

TEST_F(OnPaper, APauseLastsUntilTheSignalWasSentOn) {
  scenario_.faults.pauses = 1, scenario_.faults.pause_us = 1;
  const auto all = plans();
  Nemesis nemesis(crew_, watch_, scenario_, all);
  crew_.answered = false;
  act_twice(nemesis);
  EXPECT_THAT(crew_.signals, ElementsAre(SIGSTOP, SIGCONT));
  EXPECT_TRUE(nemesis.holds());
  crew_.answered = true;
  nemesis.act(monotonic_now());
  EXPECT_FALSE(nemesis.holds());
}

TEST_F(OnPaper, NobodyStaysBehindStopped) {
  scenario_.faults.pauses = 1, scenario_.faults.pause_us = 10'000'000;
  const auto all = plans();
  {
    Nemesis nemesis(crew_, watch_, scenario_, all);
    nemesis.begin();
    nemesis.finish();
    nemesis.act(monotonic_now());
    EXPECT_TRUE(nemesis.holds());
    EXPECT_THAT(crew_.signals, ElementsAre(SIGSTOP));
  }
  EXPECT_THAT(crew_.signals, ElementsAre(SIGSTOP, SIGCONT));
  EXPECT_EQ(watch_.take_evidence().at(0).fact, Fact::paused);
}

constexpr Contract quick() {
  Contract contract = survivor;
  contract.progress_bound_ms = 500;
  return contract;
}
const Registered registered_quick{{.name = "nemesis_quick",
                                   .summary = "for this test",
                                   .contract = quick(),
                                   .make = make_transport<Pair>,
                                   .kind = Kind::canary}};
const Registered registered{{.name = "nemesis_pair",
                             .summary = "for this test",
                             .contract = survivor,
                             .make = make_transport<Pair>,
                             .kind = Kind::canary}};

}  // namespace
}  // namespace ipctorture
