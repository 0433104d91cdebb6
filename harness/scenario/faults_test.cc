// Each rule of scenario_faults refuses what it is for, and names the field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "harness/base/prng.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

struct Case {
  const char* said;  // part of the fault
  std::function<void(Scenario&, Contract&)> change;
};

Contract willing() {
  return {.late_consumer = LateConsumer::backlog,
          .late_producer = true,
          .capacity_max = 1024,
          .message_max = 1 << 20,
          .producers_max = 20,
          .consumers_max = 16};
}
Scenario sound() {
  Scenario s;
  s.set_transport("queue");
  s.producers = 4;
  s.consumers = 4;
  s.messages = 100;
  return s;
}
void dying(Scenario& s, Contract& c, std::uint32_t producers) {
  c.survives_producer_death = true;
  s.faults.producer_kills = producers;
}
void reply(Scenario& s) { s.workload = Workload::request_reply; }

const Case cases[] = {
    {"version", [](Scenario& s, Contract&) { s.version = 2; }},
    {"transport", [](Scenario& s, Contract&) { s.transport.fill(0); }},
    {"transport", [](Scenario& s, Contract&) { s.transport.fill('a'); }},
    {"transport", [](Scenario& s, Contract&) { s.set_transport("../etc"); }},
    {"producers: 0 is below 1", [](Scenario& s, Contract&) { s.producers = 0; }},
    {"producers: 256 is above 255", [](Scenario& s, Contract&) { s.producers = 256; }},
    {"17 consumers, the contract allows 16", [](Scenario& s, Contract&) { s.consumers = 17; }},
    {"workers together", [](Scenario& s, Contract&) { s.producers = 20, s.consumers = 16; }},
    {"threads: 9", [](Scenario& s, Contract&) { s.threads = 9; }},
    {"threads per worker", [](Scenario& s, Contract& c) { s.threads = 2, c.threads = false; }},
    {"messages: 0", [](Scenario& s, Contract&) { s.messages = 0; }},
    {"messages in all", [](Scenario& s, Contract&) { s.messages = messages_max; }},
    {"sizes: 0 entries", [](Scenario& s, Contract&) { s.size_count = 0; }},
    {"sizes: 17 entries", [](Scenario& s, Contract&) { s.size_count = 17; }},
    {"sizes[1]: 4294967295 is above 1048576",
     [](Scenario& s, Contract&) { s.size_count = 2, s.sizes[1] = 0xffffffff; }},
    {"sizes[0]: 64 is above the contract's 32", [](Scenario&, Contract& c) { c.message_max = 32; }},
    {"sizes[0]: 64 is below 65", [](Scenario&, Contract& c) { c.message_min = 65; }},
    {"sizes[0]: 7 is below 8", [](Scenario& s, Contract&) { s.producers = 9, s.sizes[0] = 7; }},
    {"told apart",
     [](Scenario& s, Contract& c) { s.producers = 9, c.message_max = s.sizes[0] = 7; }},
    {"sizes[0]: 15 is below 16",
     [](Scenario& s, Contract& c) {
       s.workload = Workload::latest_value, c.delivery = Delivery::latest_value, s.sizes[0] = 15;
     }},
    {"producer_kills: the contract survives no such death",
     [](Scenario& s, Contract&) { s.faults.producer_kills = 1; }},
    {"consumer_kills: the contract survives no such death",
     [](Scenario& s, Contract& c) {
       c.survives_producer_death = true, s.faults.consumer_kills = 1;
     }},
    {"producer_kills: 4 of 4; one must stay", [](Scenario& s, Contract& c) { dying(s, c, 4); }},
    {"2 come late, as successors of 1 killed",
     [](Scenario& s, Contract& c) { dying(s, c, 1), s.late_producers = 2; }},
    {"leave early", [](Scenario& s, Contract& c) { dying(s, c, 1), s.early_producers = 1; }},
    {"kills: one thread", [](Scenario& s, Contract& c) { dying(s, c, 1), s.threads = 2; }},
    {"kills: need messages of 8 bytes",
     [](Scenario& s, Contract& c) { dying(s, c, 1), c.message_max = s.sizes[0] = 7; }},
    {"sizes[0]: 7 is below 8", [](Scenario& s, Contract& c) { dying(s, c, 1), s.sizes[0] = 7; }},
    {"kills: not in request_reply", [](Scenario& s, Contract& c) { dying(s, c, 1), reply(s); }},
    {"4 producers, the contract allows 1",
     [](Scenario& s, Contract& c) { dying(s, c, 2), s.late_producers = 2, c.producers_max = 1; }},
    {"pauses without pause_us", [](Scenario& s, Contract&) { s.faults.pauses = 1; }},
    {"faults.pauses: 101", [](Scenario& s, Contract&) { s.faults.pauses = 101; }},
    {"spare_descriptors 31 is below 32",
     [](Scenario& s, Contract&) { s.faults.spare_descriptors = 31; }},
    {"faults.failing_calls: 10001",
     [](Scenario& s, Contract&) { s.faults.failing_calls = 10'001; }},
    {"faults.short_calls: 10001", [](Scenario& s, Contract&) { s.faults.short_calls = 10'001; }},
    {"spare_signals 9", [](Scenario& s, Contract&) { s.faults.spare_signals = 9; }},
    {"workload", [](Scenario& s, Contract&) { s.workload = Workload::broadcast; }},
    {"workload", [](Scenario& s, Contract&) { s.workload = static_cast<Workload>(9); }},
    {"workload", [](Scenario&, Contract& c) { c.fan_out = FanOut::broadcast; }},
    {"workload", [](Scenario& s, Contract& c) { reply(s), c.delivery = Delivery::latest_value; }},
    {"launch exec",
     [](Scenario& s, Contract& c) { s.launch = Launch::exec, c.attach = AttachBy::inherited; }},
    {"launch fork", [](Scenario&, Contract& c) { c.exec_only = true; }},
    {"capacity: 0", [](Scenario& s, Contract&) { s.capacity = 0; }},
    {"capacity 1025", [](Scenario& s, Contract&) { s.capacity = 1025; }},
    {"capacity x largest", [](Scenario& s, Contract&) { s.capacity = 33, s.sizes[0] = 1 << 20; }},
    {"send_deadlines.now_permille: 1001",
     [](Scenario& s, Contract&) { s.send_deadlines.now_permille = 1001; }},
    {"more than 1000",
     [](Scenario& s, Contract&) {
       s.receive_deadlines.now_permille = 600, s.receive_deadlines.at_permille = 401;
     }},
    {"deadline `now`",
     [](Scenario& s, Contract& c) { s.send_deadlines.now_permille = 1, c.deadline_now = false; }},
    {"deadlines at a time",
     [](Scenario& s, Contract& c) { s.send_deadlines.at_permille = 1, c.deadline_at = false; }},
    {"at_us", [](Scenario& s, Contract&) { s.send_deadlines.at_us = 0; }},
    {"every receive needs a deadline",
     [](Scenario& s, Contract& c) { c.message_max = s.sizes[0] = 7; }},
    {"producer_noise: more than 1000",
     [](Scenario& s, Contract&) {
       s.producer_noise.spin_permille = 999, s.producer_noise.yield_permille = 2;
     }},
    {"consumer_noise.sleep_max_us",
     [](Scenario& s, Contract&) { s.consumer_noise.sleep_max_us = 1'000'001; }},
    {"pinning", [](Scenario& s, Contract&) { s.pinning = static_cast<Pinning>(3); }},
    {"nice_max", [](Scenario& s, Contract&) { s.nice_max = 20; }},
    {"starved_worker 9", [](Scenario& s, Contract&) { s.starved_worker = 9; }},
    {"ten minutes", [](Scenario& s, Contract&) { s.gap_ms = 60'000, s.gap_after = 1; }},
    {"ten minutes",
     [](Scenario& s, Contract&) {
       s.messages = 1 << 20, s.producer_noise = {.sleep_permille = 1000, .sleep_max_us = 1'000'000};
     }},
    {"gap_ms without", [](Scenario& s, Contract&) { s.gap_ms = 1; }},
    {"gap_after 101", [](Scenario& s, Contract&) { s.gap_after = 101; }},
    {"fill_first",
     [](Scenario& s, Contract& c) { s.fill_first = true, c.deadline_now = c.deadline_at = false; }},
    {"handoff",
     [](Scenario& s, Contract& c) { s.handoff = true, c.fan_out = FanOut::bound_consumer; }},
    {"late_consumers: the contract",
     [](Scenario& s, Contract& c) {
       s.late_consumers = 1, c.late_consumer = LateConsumer::unsupported;
     }},
    {"consumers: at least one must be neither",
     [](Scenario& s, Contract&) { s.late_consumers = 4; }},
    {"consumers: at least one must be neither",
     [](Scenario& s, Contract&) { s.late_consumers = 2, s.early_consumers = 2; }},
    {"bound to one consumer",
     [](Scenario& s, Contract& c) { s.early_consumers = 1, c.fan_out = FanOut::bound_consumer; }},
    {"late_producers: the contract",
     [](Scenario& s, Contract& c) { s.late_producers = 1, c.late_producer = false; }},
    {"producers: at least one must be neither",
     [](Scenario& s, Contract&) { s.late_producers = 2, s.early_producers = 2; }},
    {"never send the half", [](Scenario& s, Contract&) { s.late_producers = 3; }},
    {"never send the half",
     [](Scenario& s, Contract&) { s.late_consumers = 1, s.early_producers = 3; }},
    {"repeat_permille", [](Scenario& s, Contract&) { s.repeat_permille = 1; }},
    {"oversize_permille",
     [](Scenario& s, Contract& c) { s.oversize_permille = 1, c.message_max = 1 << 24; }},
    {"window: 0", [](Scenario& s, Contract&) { s.window = 0; }},
    {"may be lost",
     [](Scenario& s, Contract& c) { reply(s), c.delivery = Delivery::at_most_once; }},
    {"other way round",
     [](Scenario& s, Contract&) { reply(s), s.producers = 17, s.consumers = 2; }},
    {"allow one client",
     [](Scenario& s, Contract& c) { reply(s), c.fan_out = FanOut::bound_consumer; }},
    {"must fit into one channel", [](Scenario& s, Contract&) { reply(s), s.window = 17; }},
    {"must fit into one channel",
     [](Scenario& s, Contract& c) { reply(s), s.window = 2, c.capacity_max = 0; }},
    {"must fit into one channel",
     [](Scenario& s, Contract& c) {
       reply(s), s.producers = 1, s.window = 2, c.capacity_max = 0, s.capacity = 1;
     }},
    {"request_reply: without", [](Scenario& s, Contract&) { reply(s), s.late_consumers = 1; }},
    {"request_reply: without", [](Scenario& s, Contract&) { reply(s), s.early_consumers = 1; }},
};

TEST(ScenarioFaults, NoneInASoundScenario) {
  EXPECT_THAT(scenario_faults(sound(), willing()), IsEmpty());
  Scenario replies = sound();
  reply(replies);
  replies.window = 16;
  EXPECT_THAT(scenario_faults(replies, willing()), IsEmpty());
}

TEST(ScenarioFaults, EachRule) {
  for (const Case& c : cases) {
    Scenario scenario = sound();
    Contract contract = willing();
    c.change(scenario, contract);
    EXPECT_THAT(scenario_faults(scenario, contract), Contains(HasSubstr(c.said)));
  }
}

// Overlaid by a fuzzer, any bytes are a scenario: it is refused or harmless, without overflow (run
// under UBSan).
TEST(ScenarioFaults, SurviveAnyBytes) {
  Prng rng(5);
  for (int i = 0; i < 20'000; ++i) {
    Scenario scenario = sound();
    const std::size_t from = rng.below(sizeof scenario / 4), count = 1 + rng.below(8);
    auto* words = reinterpret_cast<unsigned char*>(&scenario);
    for (std::size_t k = 4 * from; k < std::min(sizeof scenario, 4 * (from + count)); ++k) {
      words[k] = static_cast<unsigned char>(rng.next());
    }
    // A bool that is neither 0 nor 1 cannot be read: whoever overlays bytes mends those.
    for (bool* flag : {&scenario.fresh_workers, &scenario.fill_first, &scenario.handoff,
                       &scenario.count_resources, &scenario.faults.same_identity}) {
      const bool value = rng.chance(500);
      std::memcpy(flag, &value, 1);
    }
    if (scenario_faults(scenario, willing()).empty()) {
      EXPECT_LE(planned_pause_ns(scenario), 600'000'000'000);
      EXPECT_LE(scenario.lanes(), workers_max);
    }
  }
}

// Where the contract has room for one producer, those that come after each other's death are one
// at a time; and no contract need promise that others come late.
TEST(ScenarioFaults, SuccessorsAreNoCrowd) {
  Scenario s = sound();
  Contract c = willing();
  dying(s, c, 3);
  s.late_producers = 3;
  c.producers_max = 1;
  c.late_producer = false;
  EXPECT_THAT(scenario_faults(s, c), IsEmpty());
}

// Nor where the contract says how many may come over time.
TEST(ScenarioFaults, LivesAreCountedOverTime) {
  Scenario s = sound();
  Contract c = willing();
  c.producers_max = 2;
  dying(s, c, 199);
  s.producers = 200, s.late_producers = 199, s.messages = 10;
  EXPECT_THAT(scenario_faults(s, c), Contains(HasSubstr("200 producers")));
  c.lives_max = 200;
  EXPECT_THAT(scenario_faults(s, c), IsEmpty());
  s.late_producers = 197;
  EXPECT_THAT(scenario_faults(s, c), Contains(HasSubstr("200 producers"))) << "three at once";
  s.late_producers = 198, s.launch = Launch::exec;
  EXPECT_THAT(scenario_faults(s, c), Contains(HasSubstr("workers together")));
}

}  // namespace
}  // namespace ipctorture
