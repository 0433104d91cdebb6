#include "harness/scenario/scenario.h"

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

std::int64_t planned_pause_ns(const Scenario& s) {
  std::int64_t us = 0;
  if (s.gap_after > 0) {
    us += static_cast<std::int64_t>(s.gap_ms) * 1000 *
          static_cast<std::int64_t>(s.messages / s.gap_after);
  }
  if (s.burst > 0) us += static_cast<std::int64_t>(s.messages / s.burst * s.burst_pause_us);
  const std::uint64_t per_consumer = s.messages * s.producers / std::max(1u, s.consumers);
  us = std::max(us, static_cast<std::int64_t>(per_consumer * s.consumer_delay_us));
  return us * 1000;
}

}  // namespace ipctorture
