// Each shipped transport against a reference queue (reference_queue.h): random sequences of sends,
// receives and departures, one after the other, each with the deadline `now` or a short one, must
// be answered as the contract allows. No concurrency: what is wrong here is plainly wrong, and
// rapidcheck makes the sequence small. A failure prints the RC_PARAMS that bring it back.
#include <gtest/gtest.h>

#include <filesystem>

#include "harness/scenario/options.h"
#include "stress/obedient_peers.h"
#include "stress/properties.h"
#include "stress/reference_queue.h"

namespace ipctorture {
namespace {

constexpr std::int64_t patience_ns = 10'000'000'000;  // only hangs and losses take so long
constexpr std::int64_t glimpse_ns = 1'000'000;
constexpr std::uint32_t size_max = 512;

struct Step {
  enum class Kind { send, oversize, receive, leave } kind{};
  unsigned peer = 0;
  std::uint32_t size = 0;
  std::uint8_t priority = 0;
  bool patient = false;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  constexpr const char* names[] = {"send", "oversize", "receive", "leave"};
  return out << names[static_cast<int>(step.kind)] << ' ' << step.peer << ' ' << step.size << " p"
             << int{step.priority} << (step.patient ? " at" : " now");
}

struct Play {
  unsigned producers = 1, consumers = 1;
  std::uint32_t capacity = 1;
  std::vector<Step> steps;
};

Play draw_play(const Contract& c) {
  using Kind = Step::Kind;
  Play play;
  play.producers = *rc::gen::inRange(1u, std::min(c.producers_max, 3u) + 1).as("producers");
  play.consumers = *rc::gen::inRange(1u, std::min(c.consumers_max, 3u) + 1).as("consumers");
  const std::uint32_t most = c.capacity_max > 0 ? std::min(c.capacity_max, 6u) : 6;
  play.capacity = *rc::gen::inRange(1u, most + 1).as("capacity");
  const std::uint32_t least = std::max(c.message_min, 16u);
  const auto step = rc::gen::build<Step>(
      rc::gen::set(
          &Step::kind,
          rc::gen::weightedElement<Kind>(
              {{12, Kind::send}, {1, Kind::oversize}, {12, Kind::receive}, {1, Kind::leave}})),
      rc::gen::set(&Step::peer, rc::gen::inRange(0u, 3u)),
      rc::gen::set(&Step::size, rc::gen::inRange(least, std::min(c.message_max, size_max) + 1)),
      rc::gen::set(&Step::priority,
                   rc::gen::inRange<std::uint8_t>(0, static_cast<std::uint8_t>(c.priorities))),
      rc::gen::set(&Step::patient, rc::gen::weightedElement<bool>({{9, false}, {1, true}})));
  play.steps = *rc::gen::container<std::vector<Step>>(step).as("steps");
  return play;
}

// A transport, its peers, and the model beside them.
class Stage {
 public:
  Stage(const Registration& registration, const Play& play, const std::string& directory)
      : registration_(registration),
        play_(play),
        model_(registration.contract, play.producers, play.consumers, play.capacity),
        next_(play.producers),
        here_(play.producers, true) {
    Scenario scenario;
    scenario.set_transport(registration.name);
    scenario.producers = play.producers;
    scenario.consumers = play.consumers;
    scenario.capacity = play.capacity;
    scenario.sizes = {std::min(registration.contract.message_max, size_max)};
    std::filesystem::create_directory(directory);
    options_ = make_options(scenario, registration.contract, 0, directory);
    creator_ = registration.build(options_, {});
    unsupported_ = creator_->unsupported();
    if (unsupported_.empty()) creator_->create();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() {
    producers_.clear();
    consumers_.clear();
    creator_->destroy();
    std::filesystem::remove_all(options_.directory);
  }

  const std::string& unsupported() const { return unsupported_; }

  // Each answers what went wrong.
  std::string attach_all() {
    {
      const std::vector<Descriptor> handles = creator_->take_handles();
      for (unsigned i = 0; i < play_.producers; ++i) add(producers_, handles, Role::producer, i);
      for (unsigned i = 0; i < play_.consumers; ++i) add(consumers_, handles, Role::consumer, i);
    }
    // At the same time: some wait for each other.
    const Order attach{.kind = Order::Kind::attach, .patience_ns = patience_ns};
    for (auto* side : {&producers_, &consumers_}) {
      for (auto& peer : *side) peer->tell(attach);
    }
    std::string wrong;
    for (auto* side : {&producers_, &consumers_}) {
      for (auto& peer : *side) {
        const Answer answer = peer->hear();
        if (answer.result.outcome != Outcome::ok) wrong = std::string("attach: ") + answer.failure;
      }
    }
    return wrong;
  }

  std::string take(const Step& step) {
    switch (step.kind) {
      case Step::Kind::send:
        return send(step, false);
      case Step::Kind::oversize:
        return registration_.contract.message_max > 65536 ? std::string() : send(step, true);
      case Step::Kind::receive:
        return receive(step.peer % play_.consumers, step.patient ? glimpse_ns : 0);
      case Step::Kind::leave:
        return leave(step.peer % play_.producers);
    }
    return {};
  }

  // Everybody leaves, what was accepted arrives, and then the stream ends.
  std::string finish() {
    std::string wrong;
    if (!registration_.contract.accepted_survives_close) wrong = drain();
    for (unsigned i = 0; i < play_.producers && wrong.empty(); ++i) wrong = leave(i);
    if (wrong.empty()) wrong = drain();
    for (unsigned i = 0; i < play_.consumers && wrong.empty(); ++i) wrong = see_the_end(i);
    for (unsigned i = 0; i < play_.consumers && wrong.empty(); ++i) {
      const Answer answer =
          consumers_[i]->ask({.kind = Order::Kind::close, .patience_ns = patience_ns});
      if (answer.result.outcome != Outcome::ok) wrong = "a consumer's close";
    }
    return wrong;
  }

 private:
  using Peers = std::vector<std::unique_ptr<ObedientPeer>>;
  using Waiting = ReferenceQueue::Waiting;

  void add(Peers& side, const std::vector<Descriptor>& handles, Role role, unsigned index) {
    side.push_back(std::make_unique<ObedientPeer>(registration_, options_, handles, role, index));
  }

  std::string send(const Step& step, bool oversize) {
    const unsigned producer = step.peer % play_.producers;
    if (!here_[producer]) return {};
    const std::uint64_t sequence = next_[producer];
    const Answer answer = producers_[producer]->ask(
        {.kind = Order::Kind::send,
         .id = {.sequence = sequence, .producer = static_cast<std::uint8_t>(producer)},
         .size = oversize ? registration_.contract.message_max + 1 : step.size,
         .priority = step.priority,
         .patience_ns = step.patient ? glimpse_ns : 0});
    const Outcome outcome = answer.result.outcome;
    if (outcome == Outcome::ok || outcome == Outcome::unknown) ++next_[producer];
    if (outcome == Outcome::error) {
      return std::string("send: ") + answer.failure + std::strerror(answer.result.error);
    }
    sizes_[{producer, sequence}] = step.size;
    priorities_[{producer, sequence}] = step.priority;
    return model_.sent({producer, sequence, step.priority}, outcome, oversize,
                       step.patient ? Waiting::a_while : Waiting::not_at_all);
  }

  std::string receive(unsigned consumer, std::int64_t deadline_ns) {
    const Answer answer =
        consumers_[consumer]->ask({.kind = Order::Kind::receive, .patience_ns = deadline_ns});
    const IoResult& result = answer.result;
    if (result.outcome != Outcome::ok) {
      if (result.outcome == Outcome::closed) ended_ = true;
      return model_.nothing_received(consumer, result.outcome,
                                     deadline_ns > 0 ? Waiting::a_while : Waiting::not_at_all);
    }
    if (answer.content != Content::intact) return "received damaged content";
    const std::pair name{unsigned{answer.id.producer}, answer.id.sequence};
    const auto sent = sizes_.find(name);
    if (sent != sizes_.end() && sent->second != result.size) {
      return fmt::format("received {} bytes of {}", result.size, sent->second);
    }
    return model_.received(consumer, {name.first, name.second, priorities_[name]}, result.missed);
  }

  std::string leave(unsigned producer) {
    if (!here_[producer]) return {};
    if (!registration_.contract.accepted_survives_close) {
      if (std::string wrong = drain(); !wrong.empty()) return wrong;
    }
    here_[producer] = false;
    const Answer answer =
        producers_[producer]->ask({.kind = Order::Kind::close, .patience_ns = patience_ns});
    if (answer.result.outcome != Outcome::ok) return "a producer's close";
    model_.producer_closed();
    return {};
  }

  // Round after round: to whom a bound message goes, nobody tells us.
  std::string drain() {
    const Instant until = monotonic_now() + patience_ns;
    for (bool owed = true; owed;) {
      owed = false;
      for (unsigned i = 0; i < play_.consumers; ++i) {
        if (!model_.owed(i)) continue;
        owed = true;
        if (std::string wrong = receive(i, glimpse_ns); !wrong.empty()) return wrong;
      }
      if (owed && monotonic_now() >= until) return "what was accepted never arrives";
    }
    return {};
  }

  // What may come late (a datagram that may be lost, but was not) comes first.
  std::string see_the_end(unsigned consumer) {
    const bool closes = registration_.contract.reports_closed;
    const Instant until = monotonic_now() + patience_ns;
    ended_ = false;
    for (;;) {
      if (std::string wrong = receive(consumer, closes ? glimpse_ns : 0); !wrong.empty()) {
        return wrong;
      }
      if (ended_ || !closes) return {};
      if (monotonic_now() >= until) return "closed is never told";
    }
  }

  const Registration& registration_;
  const Play& play_;
  ReferenceQueue model_;
  std::vector<std::uint64_t> next_;  // of each producer
  std::vector<bool> here_;
  std::map<std::pair<unsigned, std::uint64_t>, std::uint32_t> sizes_;
  std::map<std::pair<unsigned, std::uint64_t>, std::uint8_t> priorities_;
  bool ended_ = false;
  Options options_;
  std::unique_ptr<Transport> creator_;
  std::string unsupported_;
  Peers producers_, consumers_;
};

// What no canary does: the end is told while a producer is there, though there is nothing to read.
TEST(ReferenceQueue, NoEndWhileAProducerIsThere) {
  Contract contract;
  contract.reports_closed = true;
  ReferenceQueue queue(contract, 2, 1, 4);
  const auto closed = [&queue] {
    return queue.nothing_received(0, Outcome::closed, ReferenceQueue::Waiting::not_at_all);
  };
  queue.producer_closed();
  EXPECT_NE(closed(), "");
  queue.producer_closed();
  EXPECT_EQ(closed(), "");
}

class ModelProperty : public ::testing::TestWithParam<std::string> {
 protected:
  ModelProperty() : directory_(::testing::TempDir() + "modelXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
  }
  ~ModelProperty() override { std::filesystem::remove_all(directory_); }

  PropertyRun run(const Registration& registration, const rc::detail::TestParams& params) {
    return check_property(registration.name, params, [&] {
      const Play play = draw_play(registration.contract);
      Stage stage(registration, play, directory_ + "/play");
      unsupported_ = stage.unsupported();
      if (!unsupported_.empty()) return;
      std::string wrong = stage.attach_all();
      std::size_t at = 0;
      while (wrong.empty() && at < play.steps.size()) wrong = stage.take(play.steps[at++]);
      if (!wrong.empty()) RC_FAIL(fmt::format("step {}: {}", at, wrong));
      wrong = stage.finish();
      if (!wrong.empty()) RC_FAIL("at the end: " + wrong);
    });
  }

  std::string directory_, unsupported_;
};

TEST_P(ModelProperty, AnswersAsTheContractAllows) {
  const Registration& registration = *find_registration(GetParam());
  if (registration.contract.exec_only) GTEST_SKIP() << "its endpoints do not survive a fork";
  const PropertyRun result = run(registration, asked_params(40));
  if (!unsupported_.empty()) GTEST_SKIP() << unsupported_;
  EXPECT_TRUE(result.passed) << result.text;
}

std::vector<std::string> shipped() {
  std::vector<std::string> names;
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::shipped) names.emplace_back(registration.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shipped, ModelProperty, ::testing::ValuesIn(shipped()),
                         [](const auto& one) { return one.param; });

// What shows without concurrency must be seen, and named; the correct canary passes.
class BrokenModelProperty : public ModelProperty {};

TEST_P(BrokenModelProperty, IsSeen) {
  rc::detail::TestParams params = asked_params(200);
  params.disableShrinking = true;
  const PropertyRun result = run(*find_registration(GetParam()), params);
  EXPECT_FALSE(result.passed);
  EXPECT_NE(result.text.find("RC_PARAMS=\"seed="), std::string::npos) << result.text;
}

INSTANTIATE_TEST_SUITE_P(Canaries, BrokenModelProperty,
                         ::testing::Values("canary_lose", "canary_duplicate", "canary_reorder",
                                           "canary_tear", "canary_truncate", "canary_swallow_large",
                                           "canary_false_full", "canary_false_empty",
                                           "canary_false_closed", "pipe__lose", "tcp__duplicate",
                                           "fifo__end_early", "posix_mq__reorder", "sysv_shm__deny",
                                           "sysv_shm__renege", "unix_stream__tear",
                                           "shm_broadcast__conceal", "shm_seqlock__stale"),
                         [](const auto& one) { return std::string(one.param); });

TEST_F(ModelProperty, TheCanaryWithoutAFlawPasses) {
  const PropertyRun result = run(*find_registration("canary_none"), asked_params(40));
  EXPECT_TRUE(result.passed) << result.text;
}

}  // namespace
}  // namespace ipctorture
