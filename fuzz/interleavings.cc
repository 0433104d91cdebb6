#include "fuzz/interleavings.h"

#include <algorithm>
#include <vector>

namespace ipctorture {
namespace {

constexpr std::size_t records_of_lane_max = 8, events_max = 20;

struct Event {
  Stamp at;
  std::uint32_t what;  // lane, operation, begin or end
};

}  // namespace

void note_interleavings(const History& history, std::span<std::uint8_t> features) {
  std::vector<Event> events;
  events.reserve(history.lanes.size() * records_of_lane_max * 2);
  for (std::uint32_t lane = 0; lane < history.lanes.size(); ++lane) {
    const auto& records = history.lanes[lane].records;
    for (const Record& record : records.first(std::min(records.size(), records_of_lane_max))) {
      const std::uint32_t what = lane << 8 | static_cast<std::uint32_t>(record.op()) << 1;
      events.push_back({record.invoked, what});
      if (!record.open()) events.push_back({record.returned, what | 1});
    }
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.at < b.at; });
  std::uint64_t prefix = 0;
  const std::size_t count = std::min(events.size(), events_max);
  for (const Event& event : std::span(events).first(count)) {
    prefix = (prefix ^ event.what) * 0x9e3779b97f4a7c15u;
    features[prefix >> 32 & (features.size() - 1)] = 1;
  }
}

}  // namespace ipctorture
