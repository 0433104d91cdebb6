#include "harness/schedule/session_history.h"

#include <algorithm>

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t deadlock_lasts_ns = 20'000'000'000;  // longer than any progress bound

int first_lane(const Setting& what, unsigned process) {
  const auto plan = std::find_if(what.plans.begin(), what.plans.end(),
                                 [&](const LanePlan& p) { return p.worker == process; });
  return static_cast<int>(plan->lane);
}

}  // namespace

History history_of(const Setting& what, const Control& c, const Outside& outside) {
  const std::vector<ProcessExit>& exits = outside.exits;
  History history;
  history.channels = what.scenario.channels();
  const auto add = [&](Fact fact, int lane, std::int64_t from, std::int64_t to, std::uint64_t value,
                       std::string text) {
    history.evidence.push_back({.fact = fact,
                                .lane = lane,
                                .from = static_cast<Stamp>(from),
                                .to = static_cast<Stamp>(to),
                                .value = value,
                                .text = std::move(text)});
  };
  const bool stands_still = c.ending == Ending::deadlock;
  const std::int64_t last = c.time + (stands_still ? deadlock_lasts_ns : 1);
  for (unsigned lane = 0; lane < c.workload_lanes; ++lane) {
    const LanePlan& plan = what.plans[lane];
    const LaneHeader& header = what.lanes[lane].header();
    const std::uint64_t count =
        std::min(std::max(header.opened.load(), header.head.load()), lane_records);
    LaneHistory one{.worker = plan.worker, .thread = plan.thread};
    for (unsigned channel = 0; channel < history.channels; ++channel) {
      one.producer_on.push_back(plan.producer_on[channel]);
      one.consumer_on.push_back(plan.consumer_on[channel]);
    }
    one.records = {what.lanes[lane].records(), count};
    history.lanes.push_back(std::move(one));

    const auto number = static_cast<int>(lane);
    const LaneControl& l = c.lane[lane];
    if (what.lanes[lane].state() == LaneState::failed) {
      add(Fact::worker_failed, number, c.time, c.time, static_cast<std::uint64_t>(header.error),
          header.error_text);
    }
    if ((c.killed_lanes >> lane & 1) != 0) {
      add(Fact::killed, number, c.killed_at, c.killed_at, 0, "SIGKILL at a chosen point");
      continue;
    }
    if (l.waiting == Waiting::finished || l.waiting == Waiting::dead) continue;
    if (stands_still && l.waiting != Waiting::order) {
      char text[160];
      describe_waiting(lane, text, sizeof text);
      add(Fact::asleep, number, l.waiting_since, last, 1, "");
      add(Fact::waiting_in, number, l.waiting_since, last, 0, text);
    }
    const bool died = std::any_of(exits.begin(), exits.end(),
                                  [&](const ProcessExit& e) { return e.process == l.process; });
    if (c.ending != Ending::complete && !died) add(Fact::killed, number, last, last, 0, "");
  }
  for (std::uint32_t i = 0; i < c.sleep_count; ++i) {
    add(Fact::asleep, c.sleeps[i].lane, c.sleeps[i].from, c.sleeps[i].to, 0, "");
  }
  for (std::uint32_t i = 0; i < c.shortage_count; ++i) {
    const Shortage& s = c.shortage[i];
    add(Fact::shortage, s.lane, s.time, s.time, static_cast<std::uint64_t>(s.error),
        std::string(to_string(s.at)));
  }
  if (stands_still && c.killed_lanes == 0) add(Fact::deadlocked, -1, c.time, last, 0, "");
  for (const Leak& leak : outside.leaks) {
    add(Fact::leaked, first_lane(what, leak.process), c.time, c.time, leak.descriptors,
        "descriptors");
  }
  for (const ProcessExit& e : exits) {
    add(Fact::died, first_lane(what, e.process), c.time, c.time,
        static_cast<std::uint64_t>(static_cast<std::uint32_t>(e.status)), "");
  }
  return history;
}

std::uint64_t hash_of_history(const Setting& what, const Control& c) {
  std::uint64_t hash = static_cast<std::uint64_t>(c.ending) ^ c.stamp_order;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  };
  for (unsigned lane = 0; lane < c.workload_lanes; ++lane) {
    const LaneHeader& header = what.lanes[lane].header();
    const Record* record = what.lanes[lane].records();
    const Record* const end = record + std::min(header.opened.load(), lane_records);
    mix(lane + 1);
    for (; record != end; ++record) {
      mix(record->message);
      mix(std::uint64_t{record->size} | std::uint64_t{record->what} << 32 |
          std::uint64_t{record->outcome} << 40 | std::uint64_t{record->detail} << 48);
    }
  }
  for (std::uint32_t i = 0; i < c.sleep_count; ++i) {
    const LongSleep& sleep = c.sleeps[i];
    mix(sleep.lane | static_cast<std::uint64_t>((sleep.to - sleep.from) / long_sleep_ns) << 8);
  }
  for (std::uint32_t i = 0; i < c.shortage_count; ++i) {
    mix(c.shortage[i].lane | static_cast<std::uint64_t>(c.shortage[i].error) << 8 | 1u << 31);
  }
  return hash;
}

}  // namespace ipctorture::schedule
