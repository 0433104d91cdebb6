#include "harness/scenario/generate_faults.h"

#include <algorithm>

#include "harness/scenario/fields.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t named_bytes = 8;       // messages of a scenario with deaths name themselves
constexpr std::uint64_t messages_least = 40;   // so that there is something to interrupt
constexpr std::uint32_t others_in_churn = 4;   // of the role that lives on
constexpr std::uint32_t spare_signals = 1024;  // others of this user may have some pending
constexpr std::uint32_t queue_bytes = 128 * 1024;

// Who dies in a scenario that is drawn already.
class Deaths {
 public:
  Deaths(Prng& rng, const Contract& contract, Scenario& scenario)
      : rng_(rng), c_(contract), s_(scenario) {}

  // The role that dies has nobody else who comes late or leaves early. True: churn.
  bool draw() {
    const bool wanted = rng_.chance(170);
    const bool churn = rng_.chance(120);
    const std::uint64_t roles = rng_.below(3);  // producers, consumers, both
    const std::uint64_t lives = rng_.next() >> 32;
    const bool can = s_.workload != Workload::request_reply && c_.message_max >= named_bytes;
    const bool producers = can && roles != 1 && may_be_killed(Role::producer);
    const bool consumers = can && roles != 0 && may_be_killed(Role::consumer);
    if (!wanted || (!producers && !consumers)) return false;
    s_.threads = 1;
    s_.starved_worker = 0;
    s_.late_producers = s_.late_consumers = s_.early_producers = s_.early_consumers = 0;
    for (std::uint32_t i = 0; i < s_.size_count; ++i) {
      s_.sizes[i] = std::max(named_bytes, s_.sizes[i]);
    }
    if (churn) {
      many_lives(producers ? Role::producer : Role::consumer, lives);
      return true;
    }
    s_.messages = std::max(s_.messages, messages_least);
    s_.faults.same_identity = c_.rejoins && lives % 2 == 1;
    if (producers) {
      s_.faults.producer_kills = some_die(s_.producers, s_.late_producers, Role::producer);
    }
    if (consumers) {
      s_.faults.consumer_kills = some_die(s_.consumers, s_.late_consumers, Role::consumer);
    }
    return false;
  }

 private:
  std::uint32_t peers_max(Role role) const {
    return role == Role::producer ? c_.producers_max : c_.consumers_max;
  }
  bool may_follow(Role role) const {
    return role == Role::producer || c_.late_consumer != LateConsumer::unsupported;
  }
  bool may_be_killed(Role role) const {
    const bool survived =
        role == Role::producer ? c_.survives_producer_death : c_.survives_consumer_death;
    return survived && (may_follow(role) || peers_max(role) > 1);
  }
  // How many lanes of the role there may be, dead ones and successors included, of at most `room`.
  std::uint32_t lanes_max(Role role, std::uint32_t room) const {
    if (may_follow(role) && s_.faults.same_identity) return room;
    if (!may_follow(role) || (c_.lives_max == 0 && peers_max(role) > 1)) {
      return std::min(peers_max(role), room);
    }
    return c_.lives_max == 0 ? room : std::min(std::max(c_.lives_max, peers_max(role)), room);
  }

  // Up to three die, and most have a successor.
  std::uint32_t some_die(std::uint32_t& all, std::uint32_t& late, Role role) {
    const auto kills = static_cast<std::uint32_t>(rng_.between(1, 3));
    const bool alone = rng_.chance(250);
    const std::uint32_t most = lanes_max(role, workers_max / 2);
    if (!may_follow(role)) {
      all = std::max(2u, all);
    } else {
      all = std::clamp(all, 1u, most - 1);
      if (!alone || all == 1) late = std::min(kills, most - all);
      all += late;
    }
    return std::min(kills, all - 1);
  }

  // Churn: small messages, and one role lives many short lives, one after the other. A few times
  // hundreds.
  void many_lives(Role role, std::uint64_t drawn) {
    const bool produces = role == Role::producer;
    std::uint32_t& others = produces ? s_.consumers : s_.producers;
    others = std::min(others, others_in_churn);
    s_.faults.same_identity = c_.rejoins && may_follow(role) && drawn % 2 == 1;
    const bool hundreds = drawn >> 28 < 3 && s_.launch == Launch::fork && may_follow(role);
    const std::uint32_t most = lanes_max(role, hundreds ? lives_max : workers_max - others);
    const auto all = static_cast<std::uint32_t>(2 + drawn % (most - 1));
    (produces ? s_.producers : s_.consumers) = all;
    (produces ? s_.faults.producer_kills : s_.faults.consumer_kills) = all - 1;
    if (may_follow(role)) (produces ? s_.late_producers : s_.late_consumers) = all - 1;
    const std::uint32_t least = std::max({named_bytes, c_.message_min, least_value()});
    s_.size_count = 1;
    s_.sizes = {
        std::clamp(std::min(s_.sizes[0], 64u), std::min(least, c_.message_max), c_.message_max)};
    s_.fill_first = s_.handoff = false;
    s_.messages = produces ? rng_.between(2, 12) : rng_.between(20, 100);
  }
  std::uint32_t least_value() const { return s_.workload == Workload::latest_value ? 16 : 0; }

  Prng& rng_;
  const Contract& c_;
  Scenario& s_;
};

// Short ones; ones that outlast the scenario's deadlines; and rarely, for it takes long, one that
// outlasts the progress bound.
void draw_stops(Prng& rng, const Contract& contract, const Scenario& s, Faults& f) {
  const std::uint64_t style = rng.below(80);
  f.pauses = static_cast<std::uint32_t>(rng.between(1, 4));
  f.pause_us = static_cast<std::uint32_t>(draw_magnitude(rng, 200, 5000));
  const std::uint32_t ahead_us = std::max(s.send_deadlines.at_us, s.receive_deadlines.at_us);
  if (style < 20) f.pause_us = std::min(ahead_us, 30'000u) * 3 / 2;
  if (style == 79) {
    const std::uint64_t bound_us = std::uint64_t{contract.progress_bound_ms} * 1000;
    f.pauses = 1;
    f.pause_us = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(bound_us + bound_us / 10, scenario_limits::stop_us_max));
  }
}

}  // namespace

std::uint64_t draw_magnitude(Prng& rng, std::uint64_t low, std::uint64_t high) {
  unsigned doublings = 0;
  while ((low << (doublings + 1)) <= high) ++doublings;
  const std::uint64_t floor = low << rng.below(doublings + 1u);
  return rng.between(floor, std::min(high, floor * 2 - 1));
}

bool draw_kills(Prng& rng, const Contract& contract, Scenario& scenario) {
  return Deaths(rng, contract, scenario).draw();
}

void draw_disturbances(Prng& rng, const Contract& contract, Scenario& s) {
  if (rng.chance(100)) draw_stops(rng, contract, s, s.faults);
  if (rng.chance(100)) {
    s.faults.signals = static_cast<std::uint32_t>(draw_magnitude(rng, 20, 400));
    s.faults.signal_gap_us = static_cast<std::uint32_t>(draw_magnitude(rng, 50, 400));
  }
  if (rng.chance(50)) {
    s.faults.spare_descriptors =
        spare_descriptors_least(s) + static_cast<std::uint32_t>(rng.below(8));
    s.faults.spare_signals = spare_signals;
    s.faults.queue_bytes = queue_bytes;
  }
  // Drawn apart, so that the scenarios of a seed are otherwise those of earlier versions.
  Prng calls(mix64(s.seed ^ 0x63616c6c73));
  if (calls.chance(80)) {
    s.faults.short_calls = static_cast<std::uint32_t>(draw_magnitude(calls, 20, 5000));
  }
  if (calls.chance(s.faults.short_calls > 0 ? 250 : 35)) {  // often both
    s.faults.failing_calls = static_cast<std::uint32_t>(draw_magnitude(calls, 10, 1000));
  }
}

}  // namespace ipctorture
