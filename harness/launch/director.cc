#include "harness/launch/director.h"

#include <algorithm>

#include "harness/launch/worker_output.h"

namespace ipctorture {
namespace {

constexpr std::int64_t quiet_ns =
    3'000'000;  // nothing moved for so long: what can be lost was lost
// The same where somebody died and nobody can count; a consumer may not have been run meanwhile.
constexpr std::int64_t quiet_after_death_ns = 10'000'000;
constexpr std::int64_t mark_again_ns = 200'000'000;  // it went with a dead consumer
constexpr std::int64_t tick_short_ns = 100'000;
constexpr std::int64_t tick_max_ns = 20'000'000;
constexpr std::int64_t tick_long_ns = 4'000'000;  // while traffic flows
constexpr unsigned mark_attempts_max = 200;       // at most once: marks get lost too

std::vector<LanePlan> plans_of(const Scenario& scenario) {
  std::vector<LanePlan> plans;
  for (unsigned lane = 0; lane < scenario.lanes(); ++lane) {
    plans.push_back(plan_lane(scenario, lane));
  }
  return plans;
}

std::vector<unsigned> identities_of(const std::vector<LanePlan>& plans) {
  std::vector<unsigned> identities;
  for (const LanePlan& plan : plans) identities.push_back(plan.index);
  return identities;
}

constexpr std::int64_t as_ns(std::uint32_t ms) { return std::int64_t{ms} * 1'000'000; }

}  // namespace

Director::Director(Crew& crew, Watch& watch, const Scenario& scenario, const Contract& contract,
                   const std::atomic<bool>* interrupted)
    : crew_(crew),
      watch_(watch),
      scenario_(scenario),
      contract_(contract),
      interrupted_(interrupted),
      plans_(plans_of(scenario)),
      identity_(identities_of(plans_)),
      worker_gone_(worker_count(scenario)),
      serial_(scenario.lanes()),
      nemesis_(crew, watch, scenario, plans_) {}

void Director::soak(const Soak& soak, std::uint64_t lane_room,
                    std::function<bool(const Round&)> end_round) {
  soak_ = &soak;
  lane_room_ = lane_room;
  end_round_ = std::move(end_round);
}

void Director::lead(const std::function<void()>& all_attached) {
  began_ = counted_at_ = heads_at_ = monotonic_now();
  const bool attached = attach();
  all_attached();
  const bool flowed = attached && fill() && traffic() && rounds() && settle();
  if (!marked_) round_.flowed_ns = monotonic_now() - began_;
  if (flowed && (marked_ || send_marks()) && hand_off()) close();
  end_everyone();
  // A sanitizer need not end a worker that it has something to say of.
  for (unsigned worker = 0; worker < worker_gone_.size(); ++worker) {
    if (!worker_gone_[worker]) note_report(worker, crew_.output(worker));
  }
}

void Director::note_report(unsigned worker, const std::string& output) {
  std::string report = find_report(output);
  if (report.empty()) return;
  watch_.add({.fact = Fact::sanitizer,
              .lane = first_lane(worker),
              .to = watch_.stamp(),
              .text = std::move(report)});
}

int Director::first_lane(unsigned worker) const {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const LanePlan& plan) { return plan.worker == worker; });
  return found == plans_.end() ? -1 : static_cast<int>(found->lane);
}

// --- stages
// ----------------------------------------------------------------------------------------

bool Director::attach() {
  const bool ready = await([&] {
    return std::all_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
      return plan.late || waits(plan.lane) || ended(plan.lane);
    });
  });
  if (!ready) return false;
  if (any_failed()) {
    over_ = true;
    return false;
  }
  late_started_ = std::none_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
    return plan.late && !is_successor(plan);
  });
  nemesis_.begin();
  for (const LanePlan& plan : plans_) {
    const bool held = scenario_.fill_first && plan.role == Role::consumer;
    if (!plan.late && !held) order(plan.lane, Order::run);
  }
  return true;
}

bool Director::fill() {
  if (!scenario_.fill_first || scenario_.workload == Workload::request_reply) return true;
  const bool filled = await([&] {
    return all_producers(
        [&](unsigned lane) { return plans_[lane].late || waits(lane) || ended(lane); });
  });
  if (!filled) return false;
  for (const LanePlan& plan : plans_) {
    if (!plan.late && !ended(plan.lane)) order(plan.lane, Order::run);
  }
  return true;
}

bool Director::traffic() {
  for (;;) {
    bool paused = false;
    const bool reached = await([&] {
      if (round_.number > 1) rouse_consumers();
      start_late_ones(/*now=*/accepted() * 2 >= scenario_.messages * scenario_.producers);
      const bool resting =
          all_producers([&](unsigned lane) { return away(lane) || waits(lane) || ended(lane); });
      if (!resting) return false;
      paused = !all_producers([&](unsigned lane) {
        return crew_.lane(lane).state() != LaneState::parked || ended(lane);
      });
      return paused || (start_late_ones(/*now=*/true) && faults_are_over());
    });
    if (!reached) return false;
    if (!paused) return true;
    if (!gap()) return false;
  }
}

// True when nobody is late any more; when `now`, lets the late ones in.
bool Director::start_late_ones(bool now) {
  if (late_started_) return true;
  if (!now) return false;
  late_started_ = true;
  for (const LanePlan& plan : plans_) {
    if (plan.late && !is_successor(plan)) order(plan.lane, Order::run);
  }
  return false;  // they have yet to come to rest
}

// Producers rest. Whoever reports `closed` may wait for all that were announced: those that nobody
// had to succeed come now, as many at once as the contract has room for. Not where there is room
// for one alone, whose leaving is the end.
bool Director::faults_are_over() {
  if (!nemesis_.finish()) return false;
  const bool all_come = contract_.reports_closed && contract_.producers_max > 1 &&
                        !scenario_.faults.same_identity && !died_leaving_;
  bool all_in = true;
  for (const LanePlan& plan : plans_) {
    if (plan.role == Role::consumer) {
      all_in = all_in && (away(plan.lane) || ended(plan.lane) || obeyed(plan.lane));
    } else if (away(plan.lane) && is_successor(plan) && all_come) {
      if (!has_room_for_producer()) return false;
      order(plan.lane, Order::run);
      all_in = false;
    }
  }
  return all_in;
}

// If not, one that has nothing left to send is told to leave.
bool Director::has_room_for_producer() {
  unsigned present = 0;
  int rests = -1;
  for (const LanePlan& plan : plans_) {
    if (plan.role == Role::consumer || away(plan.lane) || ended(plan.lane)) continue;
    ++present;
    if (waits(plan.lane)) rests = static_cast<int>(plan.lane);
  }
  if (present < contract_.producers_max) return true;
  if (rests >= 0) order(static_cast<unsigned>(rests), Order::close);
  return false;
}

bool Director::away(unsigned lane) const { return plans_[lane].late && serial_[lane] == 0; }

bool Director::gap() {
  if (!settle()) return false;
  const Instant until = monotonic_now() + as_ns(scenario_.gap_ms);
  quiet_is_planned_ = true;
  const bool waited = await([&] { return monotonic_now() >= until; });
  quiet_is_planned_ = false;
  if (!waited) return false;
  // A lane resting in sent_all waits for marks and orders of the end; only paused ones go on.
  for (const LanePlan& plan : plans_) {
    const bool paused = plan.role == Role::producer &&
                        crew_.lane(plan.lane).state() == LaneState::parked && waits(plan.lane);
    if (paused && !ended(plan.lane)) order(plan.lane, Order::run);
  }
  return true;
}

// Until everything accepted was received, or what may be lost is.
bool Director::settle() {
  return await([&] { return everything_received(); });
}

bool Director::send_marks() {
  if (contract_.reports_closed && !scenario_.handoff && soak_ == nullptr) return true;
  const bool each =
      contract_.fan_out != FanOut::broadcast && contract_.delivery != Delivery::latest_value;
  const auto consumers_rest = [&] {
    return std::all_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
      return plan.role == Role::producer || waits(plan.lane) || ended(plan.lane) || away(plan.lane);
    });
  };
  const int lane = sender();
  if (lane < 0) return true;
  crew_.lane(static_cast<unsigned>(lane))
      .header()
      .order_kind.store(static_cast<std::uint32_t>(MessageKind::mark));
  const bool may_lose = contract_.delivery == Delivery::at_most_once;
  const bool again = may_lose || nemesis_.deaths() > 0;
  for (unsigned attempts = again ? mark_attempts_max : 1; attempts > 0; --attempts) {
    const unsigned count = each ? consumers_left() : 1;
    if (!order_and_await(static_cast<unsigned>(lane), Order::send, count)) return false;
    const Instant patience = monotonic_now() + (may_lose ? quiet_ns * 4 : mark_again_ns);
    const bool reached =
        await([&] { return consumers_rest() || (attempts > 1 && monotonic_now() >= patience); });
    if (!reached) return false;
    if (consumers_rest()) return true;
  }
  return true;
}

// Those that a mark can reach. Data comes before marks: who left early, or is about to, has its
// quota by now.
unsigned Director::consumers_left() const {
  unsigned left = 0;
  for (const LanePlan& plan : plans_) {
    if (plan.role == Role::producer || ended(plan.lane) || away(plan.lane)) continue;
    if (nemesis_.deaths() > 0 && waits(plan.lane)) continue;
    const std::uint64_t got =
        crew_.lane(plan.lane).header().received.load(std::memory_order_acquire);
    left += plan.leaves_early && got >= plan.quota ? 0 : 1;
  }
  return left;
}

bool Director::hand_off() {
  if (!scenario_.handoff) return true;
  const int lane = sender();
  if (lane < 0) return true;
  crew_.lane(static_cast<unsigned>(lane))
      .header()
      .order_kind.store(static_cast<std::uint32_t>(MessageKind::handoff));
  for (const LanePlan& plan : plans_) {
    if (plan.role != Role::consumer || !waits(plan.lane)) continue;
    order(plan.lane, Order::receive, 1);
    if (!order_and_await(static_cast<unsigned>(lane), Order::send, 1)) return false;
    if (!await([&] { return waits(plan.lane) || ended(plan.lane); })) return false;
  }
  return true;
}

bool Director::close() {
  for (const LanePlan& plan : plans_) {
    if (ended(plan.lane)) continue;
    // Who reports closed is received from until then (argument 0); the order to close comes after
    // it.
    const bool until_closed =
        plan.role == Role::consumer && contract_.reports_closed && !away(plan.lane);
    if (!until_closed) {
      order(plan.lane, Order::close);
    } else if (waits(plan.lane)) {
      order(plan.lane, Order::receive, 0);
    }
  }
  return await([&] {
    bool all_finished = true;
    for (const LanePlan& plan : plans_) {
      if (plan.role == Role::consumer && contract_.reports_closed && waits(plan.lane)) {
        order(plan.lane, Order::close);
      }
      all_finished = all_finished && (worker_gone_[plan.worker] || crew_.finished(plan.worker));
    }
    return all_finished;
  });
}

void Director::end_everyone() {
  nemesis_.let_go();
  const unsigned workers = worker_count(scenario_);
  for (unsigned worker = 0; worker < workers; ++worker) {
    if (crew_.finished(worker) || worker_gone_[worker]) continue;
    for (const LanePlan& plan : plans_) {
      if (plan.worker != worker || crew_.lane(plan.lane).state() == LaneState::done) continue;
      watch_.add({.fact = Fact::killed, .lane = static_cast<int>(plan.lane), .to = watch_.stamp()});
    }
    crew_.kill(worker);
  }
  for (unsigned worker = 0; worker < workers;) {
    if (crew_.finished(worker)) {
      ++worker;
      continue;
    }
    crew_.wait(Deadline::in(std::chrono::milliseconds(5)));
    crew_.collect_exits();
  }
  crew_.collect_exits();
}

bool Director::await(const Condition& condition) {
  // Looking takes a core from the workers for a moment: the longer they run, the rarer.
  for (std::int64_t tick_ns = tick_short_ns; !over_;
       tick_ns = std::min(tick_ns * 2, tick_long_ns)) {
    if (condition()) return true;
    const Instant now = monotonic_now();
    pump(std::min(now + (quiet_is_planned_ ? tick_max_ns : tick_ns), nemesis_.next_look(now)));
  }
  return false;
}

// --- looking at lanes
// ------------------------------------------------------------------------------

void Director::order(unsigned lane, Order order, unsigned argument) {
  const std::uint32_t word =
      static_cast<std::uint32_t>(order) | (argument & 0xffff) << 8 | ++serial_[lane] << 24;
  crew_.give_order(crew_.lane(lane), word);
}

bool Director::order_and_await(unsigned lane, Order what, unsigned argument) {
  order(lane, what, argument);
  return await([&] { return waits(lane) || ended(lane); });
}

bool Director::obeyed(unsigned lane) const {
  const LaneHeader& header = crew_.lane(lane).header();
  return header.obeyed.load(std::memory_order_acquire) == header.order.load();
}

bool Director::waits(unsigned lane) const {
  // The order of these two loads matters: the lane publishes its state before what it obeyed.
  if (!obeyed(lane)) return false;
  const LaneState state = crew_.lane(lane).state();
  return state == LaneState::ready || state == LaneState::parked || state == LaneState::sent_all;
}

bool Director::ended(unsigned lane) const {
  const LaneState state = crew_.lane(lane).state();
  return state == LaneState::done || state == LaneState::failed ||
         worker_gone_[plans_[lane].worker];
}

bool Director::everything_received() {
  if (gave_up_at_ != 0) return true;
  const bool counts_tell =
      contract_.delivery == Delivery::exactly_once && contract_.fan_out != FanOut::broadcast;
  // Received first: what is accepted later does not matter, producers rest.
  if (counts_tell) {
    const std::uint64_t got = received();
    const bool all = got >= accepted();
    if (all || nemesis_.deaths() == 0) return all;
  }
  const Instant now = monotonic_now();
  const std::uint64_t all_heads = heads();
  if (all_heads != seen_heads_) {
    seen_heads_ = all_heads;
    heads_at_ = now;
  }
  // Consumers that poll never rest their journals: their counters tell.
  const std::uint64_t counted = accepted() + received();
  if (counted != counted_) {
    counted_ = counted;
    counted_at_ = now;
  }
  if (nemesis_.holds()) counted_at_ = now;
  return now - counted_at_ >= (nemesis_.deaths() > 0 ? quiet_after_death_ns : quiet_ns);
}

std::uint64_t Director::accepted() const {
  std::uint64_t sum = 0;
  for (const LanePlan& plan : plans_) {
    sum += crew_.lane(plan.lane).header().accepted.load(std::memory_order_acquire);
  }
  return sum;
}

std::uint64_t Director::received() const {
  std::uint64_t sum = 0;
  for (const LanePlan& plan : plans_) {
    sum += crew_.lane(plan.lane).header().received.load(std::memory_order_acquire);
  }
  return sum;
}

std::uint64_t Director::heads() const {
  std::uint64_t sum = 0;
  for (const LanePlan& plan : plans_) {
    sum += crew_.lane(plan.lane).header().head.load(std::memory_order_acquire);
  }
  return sum;
}

bool Director::any_failed() const {
  return std::any_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
    return crew_.lane(plan.lane).state() == LaneState::failed;
  });
}

int Director::sender() const {
  for (unsigned lane = scenario_.producers; lane-- > 0;) {
    if (waits(lane) && !ended(lane)) return static_cast<int>(lane);
  }
  return -1;
}

bool Director::all_producers(const std::function<bool(unsigned)>& predicate) const {
  for (unsigned lane = 0; lane < scenario_.producers; ++lane) {
    if (!predicate(lane)) return false;
  }
  return true;
}

}  // namespace ipctorture
