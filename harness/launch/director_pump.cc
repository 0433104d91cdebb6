// The director's waiting: what it notices meanwhile, and when it gives up.
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "harness/launch/director.h"
#include "harness/launch/worker_output.h"

namespace ipctorture {
namespace {

constexpr std::int64_t scenario_max_ns = 60'000'000'000;  // beyond its planned pauses

constexpr std::int64_t as_ns(std::uint32_t ms) { return std::int64_t{ms} * 1'000'000; }

}  // namespace

void Director::pump(Instant until) {
  crew_.wait(Deadline::at(until));
  const Instant now = monotonic_now();
  watch_.note_wakeup(until, now);
  collect(now);
  if (any_failed()) over_ = true;
  if (interrupted_ != nullptr && interrupted_->load(std::memory_order_relaxed)) {
    give_up(Fact::interrupted, 0, "");
  }
  if (!over_) nemesis_.act(now);
  watch_.tick(now);
  if (!over_) check_liveness(now);
}

void Director::collect(Instant now) {
  for (const WorkerExit& gone : crew_.collect_exits()) {
    worker_gone_[gone.worker] = true;
    if (nemesis_.claims(gone)) {
      note_report(gone.worker, crew_.output(gone.worker));
      let_successor_in(gone.worker);
      continue;
    }
    const std::string output = crew_.output(gone.worker);
    note_report(gone.worker, output);
    // We have not killed it: it was the kernel, the transport or a stranger.
    if (WIFSIGNALED(gone.status) && WTERMSIG(gone.status) == SIGKILL) watch_.look_for_pressure(now);
    watch_.add({.fact = gone.status == -1 ? Fact::not_started : Fact::died,
                .lane = first_lane(gone.worker),
                .to = watch_.stamp(),
                .value = static_cast<std::uint64_t>(static_cast<std::uint32_t>(gone.status)),
                .text = gone.text + output});
    over_ = true;
  }
}

// Whoever was leaving needs nobody in his place: he may count as gone in order.
void Director::let_successor_in(unsigned worker) {
  for (const LanePlan& dead : plans_) {
    if (dead.worker != worker) continue;
    if (crew_.lane(dead.lane).state() == LaneState::done) continue;  // it had left in order
    if (crew_.lane(dead.lane).state() >= LaneState::closing) {
      died_leaving_ = died_leaving_ || dead.role == Role::producer;
      continue;
    }
    const auto next = std::find_if(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
      return plan.role == dead.role && is_successor(plan) && away(plan.lane) && !ended(plan.lane);
    });
    if (next == plans_.end()) continue;
    if (scenario_.faults.same_identity) identity_[next->lane] = identity_[dead.lane];
    order(next->lane, Order::run, scenario_.faults.same_identity ? identity_[dead.lane] + 1 : 0);
  }
}

bool Director::check_liveness(Instant now) {
  const std::uint64_t counted = accepted() + received();
  const std::uint64_t all_heads = heads();
  if (counted != counted_) {
    counted_ = counted;
    counted_at_ = now;
  }
  if (all_heads != seen_heads_) {
    seen_heads_ = all_heads;
    heads_at_ = now;
  }
  if (quiet_is_planned_ || nemesis_.holds()) {
    counted_at_ = heads_at_ = now;
    return true;
  }
  if (now - heads_at_ >= Watch::deadlock_after_ns && watch_.nothing_can_move()) {
    describe_hanging_lanes();
    give_up(Fact::deadlocked, 0, "");
    return false;
  }
  const std::int64_t bound = as_ns(contract_.progress_bound_ms);
  const bool silent = now - std::max(counted_at_, heads_at_) >= 2 * bound;
  const bool fruitless = now - counted_at_ >= 2 * bound;
  if ((silent || fruitless) && gave_up_at_ == 0) {
    // First ask: whoever uses deadlines can still end in order.
    gave_up_at_ = now;
    watch_.add_interval(Fact::no_progress, now - counted_at_);
    for (const LanePlan& plan : plans_) crew_.lane(plan.lane).header().stop.store(1);
  } else if (gave_up_at_ != 0 && now - gave_up_at_ >= bound) {
    describe_hanging_lanes();
    over_ = true;
    return false;
  }
  if (now - began_ > scenario_max_ns + planned_pause_ns(scenario_)) {
    give_up(Fact::truncated, 0, "the scenario took longer than a minute beyond its pauses");
  }
  return !over_;
}

void Director::give_up(Fact fact, std::uint64_t value, const std::string& text) {
  watch_.add({.fact = fact, .to = watch_.stamp(), .value = value, .text = text});
  over_ = true;
}

void Director::describe_hanging_lanes() {
  for (const LanePlan& plan : plans_) {
    const LaneHeader& header = crew_.lane(plan.lane).header();
    if (ended(plan.lane) || header.tid.load() <= 0) continue;
    const bool in_operation = header.opened.load() > header.head.load();
    if (!in_operation) continue;
    watch_.add({.fact = Fact::waiting_in,
                .lane = static_cast<int>(plan.lane),
                .to = watch_.stamp(),
                .text = describe_hang(header.pid.load(), header.tid.load())});
  }
}

}  // namespace ipctorture
