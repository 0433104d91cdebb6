#include "harness/shrink/shrink.h"

#include <gtest/gtest.h>

#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"
#include "harness/scenario/synthetic_contracts.h"

namespace ipctorture {
namespace {

Contract queue() {
  Contract c;
  c.ordering = Ordering::per_producer;
  c.late_consumer = LateConsumer::backlog;
  c.late_producer = c.reports_closed = true;
  c.capacity_max = 1024;
  c.message_max = 4096;
  c.producers_max = c.consumers_max = 8;
  c.survives_producer_death = c.survives_consumer_death = true;
  return c;
}

// With everything: 20 sends and 20 receives at the least.
Scenario busy() {
  Scenario s;
  s.set_transport("made_up");
  s.seed = 99;
  s.fresh_workers = false;
  s.producers = 4;
  s.consumers = 3;
  s.messages = 5;
  s.size_count = 3;
  s.sizes = {100, 4096, 9};
  s.capacity = 7;
  s.counter_start = 65'530;
  s.send_deadlines = {.now_permille = 100, .at_permille = 300, .at_us = 200};
  s.receive_deadlines = {.at_permille = 1000, .at_us = 5000};
  s.producer_noise = s.consumer_noise = {.yield_permille = 10, .spin_permille = 20};
  s.pinning = Pinning::spread;
  s.nice_max = 7;
  s.starved_worker = 2;
  s.burst = 3;
  s.burst_pause_us = 50;
  s.consumer_delay_us = 20;
  s.fill_first = s.handoff = s.count_resources = true;
  s.gap_after = 4;
  s.gap_ms = 3;
  s.late_producers = s.late_consumers = 1;
  s.oversize_permille = 50;
  s.faults = {.producer_kills = 2,
              .pauses = 3,
              .pause_us = 700,
              .signals = 40,
              .failing_calls = 10,
              .short_calls = 10};
  EXPECT_EQ(scenario_faults(s, queue()), std::vector<std::string>{});
  return s;
}

// The plainest scenario of a contract.
Scenario plainest() {
  Scenario s;
  s.set_transport("made_up");
  s.seed = 99;
  s.messages = 1;
  s.sizes = {8};
  s.capacity = 1;
  return s;
}

// Every candidate must be valid, and none may come twice.
Shrunk shrunk(const Scenario& from, const Contract& contract, const StillFails& fails,
              const ShrinkLimits& limits = {}) {
  std::vector<Scenario> asked{from};
  return shrink(
      from, contract,
      [&](const Scenario& candidate) {
        EXPECT_EQ(scenario_faults(candidate, contract), std::vector<std::string>{})
            << scenario_to_json(candidate);
        EXPECT_EQ(std::count(asked.begin(), asked.end(), candidate), 0);
        asked.push_back(candidate);
        return fails(candidate);
      },
      limits);
}

TEST(Shrink, WhatAlwaysFailsBecomesOneMessage) {
  const Shrunk small = shrunk(busy(), queue(), [](const Scenario&) { return true; });
  EXPECT_EQ(scenario_to_json(small.scenario), scenario_to_json(plainest()));
  EXPECT_TRUE(small.finished);
  EXPECT_LE(small.tries, 20u);
}

TEST(Shrink, WhatFailsNoLongerStaysAsItIs) {
  const Shrunk small = shrunk(busy(), queue(), [](const Scenario&) { return false; });
  EXPECT_EQ(small.scenario, busy());
  EXPECT_TRUE(small.finished);
}

// The measure: from 40 operations to the 2 that matter (the send and the receive of one message)
// while two features must stay, whichever they are.
TEST(Shrink, KeepsAnyTwoFeaturesIn200Runs) {
  std::uint64_t most = 0;
  const auto has = [](const Scenario& s, const Feature& feature) {
    Scenario without = s;
    feature.take_away(without, queue());
    return !(without == s);
  };
  for (const Feature& a : features()) {
    for (const Feature& b : features()) {
      if (!has(busy(), a) || !has(busy(), b)) continue;
      const Shrunk small =
          shrunk(busy(), queue(), [&](const Scenario& s) { return has(s, a) && has(s, b); });
      most = std::max(most, small.tries);
      EXPECT_TRUE(has(small.scenario, a) && has(small.scenario, b)) << a.name << ", " << b.name;
      EXPECT_TRUE(small.finished) << a.name << ", " << b.name;
      // Kills and late ones need two peers, several sizes and a few messages more.
      EXPECT_LE(small.scenario.messages, 2u) << a.name << ", " << b.name;
      EXPECT_LE(small.scenario.producers + small.scenario.consumers, 6u) << a.name << b.name;
      std::size_t others = 0;
      for (const Feature& other : features()) others += has(small.scenario, other) ? 1 : 0;
      EXPECT_LE(others, 4u) << a.name << ", " << b.name << scenario_to_json(small.scenario);
    }
  }
  EXPECT_LE(most, 200u);
}

TEST(Shrink, FindsTheExactNumbers) {
  Scenario from = busy();
  from.messages = 1000;
  const Shrunk small = shrunk(from, queue(), [](const Scenario& s) {
    return s.messages >= 137 && s.producers >= 2 && s.capacity >= 3 && s.largest_message() >= 600;
  });
  // Which of the sizes is left is the loop's affair.
  EXPECT_EQ(small.scenario.messages, 137u);
  EXPECT_EQ(small.scenario.producers, 2u);
  EXPECT_EQ(small.scenario.consumers, 1u);
  EXPECT_EQ(small.scenario.capacity, 3u);
  EXPECT_EQ(small.scenario.largest_message(), 600u);
  EXPECT_LE(small.tries, 200u);
}

// A value tells its order in 16 bytes, whatever the contract allows: 8 is no candidate.
TEST(Shrink, RunsOnlyWhatSuitsTheContract) {
  Contract contract;
  contract.delivery = Delivery::latest_value;
  contract.when_full = WhenFull::overwrites;
  contract.fan_out = FanOut::broadcast;
  contract.message_max = 4096;
  Scenario from;
  from.set_transport("made_up");
  from.workload = Workload::latest_value;
  from.sizes = {100};
  ASSERT_EQ(scenario_faults(from, contract), std::vector<std::string>{});
  const Shrunk small = shrunk(from, contract, [](const Scenario&) { return true; });
  EXPECT_EQ(small.scenario.largest_message(), 16u);
  EXPECT_TRUE(small.finished);
}

TEST(Shrink, StopsWhereItIsTold) {
  std::uint64_t runs = 0;
  const auto fails = [&](const Scenario& s) { return ++runs > 0 && s.messages >= 3; };
  Shrunk small = shrunk(busy(), queue(), fails, {.stop = [&] { return runs >= 4; }});
  EXPECT_EQ(runs, 4u);
  EXPECT_FALSE(small.finished);
  EXPECT_GE(small.scenario.messages, 3u);
  small = shrunk(busy(), queue(), fails, {.tries = 5});
  EXPECT_EQ(small.tries, 5u);
  EXPECT_FALSE(small.finished);
}

// Whatever the contract: every candidate is valid (`shrunk` looks), the answer is as small as can
// be, and it does not take for ever.
TEST(Shrink, OfEveryContractsScenarios) {
  for (const auto& [name, contract] : synthetic::contracts()) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      const Scenario from = generate(seed, "made_up", contract, {});
      const Shrunk small = shrunk(from, contract, [](const Scenario&) { return true; });
      EXPECT_TRUE(small.finished) << name;
      EXPECT_EQ(small.scenario.messages, 1u) << name;
      EXPECT_EQ(small.scenario.lanes(), 2u) << name;
      EXPECT_FALSE(small.scenario.faults.any()) << name;
      const std::uint64_t limit = from.messages / 2 + 1;
      EXPECT_LE(
          shrunk(from, contract, [&](const Scenario& s) { return s.messages >= limit; }).tries,
          200u);
    }
  }
}

}  // namespace
}  // namespace ipctorture
