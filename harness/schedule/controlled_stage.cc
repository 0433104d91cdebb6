#include "harness/schedule/controlled_stage.h"

#include <algorithm>

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

const Setting* setting = nullptr;

namespace {

// A mark over a transport that may lose messages is sent again so often at the most.
constexpr std::uint32_t mark_attempts_max = 20;

LaneHeader& header(unsigned lane) { return setting->lanes[lane].header(); }

bool is_over(unsigned lane) {
  const Waiting waiting = control->lane[lane].waiting;
  return waiting == Waiting::finished || waiting == Waiting::dead;
}
bool rests(unsigned lane) { return control->lane[lane].waiting == Waiting::order || is_over(lane); }

bool all_rest(Role role) {
  return std::all_of(setting->plans.begin(), setting->plans.end(),
                     [&](const LanePlan& plan) { return plan.role != role || rests(plan.lane); });
}

void give(unsigned lane, Order order, unsigned argument = 0) {
  std::atomic<std::uint32_t>& word = header(lane).order;
  const std::uint32_t serial = (word.load(std::memory_order_relaxed) >> 24) + 1;
  word.store(static_cast<std::uint32_t>(order) | (argument & 0xffff) << 8 | serial << 24);
  end_waiting_for_order(lane);
}

// A successor that nobody has asked in yet.
bool is_away(unsigned lane) {
  return setting->late_are_successors && setting->plans[lane].late &&
         control->lane[lane].waiting == Waiting::order &&
         setting->lanes[lane].state() == LaneState::idle;
}

// The last producer that waits for orders; -1: none does.
int sender() {
  for (unsigned lane = setting->scenario.producers; lane-- > 0;) {
    if (control->lane[lane].waiting == Waiting::order && !is_away(lane)) {
      return static_cast<int>(lane);
    }
  }
  return -1;
}

bool needs_marks() { return !setting->contract.reports_closed; }

void order_to_close() {
  control->phase = static_cast<std::uint32_t>(Phase::closing);
  for (const LanePlan& plan : setting->plans) {
    if (!is_over(plan.lane)) give(plan.lane, Order::close);
  }
}

bool send_marks() {
  const int lane = sender();
  if (lane < 0) return false;
  const Contract& contract = setting->contract;
  const bool each =
      contract.fan_out != FanOut::broadcast && contract.delivery != Delivery::latest_value;
  unsigned consumers = 0;
  for (const LanePlan& plan : setting->plans) {
    consumers += plan.role == Role::consumer && !rests(plan.lane) ? 1 : 0;
  }
  if (consumers == 0) return false;
  control->phase = static_cast<std::uint32_t>(Phase::marking);
  ++control->marks;
  header(static_cast<unsigned>(lane))
      .order_kind.store(static_cast<std::uint32_t>(MessageKind::mark));
  give(static_cast<unsigned>(lane), Order::send, each ? consumers : 1);
  return true;
}

// A lane came to rest, or is over.
void on_rest() {
  const auto phase = static_cast<Phase>(control->phase);
  if (phase == Phase::attaching) {
    if (!all_rest(Role::producer) || !all_rest(Role::consumer)) return;
    control->phase = static_cast<std::uint32_t>(Phase::ready);
    pause_when_ready();
    return;
  }
  if (phase == Phase::closing || !all_rest(Role::producer)) return;
  if (all_rest(Role::consumer)) return order_to_close();
  if (phase == Phase::running && needs_marks()) send_marks();
}

// Producers that are expected and never needed as successors: consumers wait for them to come and
// close. They follow when the others have left.
bool let_successor_in() {
  int next = -1;
  for (unsigned lane = 0; lane < setting->scenario.producers; ++lane) {
    // Killed while it left: who knows whether it counts as gone in order, and ended the stream.
    const bool dead = control->lane[lane].waiting == Waiting::dead;
    if (dead && setting->lanes[lane].state() >= LaneState::closing) return false;
    if (is_away(lane)) {
      next = static_cast<int>(lane);
    } else if (!is_over(lane)) {
      return false;
    }
  }
  if (next < 0) return false;
  give(static_cast<unsigned>(next), Order::run);
  return true;
}

bool on_standstill() {
  if (let_successor_in()) return true;
  const auto phase = static_cast<Phase>(control->phase);
  const bool may_be_lost = setting->contract.delivery == Delivery::at_most_once ||
                           setting->contract.fan_out == FanOut::broadcast ||
                           setting->contract.when_full == WhenFull::rejects;
  if (phase == Phase::marking && may_be_lost && control->marks < mark_attempts_max) {
    return send_marks();
  }
  return false;
}

std::uint64_t operations_completed() {
  std::uint64_t heads = 0;
  for (const Lane& lane : setting->lanes) heads += lane.header().head.load();
  return heads;
}

unsigned worker_of(unsigned lane) { return setting->plans[lane].worker; }

}  // namespace

void install_direction() {
  direction = {.rested = on_rest,
               .nobody_runs = on_standstill,
               .progress = operations_completed,
               .worker = worker_of};
}

void order_to_run() {
  control->phase = static_cast<std::uint32_t>(Phase::running);
  control->marks = 0;
  for (const LanePlan& plan : setting->plans) {
    const bool stays_away = plan.late && setting->late_are_successors;
    if (!is_over(plan.lane) && !stays_away) give(plan.lane, Order::run);
  }
}

void order_successor(unsigned dead) {
  // Its marks may be incomplete: another sends them anew.
  if (control->phase == static_cast<std::uint32_t>(Phase::marking)) {
    control->phase = static_cast<std::uint32_t>(Phase::running);
  }
  // Whoever was leaving needs nobody in his place: he may count as gone in order.
  const bool was_leaving = setting->lanes[dead].state() >= LaneState::closing;
  if (!setting->late_are_successors || was_leaving) return;
  for (const LanePlan& plan : setting->plans) {
    if (!is_away(plan.lane) || plan.role != setting->plans[dead].role) continue;
    const bool same = setting->scenario.faults.same_identity;
    return give(plan.lane, Order::run, same ? setting->plans[dead].index + 1 : 0);
  }
}

ControlledStage::ControlledStage(std::uint64_t seed, unsigned lane)
    : prng_(mix64(seed ^ mix64(lane + 1))), lane_(lane) {}

void ControlledStage::enter(LaneState state) {
  header(lane_).state.store(static_cast<std::uint32_t>(state), std::memory_order_seq_cst);
}

std::uint32_t ControlledStage::wait_for_order(std::uint32_t obeyed) {
  while (header(lane_).order.load() == obeyed) schedule::wait_for_order();
  return header(lane_).order.load();
}

std::int64_t ControlledStage::starved_ns() const { return control->lane[lane_].starved; }

unsigned ControlledStage::shortages() const {
  return static_cast<unsigned>(std::count_if(control->shortage,
                                             control->shortage + control->shortage_count,
                                             [&](const Shortage& s) { return s.lane == lane_; }));
}

bool ControlledStage::stopped() const { return false; }

void ControlledStage::sleep_ns(std::int64_t ns) { sleep_until(control->time + ns, nullptr); }
void ControlledStage::spin_ns(std::int64_t ns) { sleep_ns(ns); }
void ControlledStage::between_operations() { point(Point::between, 0, nullptr); }
void ControlledStage::yield() { schedule::yield(nullptr); }

}  // namespace ipctorture::schedule
