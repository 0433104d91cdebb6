#include "harness/schedule/session_history.h"

#include <algorithm>

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t deadlock_lasts_ns = 20'000'000'000;  // longer than any progress bound

}  // namespace

History history_of(const Setting& what, const Control& c, const std::vector<ProcessExit>& exits) {
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
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
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
  if (stands_still && c.killed_lanes == 0) add(Fact::deadlocked, -1, c.time, last, 0, "");
  for (const ProcessExit& e : exits) {
    const auto plan = std::find_if(what.plans.begin(), what.plans.end(),
                                   [&](const LanePlan& p) { return p.worker == e.process; });
    add(Fact::died, static_cast<int>(plan->lane), c.time, c.time,
        static_cast<std::uint64_t>(static_cast<std::uint32_t>(e.status)), "");
  }
  return history;
}

std::uint64_t hash_of_history(const Setting& what, const Control& c) {
  std::uint64_t hash = static_cast<std::uint64_t>(c.ending);
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  };
  // The lanes' events, merged in the order of their stamps.
  struct Cursor {
    const Record* record;
    const Record* end;
    bool invoked;
  } cursor[lanes_max];
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    const LaneHeader& header = what.lanes[lane].header();
    const Record* records = what.lanes[lane].records();
    cursor[lane] = {records, records + std::min(header.opened.load(), lane_records), false};
  }
  for (;;) {
    unsigned first = lanes_max;
    Stamp earliest = ~Stamp{0};
    for (unsigned lane = 0; lane < c.lanes; ++lane) {
      const Cursor& at = cursor[lane];
      if (at.record == at.end || (at.invoked && at.record->open())) continue;
      const Stamp stamp = at.invoked ? at.record->returned : at.record->invoked;
      if (stamp < earliest) {
        earliest = stamp;
        first = lane;
      }
    }
    if (first == lanes_max) break;
    Cursor& at = cursor[first];
    const Record& r = *at.record;
    if (at.invoked) {
      mix(r.message ^ (std::uint64_t{r.detail} << 40));
      mix(std::uint64_t{r.size} | std::uint64_t{r.outcome} << 32 | std::uint64_t{first} << 40);
      ++at.record;
    } else {
      mix(std::uint64_t{r.what} | std::uint64_t{first} << 8 | 1u << 16);
    }
    at.invoked = !at.invoked;
  }
  return hash;
}

}  // namespace ipctorture::schedule
