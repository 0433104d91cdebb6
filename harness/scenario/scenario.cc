#include "harness/scenario/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace ipctorture {

void Scenario::set_transport(std::string_view name) {
  if (name.size() >= transport.size()) {
    throw std::invalid_argument("transport name is longer than 47 characters");
  }
  transport.fill(0);
  std::memcpy(transport.data(), name.data(), name.size());
}

std::uint32_t Scenario::largest_message() const {
  return *std::max_element(sizes.begin(), sizes.begin() + std::clamp(size_count, 1u, sizes_max));
}

std::string fault_words(const Faults& f) {
  std::string text;
  const auto add = [&](std::uint64_t count, std::string_view one, std::string_view several,
                       const std::string& more = {}) {
    if (count == 0) return;
    text +=
        fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, count == 1 ? one : several, more);
  };
  add(f.producer_kills, "producer killed", "producers killed");
  add(f.consumer_kills, "consumer killed", "consumers killed");
  if (f.same_identity && f.kills()) text += " and succeeded by their like";
  add(f.pauses, "stop", "stops", fmt::format(" of {:.1f} ms", f.pause_us / 1e3));
  add(f.signals, "signal", "signals", fmt::format(" {} us apart", f.signal_gap_us));
  add(f.spare_descriptors, "spare descriptor", "spare descriptors");
  add(f.spare_signals, "spare pending signal", "spare pending signals");
  add(f.queue_bytes, "byte of message queues", "bytes of message queues");
  const auto percent = [&](std::uint32_t rate, std::string_view what) {
    if (rate > 0) {
      text += fmt::format("{}{:.4g} % of calls {}", text.empty() ? "" : ", ", rate / 100.0, what);
    }
  };
  percent(f.failing_calls, "fail");
  percent(f.short_calls, "cut short");
  return text;
}

std::uint32_t spare_descriptors_least(const Scenario& s) {
  return 16 + std::max(1u, s.threads) * s.channels() * (s.lanes() + 8);
}

std::int64_t planned_pause_ns(const Scenario& s) {
  std::int64_t us = 0;
  if (s.gap_after > 0) {
    us += static_cast<std::int64_t>(s.gap_ms) * 1000 *
          static_cast<std::int64_t>(s.messages / s.gap_after);
  }
  if (s.burst > 0) us += static_cast<std::int64_t>(s.messages / s.burst * s.burst_pause_us);
  const std::uint64_t per_consumer = s.messages * s.producers / std::max(1u, s.consumers);
  us = std::max(us, static_cast<std::int64_t>(per_consumer * s.consumer_delay_us));
  us += std::int64_t{s.faults.pauses} * s.faults.pause_us;
  return us * 1000;
}

}  // namespace ipctorture
