// libFuzzer: the supervisor's side of the worker protocol (harness/launch/lane_reader.h): lanes
// that a separate program wrote, of which nothing is believed.
//
// An input is the memory of two lanes (a producer's, a consumer's), the second begins in its
// middle; what is missing is zero. Gathering must stay inside of the lanes; a history that the test
// of form lets through must be one that the checkers answer. Run: ci/fuzz lane_reader
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/broken.h"
#include "harness/check/check.h"
#include "harness/launch/lane_reader.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t capacity = 32;  // records
constexpr unsigned lanes = 2;

// Exactly so much heap for each: AddressSanitizer sees a step outside.
struct alignas(64) Page {
  std::byte bytes[64];
};
using Memory = std::vector<Page>;

Memory memory_of(std::span<const std::byte> bytes) {
  Memory memory(lane_bytes(capacity) / sizeof(Page));
  Lane(memory.data()->bytes).reset(StampSource::monotonic, true, capacity);
  const std::size_t size = std::min(bytes.size(), lane_bytes(capacity));
  if (size > 0) std::memcpy(static_cast<void*>(memory.data()), bytes.data(), size);
  return memory;
}

constexpr Contract contract{.ordering = Ordering::total,
                            .late_consumer = LateConsumer::backlog,
                            .reports_closed = true,
                            .exact_empty = true,
                            .exact_full = true,
                            .capacity_max = 1024,
                            .message_min = 0,
                            .message_max = 4096,
                            .accepted_survives_close = true};

void gather_and_judge(std::span<const std::byte> bytes) {
  Scenario scenario;
  scenario.set_transport("pipe");
  const std::size_t half = bytes.size() / 2;
  Memory memory[lanes] = {memory_of(bytes.first(half)), memory_of(bytes.subspan(half))};
  History history;
  for (unsigned number = 0; number < lanes; ++number) {
    const std::span<std::byte> file(memory[number].data()->bytes, lane_bytes(capacity));
    try {
      refuse_unless_lane(file, "lane");
      if (Lane(file.data()).header().capacity > capacity) broken("believes more than there is");
    } catch (const std::invalid_argument& refused) {
      must_say_why(refused.what());
    }
    gather_lane(Lane(file.data()), number, scenario, capacity, &history);
    if (history.lanes.back().records.size() > capacity) broken("more records than a lane has");
  }
  const auto faults = history_faults(history);
  if (faults.empty()) (void)check({history, contract, scenario});
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ipctorture::gather_and_judge(std::as_bytes(std::span(data, size)));
  } catch (const std::logic_error& refused) {
    // The checkers say that no producer does what this history tells.
    if (!std::string_view(refused.what()).starts_with("history: ")) throw;
  }
  return 0;
}
