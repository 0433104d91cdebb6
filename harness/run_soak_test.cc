// Soaks over a toy that does one thing wrong, long after the first round: no violation may be lost
// between two rounds, and nothing that is right may be blamed there.
#include "harness/run_soak.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <limits>

namespace ipctorture {
namespace {

using ::testing::HasSubstr;

constexpr unsigned early = 20, much_later = 1000;  // operations of an endpoint

enum class Flaw { none, lose, again, late, late_twice, later_loss };

// A SOCK_SEQPACKET pair, one producer and one consumer.
template <Flaw flaw>
class Toy final : public Transport {
 public:
  Toy(const Options&, std::vector<Descriptor> handles) : handles_(std::move(handles)) {}
  void create() override {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      throw_system_error("socketpair", "toy");
    }
    handles_.emplace_back(pair[0]);
    handles_.emplace_back(pair[1]);
  }
  std::vector<Descriptor> take_handles() override { return std::move(handles_); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    auto own = std::move(handles_[role == Role::producer ? 0 : 1]);
    handles_.clear();
    return std::make_unique<End>(std::move(own));
  }
  void destroy() noexcept override {}

 private:
  class End final : public Endpoint {
   public:
    explicit End(Descriptor fd) : fd_(std::move(fd)) {}
    IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
      ++sent_;
      const std::vector<std::byte> copy(message.begin(), message.end());
      constexpr bool is_late = flaw == Flaw::late || flaw == Flaw::late_twice;
      if (sent_ == early) kept_ = copy;
      if (sent_ == early && (is_late || flaw == Flaw::later_loss)) return IoResult::sent();
      if (sent_ == much_later && flaw == Flaw::lose) return IoResult::sent();
      const bool again = sent_ == much_later || (sent_ == 2 * much_later);
      if (is_late && again && (flaw == Flaw::late_twice || sent_ == much_later)) put(kept_);
      if (sent_ == much_later && flaw == Flaw::again) put(kept_);
      return put(copy);
    }
    IoResult receive(std::span<std::byte> buffer, Deadline) override {
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got > 0) return IoResult::received(static_cast<std::size_t>(got));
      return got == 0 ? IoResult::of(Outcome::closed) : IoResult::failed(errno);
    }
    IoResult close(Deadline) override {
      fd_.reset();
      return IoResult::sent();
    }

   private:
    IoResult put(const std::vector<std::byte>& message) {
      const ssize_t put = ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL);
      return put > 0 ? IoResult::sent() : IoResult::failed(errno);
    }
    Descriptor fd_;
    unsigned sent_ = 0;
    std::vector<std::byte> kept_;
  };
  std::vector<Descriptor> handles_;
};

constexpr Contract strict{.ordering = Ordering::total,
                          .reports_closed = true,
                          .message_max = 4096,
                          .attach = AttachBy::inherited,
                          .deadline_at = false,
                          .progress_bound_ms = 300};
constexpr Contract lossy{.delivery = Delivery::at_most_once,
                         .ordering = Ordering::none,
                         .message_max = 4096,
                         .attach = AttachBy::inherited,
                         .deadline_at = false,
                         .progress_bound_ms = 300};
constexpr Contract lossy_in_order = [] {
  Contract contract = lossy;
  contract.ordering = Ordering::per_producer;
  return contract;
}();

const Registered toys[] = {
    Registered{{"right", "", strict, make_transport<Toy<Flaw::none>>}},
    Registered{{"loses_late", "", strict, make_transport<Toy<Flaw::lose>>}},
    Registered{{"again_late", "", strict, make_transport<Toy<Flaw::again>>}},
    Registered{{"lossy_late", "", lossy, make_transport<Toy<Flaw::late>>}},
    Registered{{"lossy_twice", "", lossy, make_transport<Toy<Flaw::late_twice>>}},
    Registered{{"lossy_again", "", lossy, make_transport<Toy<Flaw::again>>}},
    Registered{{"lossy_loses", "", lossy, make_transport<Toy<Flaw::later_loss>>}},
    Registered{{"order_late", "", lossy_in_order, make_transport<Toy<Flaw::late>>}},
};

class SoakTest : public ::testing::TestWithParam<bool> {
 protected:
  SoakTest() : directory_(::testing::TempDir() + "soakXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
  }
  ~SoakTest() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Rounds of 64 messages, until so many were told or one of them is no pass.
  SoakResult soak(const char* transport, unsigned rounds_max) {
    Scenario scenario;
    scenario.set_transport(transport);
    scenario.messages = 100;
    const SoakPlan plan{
        .until = std::numeric_limits<Instant>::max(), .round_ns = 1, .idle_core = GetParam()};
    return run_soak(*engine_, scenario, plan, [&](const ScenarioResult& round) {
      ++told_;
      look_at(round);
      return told_ < rounds_max;
    });
  }

  void look_at(const ScenarioResult& round) {
    EXPECT_EQ(round.history.continues, told_ > 1);
    EXPECT_EQ(round.scenario.messages, told_ == 1 ? 100u : 64u);
    const auto& sent = round.history.lanes[0].records;
    EXPECT_LT(sent.size(), 200u) << "only what this round did";
    EXPECT_EQ(sent.front().op(), Op::attach);
    if (round.history.goes_on) left_over_ = round.judgement.unreceived.size();
    for (const Finding& finding : round.judgement.findings) {
      if (finding.verdict < Verdict::inconclusive) continue;
      wrong_ += fingerprint(finding) + ": " + finding.what + "\n";
    }
  }

  std::string directory_;
  std::unique_ptr<Engine> engine_;
  unsigned told_ = 0;
  std::size_t left_over_ = 0;
  std::string wrong_;
};

TEST_P(SoakTest, WhatIsRightPassesRoundAfterRound) {
  const SoakResult result = soak("right", 40);
  EXPECT_EQ(wrong_, "");
  EXPECT_GE(result.rounds, 40u);
  EXPECT_GE(result.messages, 100u + 39 * 64);
  EXPECT_GT(result.flowed_ns, 0);
  EXPECT_LE(result.flowed_ns, result.took_ns);
}

TEST_P(SoakTest, ALossLongAfterTheFirstRoundIsFound) {
  soak("loses_late", 60);
  EXPECT_THAT(wrong_, HasSubstr("lost"));
  EXPECT_GT(told_, 10u);
  EXPECT_LT(told_, 20u) << "and ends the soak";
}

TEST_P(SoakTest, AMessageOfAnEarlierRoundIsADuplicate) {
  soak("again_late", 60);
  EXPECT_THAT(wrong_, HasSubstr("duplicate"));
  EXPECT_THAT(wrong_, HasSubstr("message 19 of producer 0 of an earlier round"));
  EXPECT_GT(told_, 10u);
}

TEST_P(SoakTest, WhatMayBeLostMayComeInALaterRound) {
  soak("lossy_late", 40);
  EXPECT_EQ(wrong_, "");
  EXPECT_EQ(left_over_, 0u) << "it came";
}

TEST_P(SoakTest, ButOnlyOnce) {
  soak("lossy_twice", 60);
  EXPECT_THAT(wrong_, HasSubstr("of an earlier round"));
  EXPECT_GT(told_, 20u) << "the second time";
}

TEST_P(SoakTest, NothingComesAgainWhereMessagesMayBeLost) {
  soak("lossy_again", 60);
  EXPECT_THAT(wrong_, HasSubstr("of an earlier round"));
}

TEST_P(SoakTest, WhatIsLostForGoodIsRemembered) {
  soak("lossy_loses", 30);
  EXPECT_EQ(wrong_, "");
  EXPECT_EQ(left_over_, 1u);
}

TEST_P(SoakTest, NothingComesLateWhereOrderIsPromised) {
  soak("order_late", 60);
  EXPECT_THAT(wrong_, HasSubstr("of an earlier round"));
}

INSTANTIATE_TEST_SUITE_P(, SoakTest, ::testing::Bool(), [](const auto& test) {
  return test.param ? "JudgedAside" : "JudgedInBetween";
});

}  // namespace
}  // namespace ipctorture
