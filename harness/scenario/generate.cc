// generate: swarm style. Each feature is switched on with a small chance of its own, so that most
// scenarios lack most features: one feature often masks another (traffic hides lost wake-ups, a
// slow consumer hides races at empty). Interesting values are drawn far more often than uniform
// ones: one peer or as many as allowed, sizes around powers of two and PIPE_BUF, capacities of 1-8,
// counters about to wrap.
//
// Everything is drawn from one Prng in a fixed order, with integers only, so equal arguments give
// equal scenarios on every machine. Whatever is drawn is then cut to the budget (`shorten`), from
// the estimate below; a machine that is slower than the estimate just takes longer.
#include "harness/scenario/generate.h"

#include <algorithm>
#include <limits>

#include "harness/base/prng.h"
#include "harness/scenario/fields.h"
#include "harness/scenario/generate_faults.h"

namespace ipctorture {
namespace {

constexpr std::int64_t message_ns = 2000;          // of a message, beside its bytes
constexpr std::int64_t timer_slack_us = 60;        // what a sleep takes beyond what was asked
constexpr std::uint64_t channel_bytes = 16 << 20;  // fits a container's 64 MB of shared memory
constexpr std::uint32_t capacity_drawn_max = 64;
constexpr std::uint32_t pipe_buf = 4096;

// The contract's largest message, as far as scenarios go.
std::uint32_t message_limit(const Contract& contract) {
  return std::min<std::uint32_t>(contract.message_max, scenario_limits::message_bytes_max);
}

std::int64_t sleeps_us(const Noise& noise) {  // per thousand operations
  return noise.sleep_permille * (noise.sleep_max_us / 2 + timer_slack_us);
}

// What a scenario takes, in ns, on an idle machine: the shared transport, then whichever side
// sleeps longer, then the pauses.
std::int64_t estimated_ns(const Scenario& s) {
  std::int64_t bytes = 0;
  for (std::uint32_t i = 0; i < s.size_count; ++i) bytes += s.sizes[i];
  const std::int64_t readers = s.workload == Workload::broadcast ? s.consumers + 1 : 1;
  const std::int64_t replies = s.workload == Workload::request_reply ? 2 : 1;
  const auto messages = static_cast<std::int64_t>(s.messages);
  const std::int64_t all = messages * s.producers;
  const std::int64_t moving = all * replies * (message_ns + bytes / s.size_count * readers);
  const std::int64_t producer_us = messages * sleeps_us(s.producer_noise) / 1000;
  const std::int64_t share = s.workload == Workload::stream ? all / s.consumers : all;
  const std::int64_t consumer_us = share * sleeps_us(s.consumer_noise) / 1000;
  std::int64_t starved_us = 0;
  if (s.starved_worker > 0) {
    starved_us =
        std::max(messages, share) / 3 *
        (std::max(s.producer_noise.sleep_max_us, s.consumer_noise.sleep_max_us) + timer_slack_us);
  }
  return moving + (std::max(producer_us, consumer_us) + starved_us) * 1000 + planned_pause_ns(s);
}

bool can_fill(const Contract& c) {
  return c.delivery != Delivery::latest_value &&
         (c.when_full != WhenFull::blocks || c.deadline_now || c.deadline_at);
}

bool can_hand_off(const Contract& c) {
  return c.delivery == Delivery::exactly_once && c.fan_out == FanOut::any_consumer &&
         c.message_max >= 8;
}

// Deadlines that make patient receives end by themselves, but late: a receive sleeps through the
// gap of 1.1 bounds, and then a stall must have lasted for more than one bound before it is told.
DeadlineMix late_deadlines(const Contract& c) {
  const std::uint64_t at_us = std::uint64_t{c.progress_bound_ms} * 3500;
  if (!c.deadline_at || at_us > scenario_limits::deadline_us_max) return {};
  return {.at_permille = 1000, .at_us = static_cast<std::uint32_t>(at_us)};
}

class Draw {
 public:
  Draw(std::uint64_t seed, std::string_view transport, const Contract& contract,
       const GenerateOptions& options)
      : rng_(mix64(seed) ^ generator_version), c_(contract), options_(options) {
    s_.set_transport(transport);
    s_.seed = seed;
  }

  Scenario scenario() {
    workload();
    launch();
    peers();
    sizes();
    capacity();
    deadlines();
    noise();
    messages();
    rhythm();
    comings_and_goings();
    extras();
    const bool churn = draw_kills(rng_, c_, s_);
    if (churn) gaps_ = 0;
    shorten();
    gaps();
    draw_disturbances(rng_, c_, s_);
    return s_;
  }

 private:
  bool latest() const { return c_.delivery == Delivery::latest_value; }
  bool broadcast() const { return !latest() && c_.fan_out == FanOut::broadcast; }
  bool replies() const { return s_.workload == Workload::request_reply; }
  std::uint64_t magnitude(std::uint64_t low, std::uint64_t high) {
    return draw_magnitude(rng_, low, high);
  }

  void workload() {
    s_.workload = latest()      ? Workload::latest_value
                  : broadcast() ? Workload::broadcast
                                : Workload::stream;
    const bool can_reply = s_.workload == Workload::stream && c_.message_max >= 8 &&
                           c_.delivery == Delivery::exactly_once &&
                           c_.when_full != WhenFull::drops_newest &&
                           c_.ordering != Ordering::priority;
    if (rng_.chance(120) && can_reply) s_.workload = Workload::request_reply;
  }

  void launch() {
    const bool drawn = rng_.chance(30) && options_.allow_exec;
    const bool exec = (drawn || options_.only_exec) && c_.attach == AttachBy::named;
    s_.launch = exec || c_.exec_only ? Launch::exec : Launch::fork;
    s_.fresh_workers = rng_.chance(300) || s_.launch == Launch::exec;
  }

  std::uint32_t peer_count(std::uint32_t max) {
    switch (rng_.below(4)) {
      case 0:
        return max;
      case 1:
        return static_cast<std::uint32_t>(rng_.between(1, max));
      default:
        return 1;
    }
  }
  void peers() {
    std::uint32_t producers_max = std::min(c_.producers_max, workers_max / 2);
    std::uint32_t consumers_max = std::min(c_.consumers_max, workers_max / 2);
    if (c_.message_max < 8) producers_max = std::min(producers_max, 8u);
    if (replies()) {
      producers_max = consumers_max = std::min(producers_max, consumers_max);
      if (c_.fan_out != FanOut::any_consumer) producers_max = 1;
    }
    s_.producers = peer_count(producers_max);
    s_.consumers = peer_count(consumers_max);
    s_.threads =
        rng_.chance(200) && c_.threads ? static_cast<std::uint32_t>(rng_.between(2, 3)) : 1;
  }

  // The smallest size to draw: what the contract and the checkers need.
  std::uint32_t least_size() const {
    std::uint32_t least = 0;
    if (s_.workload == Workload::latest_value) {
      least = 16;
    } else if (s_.workload != Workload::stream || s_.producers > 8) {
      least = 8;
    } else if (s_.producers > 1 || c_.delivery == Delivery::at_most_once) {
      least = 1;  // an empty message tells nothing of its producer
    }
    return std::max(c_.message_min, std::min(least, message_limit(c_)));
  }
  std::uint32_t neighbour_size(std::uint32_t least, std::uint32_t most) {
    std::uint64_t size = 0;
    switch (rng_.below(6)) {
      case 0:
        size = least + rng_.below(2);
        break;
      case 1:
        size = most - rng_.below(2);
        break;
      case 2:
        size = pipe_buf - 1 + rng_.below(3);
        break;
      case 3: {
        const std::uint64_t step = rng_.below(21);
        size = (std::uint64_t{1} << step) + rng_.below(3) - 1;
        break;
      }
      case 4:
        size = rng_.between(7, 9);
        break;
      default:
        size = magnitude(1, std::max(1u, most));
    }
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(size, least, most));
  }
  void sizes() {
    const std::uint32_t least = least_size();
    const std::uint32_t most = message_limit(c_);
    // Small ones are common: they are cheap, so there are many, so races are met more often.
    const std::uint32_t small = std::clamp(256u, least, most);
    s_.sizes.fill(0);
    const std::uint64_t style = rng_.below(10);
    s_.size_count = style < 5 ? 1 : static_cast<std::uint32_t>(rng_.between(2, 6));
    const std::uint32_t bound = style % 2 == 0 ? small : most;
    for (std::uint32_t i = 0; i < s_.size_count; ++i) s_.sizes[i] = neighbour_size(least, bound);
    if (style == 9) {  // the two ends together
      s_.sizes[0] = least;
      s_.sizes[1] = most;
    }
  }

  void capacity() {
    const bool tiny = rng_.chance(600);
    std::uint32_t most = tiny ? 8 : capacity_drawn_max;
    if (c_.capacity_max > 0) most = std::min(most, c_.capacity_max);
    const std::uint64_t bytes = std::uint64_t{std::max(8u, s_.largest_message())} * s_.channels();
    most = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, channel_bytes / bytes));
    s_.capacity = static_cast<std::uint32_t>(rng_.between(1, std::max(1u, most)));
    if (replies() && rng_.chance(500)) {
      const std::uint32_t in_flight = c_.capacity_max > 0           ? s_.capacity
                                      : s_.largest_message() <= 512 ? std::min(4u, s_.capacity)
                                                                    : 1u;
      s_.window = std::max(1u, in_flight / s_.producers);
    }
    switch (rng_.below(6)) {
      case 0:
        s_.counter_start = (std::uint64_t{1} << 16) - rng_.between(1, 64);
        break;
      case 1:
        s_.counter_start = (std::uint64_t{1} << 31) - rng_.between(1, 64);
        break;
      case 2:
        s_.counter_start = (std::uint64_t{1} << 32) - rng_.between(1, 64);
        break;
      default:
        s_.counter_start = 0;
    }
  }

  DeadlineMix mix() {
    DeadlineMix mix;
    const std::uint64_t style = rng_.below(8);
    const auto share = static_cast<std::uint16_t>(rng_.chance(300) ? 1000 : rng_.between(50, 500));
    constexpr std::uint32_t ahead_us[] = {20, 200, 1000, 5000, 30'000};
    mix.at_us = ahead_us[rng_.below(5)];
    if ((style == 4 || style == 5) && c_.deadline_now) mix.now_permille = share;
    if ((style == 6 || style == 5) && c_.deadline_at) {
      mix.at_permille = static_cast<std::uint16_t>(std::min(1000 - mix.now_permille, int{share}));
    }
    return mix;  // the other styles: never
  }
  void deadlines() {
    s_.send_deadlines = mix();
    s_.receive_deadlines = mix();
    if (c_.reports_closed || c_.message_max >= 8) return;
    // No mark can end these consumers: every receive needs a deadline.
    DeadlineMix& receive = s_.receive_deadlines;
    if (c_.deadline_at) {
      receive.at_permille = static_cast<std::uint16_t>(1000 - receive.now_permille);
    } else if (c_.deadline_now) {
      receive.now_permille = 1000;
    }
  }

  Noise some_noise() {
    Noise noise;
    if (rng_.chance(200)) noise.yield_permille = static_cast<std::uint16_t>(rng_.between(10, 300));
    if (rng_.chance(200)) {
      noise.spin_permille = static_cast<std::uint16_t>(rng_.between(10, 400));
      noise.spin_max_ns = static_cast<std::uint32_t>(magnitude(100, 20'000));
    }
    if (rng_.chance(120)) {
      noise.sleep_permille = static_cast<std::uint16_t>(rng_.between(5, 100));
      noise.sleep_max_us = static_cast<std::uint32_t>(magnitude(10, 500));
    }
    return noise;
  }
  void noise() {
    s_.producer_noise = some_noise();
    s_.consumer_noise = some_noise();
    const std::uint64_t pinned = rng_.below(8);
    if (pinned == 0) s_.pinning = Pinning::one_core;
    if (pinned == 1) s_.pinning = Pinning::spread;  // on one core the same as none
    if (rng_.chance(80)) s_.nice_max = static_cast<std::uint32_t>(rng_.between(1, 19));
    const std::uint64_t starved = rng_.below(s_.lanes());
    if (rng_.chance(60)) {
      const std::uint32_t threads = s_.threads;
      const std::uint32_t workers =
          (s_.producers + threads - 1) / threads + (s_.consumers + threads - 1) / threads;
      s_.starved_worker = static_cast<std::uint32_t>(1 + starved % workers);
    }
  }

  void messages() {
    const std::uint64_t lower = std::max<std::uint64_t>(4, 16 / s_.producers);
    s_.messages = magnitude(lower, 1000);
    // Short messages carry few bits of their sequence; a little wrapping is wanted, much is not.
    const std::uint32_t smallest =
        *std::min_element(s_.sizes.begin(), s_.sizes.begin() + s_.size_count);
    if (smallest < 2) s_.messages = std::min<std::uint64_t>(s_.messages, smallest == 0 ? 24 : 48);
  }

  void rhythm() {
    if (rng_.chance(120)) {
      s_.burst = static_cast<std::uint32_t>(magnitude(2, 64));
      s_.burst_pause_us = static_cast<std::uint32_t>(magnitude(10, 2000));
    }
    if (rng_.chance(100)) s_.consumer_delay_us = static_cast<std::uint32_t>(magnitude(1, 200));
    s_.fill_first = rng_.chance(120) && can_fill(c_) && !replies();
    if (rng_.chance(150) && !replies()) {
      gaps_ = rng_.between(1, 2);
      s_.gap_ms = static_cast<std::uint32_t>(magnitude(1, 20));
    }
    s_.handoff = rng_.chance(250) && can_hand_off(c_) && !replies();
  }

  // At most half of the producers come late or leave early, so that the half of all messages for
  // which late ones wait is sent without them. At least one consumer is there all the time.
  void comings_and_goings() {
    const bool late_consumers = rng_.chance(150);
    const bool late_producers = rng_.chance(150);
    const bool early = rng_.chance(150);
    const bool early_consumers = rng_.chance(200);
    const std::uint64_t pick = rng_.next() >> 32;
    const std::uint64_t leaving = rng_.next() >> 32;
    if (replies()) return;
    if (late_consumers && s_.consumers > 1 && c_.late_consumer != LateConsumer::unsupported) {
      s_.late_consumers = static_cast<std::uint32_t>(1 + pick % (s_.consumers - 1));
    }
    const std::uint32_t may_leave = s_.consumers - 1 - s_.late_consumers;
    if (early_consumers && may_leave > 0 && c_.fan_out != FanOut::bound_consumer) {
      s_.early_consumers = static_cast<std::uint32_t>(1 + leaving % may_leave);
    }
    if (s_.producers < 2) return;
    const auto leavers = static_cast<std::uint32_t>(1 + pick % (s_.producers / 2));
    if (late_producers && c_.late_producer) {
      s_.late_producers = leavers;
    } else if (early) {
      s_.early_producers = leavers;
    }
  }

  void extras() {
    if (rng_.chance(300) && latest()) {
      s_.repeat_permille = static_cast<std::uint16_t>(magnitude(50, 900));
    }
    const bool oversize = rng_.chance(100);
    if (oversize && c_.message_max <= scenario_limits::message_bytes_max) {
      s_.oversize_permille = static_cast<std::uint16_t>(magnitude(20, 300));
    }
    s_.count_resources = rng_.chance(50);
  }

  std::int64_t estimate() const {
    return estimated_ns(s_) + static_cast<std::int64_t>(gaps_ * s_.gap_ms) * 1'000'000;
  }
  bool above_budget() const { return estimate() > options_.budget_ns; }
  // Fewer messages first; then the features that sleep, one after the other; then fewer still.
  void shorten() {
    fewer_messages(std::min<std::uint64_t>(s_.messages, 10));
    if (above_budget() && gaps_ > 0) {
      gaps_ = 1;
      s_.gap_ms = std::min(s_.gap_ms, 2u);
    }
    if (above_budget()) s_.starved_worker = 0;
    if (above_budget()) s_.consumer_delay_us = 0;
    if (above_budget()) s_.burst = s_.burst_pause_us = 0;
    if (above_budget()) s_.producer_noise.sleep_permille = s_.consumer_noise.sleep_permille = 0;
    fewer_messages(4);
  }
  void fewer_messages(std::uint64_t least) {
    while (above_budget() && s_.messages > least) {
      s_.messages = std::max(least, s_.messages - (s_.messages + 3) / 4);
    }
  }
  void gaps() {
    if (gaps_ == 0) {
      s_.gap_ms = 0;
      return;
    }
    s_.gap_after = s_.messages / (gaps_ + 1) + 1;
    // Now and then long enough that a receive which overstays its deadline shows.
    if (s_.receive_deadlines.at_permille > 0 && rng_.chance(300)) {
      gaps_ = 1;
      s_.gap_after = s_.messages / 2 + 1;
      s_.gap_ms = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(3 * c_.deadline_slack_ms, scenario_limits::gap_ms_max));
    }
  }

  Prng rng_;
  const Contract& c_;
  const GenerateOptions& options_;
  Scenario s_;
  std::uint64_t gaps_ = 0;
};

}  // namespace

Scenario generate(std::uint64_t seed, std::string_view transport, const Contract& contract,
                  const GenerateOptions& options) {
  return Draw(seed, transport, contract, options).scenario();
}

Scenario generate_patient(std::uint64_t seed, std::string_view transport, const Contract& contract,
                          const GenerateOptions& options) {
  Prng rng(mix64(seed) + generator_version);
  Scenario s;
  s.set_transport(transport);
  s.seed = seed;
  const bool latest = contract.delivery == Delivery::latest_value;
  const bool broadcast = !latest && contract.fan_out == FanOut::broadcast;
  s.workload = latest ? Workload::latest_value : broadcast ? Workload::broadcast : Workload::stream;
  const bool exec = options.only_exec && contract.attach == AttachBy::named;
  s.launch = contract.exec_only || exec ? Launch::exec : Launch::fork;
  s.producers = std::min(contract.producers_max, static_cast<std::uint32_t>(rng.between(1, 2)));
  s.consumers = std::min(contract.consumers_max, static_cast<std::uint32_t>(rng.between(1, 3)));
  s.sizes.fill(0);
  // Where bytes decide what is full, larger ones get there.
  s.sizes[0] = std::clamp(contract.capacity_max > 0 ? 64u : 1024u, contract.message_min,
                          contract.message_max);
  const auto capacity = static_cast<std::uint32_t>(rng.between(1, 8));
  s.capacity = contract.capacity_max > 0 ? std::min(contract.capacity_max, capacity) : capacity;
  s.messages = rng.between(20, 60);
  // The gap comes before the last message of each producer: it must wake a consumer by itself.
  s.gap_after = s.messages - 1;
  s.gap_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      scenario_limits::gap_ms_max,
      contract.progress_bound_ms + std::uint64_t{contract.progress_bound_ms} / 10 + 1));
  s.fill_first = can_fill(contract);
  s.handoff = can_hand_off(contract);
  const bool late = rng.chance(500);
  if (!contract.reports_closed && contract.message_max < 8) {
    if (contract.deadline_at) {
      s.receive_deadlines.at_permille = 1000;
    } else if (contract.deadline_now) {
      s.receive_deadlines.now_permille = 1000;
    }
  } else if (late) {
    s.receive_deadlines = late_deadlines(contract);
  }
  return s;
}

std::uint64_t case_seed(std::uint64_t campaign_seed, std::string_view transport, std::uint64_t k) {
  std::uint64_t name = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : transport) name = (name ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix64(mix64(campaign_seed ^ mix64(name)) + k);
}

}  // namespace ipctorture
