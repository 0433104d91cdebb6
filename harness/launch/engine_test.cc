// The free engine over toy transports: traffic comes home, and what hangs, dies, fails or leaks is
// said, with the evidence that the oracles need.
#include "harness/launch/engine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace ipctorture {
namespace {

enum class Flaw {
  none,
  deadlock,
  crash,
  leak_descriptor,
  leak_mapping,
  leak_process,
  leak_file,
  leak_in_creator,
  complain,
  attach_throws,
  unpinned,
  create_full,
  create_hangs,
};

// The only processor of the engine of one test.
int processor_left = -1;

// What the creator of one test keeps.
int held = -1;

// What lets a hanging create() go on: an eventfd of the one test that has such.
std::atomic<int> gate{-1};

// A SOCK_SEQPACKET pair: the smallest transport there is.
template <Flaw flaw>
class Toy final : public Transport {
 public:
  Toy(const Options& options, std::vector<Descriptor> handles)
      : options_(options), handles_(std::move(handles)) {}

  void create() override {
    if (flaw == Flaw::create_hangs) {
      std::uint64_t value;
      (void)!::read(gate, &value, sizeof value);
    }
    if (flaw == Flaw::create_full) throw_system_error("shm_open", "toy", ENOSPC);
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      throw_system_error("socketpair", "toy");
    }
    handles_.emplace_back(pair[0]);
    handles_.emplace_back(pair[1]);
    if (flaw == Flaw::leak_in_creator) hold_a_file();
    if (flaw == Flaw::leak_file) std::ofstream(options_.directory + "/forgotten") << "x";
  }
  std::vector<Descriptor> take_handles() override { return std::move(handles_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    if (flaw == Flaw::attach_throws && role == Role::consumer) {
      throw_system_error("connect", "toy", ECONNREFUSED);
    }
    if (flaw == Flaw::unpinned) expect_pinned();
    auto own = std::move(handles_[role == Role::producer ? 0 : 1]);
    handles_.clear();
    return std::make_unique<End>(std::move(own));
  }
  void destroy() noexcept override {
    // Only the test's own leftovers are removed here, so that the leak stays visible to the engine.
  }

 private:
  // Removes the name, keeps the descriptor.
  void hold_a_file() {
    const std::string path = options_.directory + "/held";
    held = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ::unlink(path.c_str());
  }

  // The worker runs on one processor of those that the test left to the engine.
  static void expect_pinned() {
    cpu_set_t given;
    CPU_ZERO(&given);
    ::sched_getaffinity(0, sizeof given, &given);
    if (CPU_COUNT(&given) != 1 || !CPU_ISSET(processor_left, &given)) {
      throw_system_error("sched_getaffinity", "not pinned", EINVAL);
    }
  }

  class End final : public Endpoint {
   public:
    explicit End(Descriptor fd) : fd_(std::move(fd)) {}
    IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
      return settle(::send(fd_.get(), message.data(), message.size(), flags(deadline)), deadline);
    }
    IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
      if (++received_ == 3 && flaw == Flaw::deadlock) {
        const Descriptor never(::eventfd(0, EFD_CLOEXEC));
        std::uint64_t value;
        (void)!::read(never.get(), &value, sizeof value);
      }
      if (received_ == 3 && flaw == Flaw::crash) std::abort();
      return settle(::recv(fd_.get(), buffer.data(), buffer.size(), flags(deadline)), deadline);
    }
    IoResult close(Deadline) override {
      if (flaw == Flaw::leak_descriptor) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
      fd_.reset();
      if (flaw == Flaw::leak_mapping) {
        (void)!::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        (void)!::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      }
      if (flaw == Flaw::leak_process && ::fork() == 0) {
        ::alarm(60);  // whatever becomes of the test
        for (;;) ::pause();
      }
      if (flaw == Flaw::complain) {
        constexpr std::string_view words = "toy.cc:1:2: runtime error: division by zero\n";
        (void)!::write(2, words.data(), words.size());
      }
      return IoResult::sent();
    }

   private:
    static int flags(Deadline deadline) {
      return MSG_NOSIGNAL | (deadline.is_now() ? MSG_DONTWAIT : 0);
    }
    static IoResult settle(ssize_t bytes, Deadline) {
      if (bytes > 0) return IoResult::received(static_cast<std::size_t>(bytes));
      if (bytes == 0) return IoResult::of(Outcome::closed);
      return errno == EAGAIN ? IoResult::of(Outcome::empty) : IoResult::failed(errno);
    }
    Descriptor fd_;
    int received_ = 0;
  };

  Options options_;
  std::vector<Descriptor> handles_;
};

constexpr Contract contract{.ordering = Ordering::total,
                            .reports_closed = true,
                            .message_max = 4096,
                            .attach = AttachBy::inherited,
                            .deadline_at = false,
                            .progress_bound_ms = 300};

const Registered toy{{"toy", "", contract, make_transport<Toy<Flaw::none>>}};
const Registered hangs{{"toy_deadlock", "", contract, make_transport<Toy<Flaw::deadlock>>}};
const Registered dies{{"toy_crash", "", contract, make_transport<Toy<Flaw::crash>>}};
const Registered leaks{{"toy_leak_fd", "", contract, make_transport<Toy<Flaw::leak_descriptor>>}};
const Registered maps{{"toy_leak_map", "", contract, make_transport<Toy<Flaw::leak_mapping>>}};
const Registered forks{{"toy_leak_child", "", contract, make_transport<Toy<Flaw::leak_process>>}};
const Registered holds{{"toy_holds", "", contract, make_transport<Toy<Flaw::leak_in_creator>>}};
const Registered moans{{"toy_moans", "", contract, make_transport<Toy<Flaw::complain>>}};
const Registered litters{{"toy_leak_file", "", contract, make_transport<Toy<Flaw::leak_file>>}};
const Registered refuses{{"toy_attach", "", contract, make_transport<Toy<Flaw::attach_throws>>}};
const Registered pinned{{"toy_pinned", "", contract, make_transport<Toy<Flaw::unpinned>>}};
const Registered full{{"toy_full", "", contract, make_transport<Toy<Flaw::create_full>>}};

const Registered sticks{{"toy_stuck", "", contract, make_transport<Toy<Flaw::create_hangs>>}};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    std::string path = ::testing::TempDir() + "engineXXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_system_error("mkdtemp", path);
    directory_ = path;
    options_.run_directory = path;
    options_.interrupted = &interrupted_;
  }
  ~EngineTest() override {
    engine_.reset();
    (void)::rmdir(directory_.c_str());
    EXPECT_NE(::access(directory_.c_str(), F_OK), 0) << "the engine left something behind";
  }

  Engine::Run run(const char* name, Scenario scenario = {}) {
    if (engine_ == nullptr) engine_ = std::make_unique<Engine>(options_);
    scenario.set_transport(name);
    return engine_->run(scenario, *find_registration(name));
  }
  static std::vector<Evidence> facts(const Engine::Run& run, Fact fact) {
    std::vector<Evidence> found;
    std::copy_if(run.history.evidence.begin(), run.history.evidence.end(),
                 std::back_inserter(found), [&](const Evidence& e) { return e.fact == fact; });
    return found;
  }

  std::string directory_;
  EngineOptions options_;
  std::atomic<bool> interrupted_{false};
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, BringsHomeEveryOperationOfFreshAndPooledWorkers) {
  for (const bool fresh : {true, false, false, true}) {
    Scenario scenario;
    scenario.fresh_workers = fresh;
    scenario.messages = 100;
    const Engine::Run result = run("toy", scenario);
    EXPECT_EQ(result.traffic.accepted, 100u);
    EXPECT_EQ(result.traffic.received, 100u);
    ASSERT_EQ(result.history.lanes.size(), 2u);
    const auto count = [&](unsigned lane, Op op, Outcome outcome) {
      const auto& records = result.history.lanes[lane].records;
      return std::count_if(records.begin(), records.end(),
                           [&](const Record& r) { return r.op() == op && r.result() == outcome; });
    };
    EXPECT_EQ(count(0, Op::send, Outcome::ok), 100);
    EXPECT_EQ(count(1, Op::receive, Outcome::ok), 100);
    EXPECT_EQ(count(1, Op::receive, Outcome::closed), 1);
    EXPECT_EQ(count(0, Op::close, Outcome::ok), 1);
    EXPECT_TRUE(facts(result, Fact::killed).empty());
    EXPECT_TRUE(facts(result, Fact::died).empty());
  }
}

TEST_F(EngineTest, ReportsADeadlockWithWhereItHangs) {
  const Engine::Run result = run("toy_deadlock");
  EXPECT_EQ(facts(result, Fact::deadlocked).size(), 1u);
  const auto hangs_in = facts(result, Fact::waiting_in);
  ASSERT_EQ(hangs_in.size(), 1u);
  EXPECT_EQ(hangs_in[0].lane, 1);
  EXPECT_THAT(hangs_in[0].text,
              ::testing::AnyOf(::testing::HasSubstr("read"), ::testing::HasSubstr("syscall")));
  // The operation that was cut is in the history, open.
  EXPECT_TRUE(result.history.lanes[1].records.back().open());
  EXPECT_EQ(facts(result, Fact::killed).size(), 1u);
  // And the engine works on.
  EXPECT_EQ(run("toy").traffic.received, 10u);
}

TEST_F(EngineTest, ReportsADeathWithItsSignal) {
  for (const bool fresh : {true, false}) {
    Scenario scenario;
    scenario.fresh_workers = fresh;
    const auto deaths = facts(run("toy_crash", scenario), Fact::died);
    ASSERT_EQ(deaths.size(), 1u);
    EXPECT_EQ(deaths[0].lane, 1);
    EXPECT_EQ(WTERMSIG(static_cast<int>(deaths[0].value)), SIGABRT);
  }
}

// As a terminal or timeout(1) does it, before the zygote could run at all.
TEST_F(EngineTest, ASignalToTheWholeGroupAtTheStartEndsNoZygote) {
  for (int round = 0; round < 40; ++round) {
    engine_ = std::make_unique<Engine>(options_);
    std::ifstream children("/proc/thread-self/children");
    if (!children) GTEST_SKIP() << "the kernel does not list children";
    pid_t zygote = 0;
    ASSERT_TRUE(children >> zygote);
    ::kill(zygote, SIGTERM);
    ASSERT_EQ(run("toy").traffic.received, 10u);
    engine_.reset();
  }
}

TEST_F(EngineTest, CountsDescriptorsThatAWorkerLost) {
  Scenario scenario;
  scenario.count_resources = true;
  for (const bool fresh : {true, false}) {
    scenario.fresh_workers = fresh;
    EXPECT_TRUE(facts(run("toy", scenario), Fact::leaked).empty());
    const auto lost = facts(run("toy_leak_fd", scenario), Fact::leaked);
    ASSERT_EQ(lost.size(), 2u);
    EXPECT_EQ(lost[0].text, "descriptors");
    EXPECT_EQ(lost[0].value, 1u);
  }
}

TEST_F(EngineTest, CountsSharedMappingsThatAWorkerLost) {
  Scenario scenario;
  scenario.count_resources = true;
  for (const bool fresh : {true, false}) {
    scenario.fresh_workers = fresh;
    const auto lost = facts(run("toy_leak_map", scenario), Fact::leaked);
    ASSERT_EQ(lost.size(), 2u);
    EXPECT_EQ(lost[0].text, "shared mappings");
    EXPECT_EQ(lost[0].value, 1u);
  }
}

TEST_F(EngineTest, FindsAndEndsProcessesThatWorkersLeft) {
  Scenario scenario;
  scenario.count_resources = true;
  for (const bool fresh : {true, false}) {
    scenario.fresh_workers = fresh;
    const auto left = facts(run("toy_leak_child", scenario), Fact::leaked);
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].value, 2u);
    EXPECT_EQ(left[0].text, "process test_launch");
    EXPECT_TRUE(facts(run("toy", scenario), Fact::leaked).empty()) << "it lives on";
  }
}

// Engines are shared by all transports: a process that was left where nobody counted is not the
// next transport's leak.
TEST_F(EngineTest, BlamesNobodyForProcessesOfAnEarlierScenario) {
  Scenario scenario;
  for (const bool fresh : {true, false}) {
    scenario.fresh_workers = fresh;
    scenario.count_resources = false;
    run("toy_leak_child", scenario);
    scenario.count_resources = true;
    EXPECT_TRUE(facts(run("toy", scenario), Fact::leaked).empty());
  }
}

TEST_F(EngineTest, FindsWhatTheCreatorKeepsOpen) {
  Scenario scenario;
  scenario.count_resources = true;
  const auto kept = facts(run("toy_holds", scenario), Fact::leaked);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].text, "descriptors of the creator");
  EXPECT_EQ(kept[0].value, 1u);
  ::close(held);
}

TEST_F(EngineTest, ASanitizersWordIsToldOfItsOwnScenarioAlone) {
  for (const bool fresh : {true, false}) {
    Scenario scenario;
    scenario.fresh_workers = fresh;
    EXPECT_EQ(facts(run("toy_moans", scenario), Fact::sanitizer).size(), 2u) << "both workers";
    EXPECT_EQ(facts(run("toy", scenario), Fact::sanitizer).size(), 0u);
  }
}

TEST_F(EngineTest, FindsFilesThatATransportLeft) {
  const auto left = facts(run("toy_leak_file"), Fact::leaked);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_THAT(left[0].text, ::testing::EndsWith("/forgotten"));
  EXPECT_TRUE(facts(run("toy"), Fact::leaked).empty()) << "said twice";
}

TEST_F(EngineTest, SaysWhatAnAttachThrew) {
  const auto failed = facts(run("toy_attach"), Fact::worker_failed);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].lane, 1);
  EXPECT_EQ(failed[0].value, static_cast<std::uint64_t>(ECONNREFUSED));
  EXPECT_THAT(failed[0].text, ::testing::HasSubstr("connect toy"));
}

TEST_F(EngineTest, PinsWorkersToProcessorsThatItWasGiven) {
  cpu_set_t before;
  CPU_ZERO(&before);
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  // The last one: the first would be right by accident.
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    processor_left = CPU_ISSET(cpu, &before) ? cpu : processor_left;
  cpu_set_t last;
  CPU_ZERO(&last);
  CPU_SET(processor_left, &last);
  ASSERT_EQ(::sched_setaffinity(0, sizeof last, &last), 0);
  engine_ = std::make_unique<Engine>(options_);  // the zygote, and so its workers, inherit it
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  for (const Pinning pinning : {Pinning::spread, Pinning::one_core}) {
    Scenario scenario;
    scenario.pinning = pinning;
    const Engine::Run result = run("toy_pinned", scenario);
    EXPECT_EQ(result.traffic.received, 10u) << to_string(pinning);
    EXPECT_THAT(facts(result, Fact::worker_failed), ::testing::IsEmpty()) << to_string(pinning);
  }
}

TEST_F(EngineTest, TakesAFullMachineForUnsupported) {
  EXPECT_THAT(run("toy_full").unsupported, ::testing::HasSubstr("shm_open toy"));
}

TEST_F(EngineTest, EndsWhenInterrupted) {
  interrupted_ = true;
  EXPECT_EQ(facts(run("toy_deadlock"), Fact::interrupted).size(), 1u);
}

TEST_F(EngineTest, SaysWhatALaneIsInsideOf) {
  engine_ = std::make_unique<Engine>(options_);
  std::atomic<bool> over{false};
  std::thread runner([&] {
    run("toy_deadlock");
    over = true;
  });
  bool said = false;
  while (!said && !over) {
    said = engine_->describe_workers().find(", inside receive (never) for 0.") != std::string::npos;
    std::this_thread::yield();
  }
  runner.join();
  EXPECT_TRUE(said);
  EXPECT_EQ(engine_->describe_workers(), "  idle\n");
}

TEST_F(EngineTest, SaysWhichCallOfTheTransportHoldsItUp) {
  const Descriptor opener(::eventfd(0, EFD_CLOEXEC));
  gate = opener.get();
  options_.transport_patience_ns = 20'000'000;
  engine_ = std::make_unique<Engine>(options_);
  EXPECT_EQ(engine_->overdue(), "");
  std::thread runner([this] { run("toy_stuck"); });
  std::string text;
  while ((text = engine_->overdue()).empty()) std::this_thread::yield();
  EXPECT_THAT(text, ::testing::HasSubstr("create() of toy_stuck has not returned"));
  ::eventfd_write(opener.get(), 1);
  runner.join();
  EXPECT_EQ(engine_->overdue(), "");
}

}  // namespace
}  // namespace ipctorture
