// Failing and short calls from the scenario to the verdict: real workers, the free engine, the
// oracles. A transport that takes a short count for the whole is caught, one that goes on where it
// stopped is not; what was done to whom is in the history; and errors that were injected are
// excused where they were, and nowhere else.
#include "harness/launch/failing_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::uint32_t bytes = 64;
constexpr Contract contract{.ordering = Ordering::total,
                            .reports_closed = true,
                            .message_min = bytes,
                            .message_max = bytes,
                            .attach = AttachBy::inherited,
                            .deadline_now = false,
                            .deadline_at = false,
                            .accepted_survives_close = true};

enum class Ways : std::uint8_t {
  right,
  short_write_is_whole,
  short_read_is_whole,
  error_after_sending,  // says that it failed, though the message went
  ok_without_sending,   // says that it went, though the call failed
};

// Messages of one size over a pair of connected sockets; with a descriptor of its own, so that an
// attach can fail.
template <Ways ways>
class OverStream final : public Transport {
 public:
  OverStream(const Options&, std::vector<Descriptor> handles) : ends_(std::move(handles)) {}
  void create() override {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw_system_error("socketpair", "of a test");
    }
    ends_.emplace_back(ends[0]);
    ends_.emplace_back(ends[1]);
  }
  std::vector<Descriptor> take_handles() override { return std::move(ends_); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    Descriptor own = own_descriptor(::dup(ends_[role == Role::producer ? 0 : 1].get()), "dup", "");
    ends_.clear();
    return std::make_unique<End>(std::move(own));
  }
  void destroy() noexcept override {}

 private:
  class End final : public Endpoint {
   public:
    explicit End(Descriptor end) : end_(std::move(end)) {}
    IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
      while (!message.empty()) {
        const ssize_t n = ::send(end_.get(), message.data(), message.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && ways == Ways::ok_without_sending) return IoResult::sent();
        if (n < 0 && ways == Ways::error_after_sending) {
          const int error = errno;
          while (::send(end_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
          }
          return IoResult::failed(error);
        }
        // A frame that was begun is finished: the reader could not find the next.
        if (n < 0 && message.size() < bytes) continue;
        if (n < 0) return IoResult::failed(errno);
        if (ways == Ways::short_write_is_whole) return IoResult::sent();
        message = message.subspan(static_cast<std::size_t>(n));
      }
      return IoResult::sent();
    }
    IoResult receive(std::span<std::byte> buffer, Deadline) override {
      for (std::size_t got = 0; got < bytes;) {
        const ssize_t n = ::recv(end_.get(), buffer.data() + got, bytes - got, 0);
        if (n == 0) return IoResult::of(Outcome::closed);
        if (n < 0 && errno != EINTR) return IoResult::failed(errno);
        if (n > 0) got += static_cast<std::size_t>(n);
        if (n > 0 && ways == Ways::short_read_is_whole) return IoResult::received(got);
      }
      return IoResult::received(bytes);
    }
    IoResult close(Deadline) override {
      end_.reset();
      return IoResult::sent();
    }

   private:
    Descriptor end_;
  };
  std::vector<Descriptor> ends_;
};

// Workers find them by name.
template <Ways ways>
Registration over_stream(std::string_view name) {
  return {.name = name,
          .summary = "of a test",
          .contract = contract,
          .make = make_transport<OverStream<ways>>,
          .kind = Kind::faulty};
}
const Registered registered[] = {
    Registered(over_stream<Ways::right>("short_calls_twin")),
    Registered(over_stream<Ways::short_write_is_whole>("short_write_is_whole")),
    Registered(over_stream<Ways::short_read_is_whole>("short_read_is_whole")),
    Registered(over_stream<Ways::error_after_sending>("error_after_sending")),
    Registered(over_stream<Ways::ok_without_sending>("ok_without_sending")),
};

class FailingCallsInScenarios : public ::testing::Test {
 protected:
  FailingCallsInScenarios() : directory_(::testing::TempDir() + "failingXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
    scenario_.messages = 400;
    scenario_.sizes[0] = bytes;
  }
  ~FailingCallsInScenarios() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }
  void SetUp() override {
    if (!calls_can_fail()) GTEST_SKIP() << "a sanitizer's runtime has the same names";
  }

  std::vector<std::string> violations(std::string_view transport) {
    scenario_.set_transport(transport);
    const Registration& registration = *find_registration(transport);
    EXPECT_THAT(scenario_faults(scenario_, registration.contract), IsEmpty());
    run_ = engine_->run(scenario_, registration);
    EXPECT_THAT(run_.unsupported, IsEmpty());
    std::vector<std::string> found;
    for (const Finding& f : check({run_.history, registration.contract, scenario_}).findings) {
      if (f.verdict == Verdict::violation) found.push_back(fingerprint(f) + ": " + f.what);
    }
    return found;
  }
  std::size_t count(Fact fact) const {
    const auto& all = run_.history.evidence;
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const Evidence& e) { return e.fact == fact; }));
  }
  unsigned answered_error(Op op) const {
    unsigned errors = 0;
    for (const LaneHistory& lane : run_.history.lanes) {
      for (const Record& r : lane.records) {
        errors += r.op() == op && r.result() == Outcome::error;
      }
    }
    return errors;
  }

  Scenario scenario_;
  std::string directory_;
  std::unique_ptr<Engine> engine_;
  Engine::Run run_;
};

TEST_F(FailingCallsInScenarios, ShortCountsFindWhoTakesThemForTheWhole) {
  EXPECT_THAT(violations("short_write_is_whole"), IsEmpty());
  EXPECT_THAT(violations("short_read_is_whole"), IsEmpty());
  scenario_.faults.short_calls = 1000;
  for (const char* wrong : {"short_write_is_whole", "short_read_is_whole"}) {
    const auto found = violations(wrong);
    EXPECT_THAT(found, Not(IsEmpty())) << wrong;
    EXPECT_THAT(found, Each(Not(StartsWith("crash/")))) << wrong;
  }
}

TEST_F(FailingCallsInScenarios, WhoIsRightStaysSoWhateverTheRates) {
  for (const bool fresh : {true, false}) {
    for (const std::uint32_t rate : {100u, 3000u, 10'000u}) {
      scenario_.fresh_workers = fresh;
      scenario_.faults.short_calls = scenario_.faults.failing_calls = rate;
      EXPECT_THAT(violations("short_calls_twin"), IsEmpty()) << rate;
      EXPECT_EQ(run_.traffic.received, scenario_.messages);
    }
  }
}

TEST_F(FailingCallsInScenarios, WhatWasDoneIsInTheHistory) {
  scenario_.faults.short_calls = 2000, scenario_.faults.failing_calls = 1000;
  EXPECT_THAT(violations("short_calls_twin"), IsEmpty());
  EXPECT_GT(count(Fact::shortage), 5u);
  EXPECT_EQ(count(Fact::calls_cut), 2u) << "of both lanes";
  unsigned of_send = 0;
  for (const Evidence& e : run_.history.evidence) {
    if (e.fact == Fact::calls_cut) {
      EXPECT_GT(e.value, 10u);
    }
    if (e.fact == Fact::shortage) {
      EXPECT_TRUE(e.text == "send" || e.text == "dup" || e.text == "recv") << e.text;
      of_send += e.text == "send" && e.value == ENOBUFS;
    }
  }
  EXPECT_GE(of_send, answered_error(Op::send));
  EXPECT_GT(answered_error(Op::send), 0u);
  const std::size_t failed = count(Fact::shortage);

  scenario_.faults = {};
  EXPECT_THAT(violations("short_calls_twin"), IsEmpty());
  EXPECT_EQ(count(Fact::shortage) + count(Fact::calls_cut), 0u) << "was " << failed;
}

TEST_F(FailingCallsInScenarios, AnAttachThatFailedIsTriedAgain) {
  scenario_.faults.failing_calls = 10'000;
  EXPECT_THAT(violations("short_calls_twin"), IsEmpty());
  EXPECT_EQ(answered_error(Op::attach), 2u) << "dup, of each once";
}

// Only the error itself is excused.
TEST_F(FailingCallsInScenarios, WrongAnswersToThemAreViolations) {
  scenario_.faults.failing_calls = 1000;
  EXPECT_THAT(violations("ok_without_sending"), Contains(StartsWith("delivery/")));
  EXPECT_THAT(violations("error_after_sending"), Contains(StartsWith("delivery/")));
}

// With whatever else the generator draws, deaths and storms among it.
TEST_F(FailingCallsInScenarios, ShippedTransportsBearThem) {
  std::size_t failed = 0, cut = 0;
  for (const Registration& one : registrations()) {
    if (one.kind != Kind::shipped) continue;
    for (std::uint64_t k = 2; k < 10; ++k) {
      scenario_ = generate(case_seed(1, one.name, k), one.name, one.contract,
                           {.budget_ns = 30'000'000, .allow_exec = false});
      scenario_.faults.failing_calls = 1000, scenario_.faults.short_calls = 3000;
      run_ = engine_->run(scenario_, one);
      if (!run_.unsupported.empty()) continue;
      for (const Finding& f : check({run_.history, one.contract, scenario_}).findings) {
        EXPECT_NE(f.verdict, Verdict::violation)
            << one.name << " " << fingerprint(f) << ": " << f.what << "\n"
            << scenario_to_json(scenario_);
      }
      failed += count(Fact::shortage), cut += count(Fact::calls_cut);
    }
  }
  EXPECT_GT(failed, 100u);
  EXPECT_GT(cut, 100u);
}

}  // namespace
}  // namespace ipctorture
