// The rounds of a soak (soak.h): traffic again and again, and between two rounds a moment in which
// nobody does anything.
#include <algorithm>

#include "harness/launch/director.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t order_units_max = 0xffff;  // an order's argument
constexpr std::uint64_t growth_max = 4;
// Polls that were answered empty or full (work/lane_work.cc ends them at 20,000 of each), marks,
// notes at the end.
constexpr std::uint64_t records_aside = 45'000;
constexpr std::uint64_t records_a_message = 2;    // with a note of it
constexpr std::uint64_t records_of_the_end = 64;  // without which no workload goes on

bool kept_of_latest(const Record& r) {
  return (r.op() == Op::send || r.op() == Op::receive) && r.result() == Outcome::ok;
}

}  // namespace

bool Director::rounds() {
  if (soak_ == nullptr) return true;
  round_.messages = scenario_.messages;
  while (monotonic_now() < soak_->until) {
    if (!settle() || !send_marks()) return false;
    marked_ = true;
    round_.flowed_ns = monotonic_now() - began_;
    const bool all_wait = std::all_of(plans_.begin(), plans_.end(),
                                      [&](const LanePlan& plan) { return waits(plan.lane); });
    if (!all_wait || !end_round_(round_)) return true;
    begin_round();
    if (!traffic()) return false;
  }
  return true;
}

// As long as the soak wants it, and no longer than the journals are.
std::uint64_t Director::next_messages() const {
  const std::uint64_t took =
      static_cast<std::uint64_t>(std::max<std::int64_t>(round_.flowed_ns, 1));
  const auto wanted =
      static_cast<std::uint64_t>(static_cast<double>(round_.messages) *
                                 static_cast<double>(soak_->round_ns) / static_cast<double>(took));
  const std::uint64_t room = lane_room_ - std::min(lane_room_, records_aside);
  const std::uint64_t most =
      std::min(room / (records_a_message * scenario_.producers), order_units_max * round_unit);
  return std::min(std::clamp(wanted, round_.messages / growth_max, round_.messages * growth_max),
                  most);
}

void Director::begin_round() {
  for (const LanePlan& plan : plans_) clear_journal(plan.lane);
  const std::uint64_t units = std::max<std::uint64_t>(1, next_messages() / round_unit);
  ++round_.number;
  round_.flowed_ns = 0;
  round_.messages = units * round_unit;
  marked_ = false;
  began_ = counted_at_ = heads_at_ = monotonic_now();
  for (const LanePlan& plan : plans_) {
    const bool produces = plan.role == Role::producer;
    order(plan.lane, Order::run, produces ? static_cast<unsigned>(units) : 0);
  }
}

// Where marks may be lost, more of them are sent: one that comes late stops its consumer too early.
void Director::rouse_consumers() {
  for (const LanePlan& plan : plans_) {
    if (plan.role != Role::consumer || !waits(plan.lane)) continue;
    const std::uint64_t head = crew_.lane(plan.lane).header().head.load(std::memory_order_acquire);
    if (head + records_of_the_end > lane_room_) {
      return give_up(Fact::truncated, plan.lane, "a journal was full before the round was over");
    }
    order(plan.lane, Order::run);
  }
}

// What every round begins with: the lane's attach, and where a consumer may be given the last value
// again, that one. The lane's worker is at rest.
void Director::clear_journal(unsigned number) {
  const Lane lane = crew_.lane(number);
  LaneHeader& header = lane.header();
  Record* const records = lane.records();
  const std::uint64_t head = std::min(header.head.load(), lane_room_);
  std::uint64_t next = 0;
  while (next < head && records[next].op() == Op::attach) ++next;
  if (contract_.delivery == Delivery::latest_value) {
    for (std::uint64_t i = head; i-- > next;) {
      if (!kept_of_latest(records[i])) continue;
      records[next++] = records[i];
      break;
    }
  }
  header.calls_failed.store(0);
  header.calls_shortened.store(0);
  header.calls_interrupted.store(0);
  header.opened.store(next);
  header.head.store(next, std::memory_order_release);
}

}  // namespace ipctorture
