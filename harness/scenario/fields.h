// Every field of a Scenario, named once, with the range that keeps a hostile one from exhausting
// the machine. The JSON reader, the writer and scenario_faults all walk this one table, so they
// cannot disagree. Private to this layer.
#pragma once

#include <cstdint>
#include <limits>

#include "harness/scenario/scenario.h"

namespace ipctorture::scenario_limits {

inline constexpr std::uint64_t message_bytes_max = 1u << 20;
inline constexpr std::uint64_t channel_bytes_max = 32u << 20;  // capacity x largest, all channels
inline constexpr std::uint64_t capacity_max = 1u << 20;
inline constexpr std::uint64_t threads_max = 8;
inline constexpr std::uint64_t pause_us_max = 1'000'000;
inline constexpr std::uint64_t spin_ns_max = 1'000'000;
inline constexpr std::uint64_t deadline_us_max = 10'000'000;
inline constexpr std::uint64_t gap_ms_max = 60'000;
inline constexpr std::uint64_t pauses_max = 100;
inline constexpr std::uint64_t stop_us_max = 10'000'000;
inline constexpr std::uint64_t signals_max = 100'000;
inline constexpr std::uint64_t spare_max = 1u << 16;
inline constexpr std::uint64_t calls_of = 10'000;  // what rates of calls are parts of
inline constexpr std::uint64_t window_max = 1024;
inline constexpr std::int64_t planned_ns_max = 600'000'000'000;  // ten minutes of pauses

}  // namespace ipctorture::scenario_limits

namespace ipctorture {

template <typename Visitor, typename Mix>
void visit_deadlines(Visitor& v, Mix& mix) {
  v.number("now_permille", mix.now_permille, 0, 1000);
  v.number("at_permille", mix.at_permille, 0, 1000);
  v.number("at_us", mix.at_us, 1, scenario_limits::deadline_us_max);
}

template <typename Visitor, typename SomeNoise>
void visit_noise(Visitor& v, SomeNoise& noise) {
  v.number("yield_permille", noise.yield_permille, 0, 1000);
  v.number("spin_permille", noise.spin_permille, 0, 1000);
  v.number("sleep_permille", noise.sleep_permille, 0, 1000);
  v.number("spin_max_ns", noise.spin_max_ns, 0, scenario_limits::spin_ns_max);
  v.number("sleep_max_us", noise.sleep_max_us, 0, scenario_limits::pause_us_max);
}

template <typename Visitor, typename SomeFaults>
void visit_faults(Visitor& v, SomeFaults& faults) {
  using namespace scenario_limits;
  v.number("producer_kills", faults.producer_kills, 0, lives_max);
  v.number("consumer_kills", faults.consumer_kills, 0, lives_max);
  v.flag("same_identity", faults.same_identity);
  v.number("pauses", faults.pauses, 0, pauses_max);
  v.number("pause_us", faults.pause_us, 0, stop_us_max);
  v.number("signals", faults.signals, 0, signals_max);
  v.number("signal_gap_us", faults.signal_gap_us, 10, pause_us_max);
  v.number("spare_descriptors", faults.spare_descriptors, 0, spare_max);
  v.number("spare_signals", faults.spare_signals, 0, spare_max);
  v.number("queue_bytes", faults.queue_bytes, 0, channel_bytes_max);
  v.number("failing_calls", faults.failing_calls, 0, calls_of);
  v.number("short_calls", faults.short_calls, 0, calls_of);
}

// Calls the visitor for each field but `version` (it is part of the schema's name), in the order of
// the text form. A visitor has:
//   name(key, char array)            words(key, enum, how many)      number(key, integer, min, max)
//   seed(key, 64-bit, any value)     list(key, array, count, max)    flag(key, bool)
//   object(key, function that is called with the visitor)
template <typename Visitor, typename SomeScenario>
void visit_fields(Visitor& v, SomeScenario& s) {
  using namespace scenario_limits;
  v.name("transport", s.transport);
  v.seed("seed", s.seed);
  v.words("workload", s.workload, 4u);
  v.words("launch", s.launch, 2u);
  v.flag("fresh_workers", s.fresh_workers);
  v.number("producers", s.producers, 1, lives_max);
  v.number("consumers", s.consumers, 1, lives_max);
  v.number("threads", s.threads, 1, threads_max);
  v.number("messages", s.messages, 1, messages_max);
  v.list("sizes", s.sizes, s.size_count, message_bytes_max);
  v.number("capacity", s.capacity, 1, capacity_max);
  v.seed("counter_start", s.counter_start);
  v.object("send_deadlines", [&](auto& inner) { visit_deadlines(inner, s.send_deadlines); });
  v.object("receive_deadlines", [&](auto& inner) { visit_deadlines(inner, s.receive_deadlines); });
  v.object("producer_noise", [&](auto& inner) { visit_noise(inner, s.producer_noise); });
  v.object("consumer_noise", [&](auto& inner) { visit_noise(inner, s.consumer_noise); });
  v.words("pinning", s.pinning, 3u);
  v.number("nice_max", s.nice_max, 0, 19);
  v.number("starved_worker", s.starved_worker, 0, workers_max);
  v.number("burst", s.burst, 0, messages_max);
  v.number("burst_pause_us", s.burst_pause_us, 0, pause_us_max);
  v.number("consumer_delay_us", s.consumer_delay_us, 0, pause_us_max);
  v.flag("fill_first", s.fill_first);
  v.number("gap_after", s.gap_after, 0, messages_max);
  v.number("gap_ms", s.gap_ms, 0, gap_ms_max);
  v.flag("handoff", s.handoff);
  v.number("late_consumers", s.late_consumers, 0, lives_max);
  v.number("late_producers", s.late_producers, 0, lives_max);
  v.number("early_producers", s.early_producers, 0, workers_max);
  v.number("early_consumers", s.early_consumers, 0, workers_max);
  v.number("repeat_permille", s.repeat_permille, 0, 1000);
  v.number("oversize_permille", s.oversize_permille, 0, 1000);
  v.number("window", s.window, 1, window_max);
  v.flag("count_resources", s.count_resources);
  v.object("faults", [&](auto& inner) { visit_faults(inner, s.faults); });
}

}  // namespace ipctorture
