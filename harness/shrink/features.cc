// What can be taken away from a scenario, and what has to go with it.
#include <algorithm>

#include "harness/scenario/scenario.h"
#include "harness/shrink/shrink.h"

namespace ipctorture {
namespace {

// Successors of the dead go with the deaths: nobody would let them in.
void no_kills(std::uint32_t& kills, std::uint32_t& peers, std::uint32_t& late) {
  if (kills == 0) return;
  kills = 0;
  peers -= std::min(peers - 1, late);
  late = 0;
}

// Of a receive somebody must come back: without `closed` and without room for a mark only a
// deadline does that.
DeadlineMix plain_receives(const Contract& c) {
  if (c.reports_closed || c.message_max >= 8) return {};
  if (c.deadline_at) return {.at_permille = 1000};
  return c.deadline_now ? DeadlineMix{.now_permille = 1000} : DeadlineMix{};
}

void one_size(Scenario& s, const Contract&) {
  s.size_count = 1;
  std::fill(s.sizes.begin() + 1, s.sizes.end(), 0u);
}

void stream_instead_of_replies(Scenario& s, const Contract&) {
  if (s.workload != Workload::request_reply) return;
  s.workload = Workload::stream;
  s.window = 1;
}

std::vector<Feature> made_features() {
  using S = Scenario&;
  using C = const Contract&;
  return {
      {"producers killed",
       [](S s, C) { no_kills(s.faults.producer_kills, s.producers, s.late_producers); }},
      {"consumers killed",
       [](S s, C) { no_kills(s.faults.consumer_kills, s.consumers, s.late_consumers); }},
      {"same identity", [](S s, C) { s.faults.same_identity = false; }},
      {"stops", [](S s, C) { s.faults.pauses = s.faults.pause_us = 0; }},
      {"signals",
       [](S s, C) {
         s.faults.signals = 0;
         s.faults.signal_gap_us = Faults{}.signal_gap_us;
       }},
      {"few descriptors", [](S s, C) { s.faults.spare_descriptors = 0; }},
      {"few signals", [](S s, C) { s.faults.spare_signals = 0; }},
      {"few bytes of queues", [](S s, C) { s.faults.queue_bytes = 0; }},
      {"failing calls", [](S s, C) { s.faults.failing_calls = 0; }},
      {"short calls", [](S s, C) { s.faults.short_calls = 0; }},
      {"producers' noise", [](S s, C) { s.producer_noise = Noise{}; }},
      {"consumers' noise", [](S s, C) { s.consumer_noise = Noise{}; }},
      {"a starved worker", [](S s, C) { s.starved_worker = 0; }},
      {"pinning", [](S s, C) { s.pinning = Pinning::none; }},
      {"niceness", [](S s, C) { s.nice_max = 0; }},
      {"bursts", [](S s, C) { s.burst = s.burst_pause_us = 0; }},
      {"slow consumers", [](S s, C) { s.consumer_delay_us = 0; }},
      {"filled first", [](S s, C) { s.fill_first = false; }},
      {"gaps", [](S s, C) { s.gap_after = s.gap_ms = 0; }},
      {"hand-off", [](S s, C) { s.handoff = false; }},
      {"late producers", [](S s, C) { s.late_producers = 0; }},
      {"late consumers", [](S s, C) { s.late_consumers = 0; }},
      {"early producers", [](S s, C) { s.early_producers = 0; }},
      {"early consumers", [](S s, C) { s.early_consumers = 0; }},
      {"repeated values", [](S s, C) { s.repeat_permille = 0; }},
      {"messages that are too large", [](S s, C) { s.oversize_permille = 0; }},
      {"counted resources", [](S s, C) { s.count_resources = false; }},
      {"several sizes", one_size},
      {"a counter near its end", [](S s, C) { s.counter_start = 0; }},
      {"deadlines of sends", [](S s, C) { s.send_deadlines = {}; }},
      {"deadlines of receives", [](S s, C c) { s.receive_deadlines = plain_receives(c); }},
      {"several threads", [](S s, C) { s.threads = 1; }},
      {"separate programs", [](S s, C c) { s.launch = c.exec_only ? Launch::exec : Launch::fork; }},
      {"pooled workers", [](S s, C) { s.fresh_workers = true; }},
      {"replies", stream_instead_of_replies},
      {"requests in flight", [](S s, C) { s.window = 1; }},
  };
}

}  // namespace

const std::vector<Feature>& features() {
  static const std::vector<Feature> all = made_features();
  return all;
}

void fit(Scenario& s) {
  Faults& f = s.faults;
  const auto fit_role = [](std::uint32_t peers, std::uint32_t& kills, std::uint32_t& late,
                           std::uint32_t& early) {
    kills = std::min(kills, peers - 1);
    late = std::min(late, kills > 0 ? std::min(kills, peers - 1) : peers - 1);
    early = std::min(early, peers - 1 - late);
  };
  fit_role(s.producers, f.producer_kills, s.late_producers, s.early_producers);
  fit_role(s.consumers, f.consumer_kills, s.late_consumers, s.early_consumers);
  if (!f.kills()) f.same_identity = false;
  s.gap_after = std::min(s.gap_after, s.messages);
  if (s.gap_after == 0) s.gap_ms = 0;
  if (s.burst == 0) s.burst_pause_us = 0;
  s.starved_worker = std::min(s.starved_worker, s.lanes());
}

}  // namespace ipctorture
