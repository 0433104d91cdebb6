#include "harness/launch/lane_reader.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <stdexcept>

#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

// Its worker may have died while it completed the record: what stands there then is half of an
// answer, and counts for none.
void settle_cut(Record& record) {
  record.returned = 0;
  record.outcome = static_cast<std::uint8_t>(Outcome::unknown);
  if (record.op() == Op::receive) record.message = record.size = 0;
}

std::string error_text(const LaneHeader& header) {
  return {header.error_text, ::strnlen(header.error_text, sizeof header.error_text)};
}

void add_call_faults(const Lane& lane, int number, History* history) {
  const LaneHeader& header = lane.header();
  const unsigned failed = std::min(header.calls_failed.load(std::memory_order_acquire),
                                   std::uint32_t{lane_failures_max});
  for (unsigned i = 0; i < failed; ++i) {
    const CallFailure& failure = lane.failures()[i];
    history->evidence.push_back(
        {.fact = Fact::shortage,
         .lane = number,
         .from = failure.at,
         .to = failure.at,
         .value = static_cast<std::uint64_t>(failure.error),
         .text = {failure.call, ::strnlen(failure.call, sizeof failure.call)}});
  }
  const std::uint64_t shortened = header.calls_shortened.load(std::memory_order_acquire);
  const std::uint64_t interrupted = header.calls_interrupted.load(std::memory_order_acquire);
  if (shortened + interrupted == 0) return;
  history->evidence.push_back(
      {.fact = Fact::calls_cut,
       .lane = number,
       .value = shortened + interrupted,
       .text = fmt::format("{} short, {} interrupted", shortened, interrupted)});
}

void add_resource_leaks(const LaneHeader& header, int number, History* history) {
  const auto grown = [&](int before, int after, const char* what) {
    if (before < 0 || after <= before) return;
    history->evidence.push_back({.fact = Fact::leaked,
                                 .lane = number,
                                 .value = static_cast<std::uint64_t>(after - before),
                                 .text = what});
  };
  grown(header.descriptors_before, header.descriptors_after, "descriptors");
  grown(header.mappings_before, header.mappings_after, "shared mappings");
}

}  // namespace

void gather_lane(const Lane& lane, unsigned number, const Scenario& scenario,
                 std::uint64_t capacity, History* history) {
  const LanePlan plan = plan_lane(scenario, number);
  const int index = static_cast<int>(number);
  const LaneHeader& header = lane.header();
  LaneHistory taken{.worker = plan.worker, .thread = plan.thread};
  for (unsigned channel = 0; channel < history->channels; ++channel) {
    taken.producer_on.push_back(plan.producer_on[channel]);
    taken.consumer_on.push_back(plan.consumer_on[channel]);
  }
  const std::uint64_t head = std::min(header.head.load(std::memory_order_acquire), capacity);
  const bool open = header.opened.load(std::memory_order_acquire) > head && head < capacity;
  if (open) settle_cut(lane.records()[head]);
  taken.records = {lane.records(), head + (open ? 1 : 0)};
  history->lanes.push_back(std::move(taken));
  if (lane.state() == LaneState::failed) {
    history->evidence.push_back({.fact = Fact::worker_failed,
                                 .lane = index,
                                 .value = static_cast<std::uint64_t>(header.error),
                                 .text = error_text(header)});
  }
  if (const std::uint32_t limit = header.descriptors_max.load(); limit > 0) {
    history->evidence.push_back({.fact = Fact::limited,
                                 .lane = index,
                                 .value = limit,
                                 .text = fault_words(scenario.faults)});
  }
  add_call_faults(lane, index, history);
  add_resource_leaks(header, index, history);
}

void refuse_unless_lane(std::span<std::byte> file, const std::string& path) {
  if (file.size() < lane_bytes(1)) throw std::invalid_argument(path + ": too short for a lane");
  const LaneHeader& header = Lane(file.data()).header();
  if (header.magic != LaneHeader::magic_value || header.version != LaneHeader::current_version) {
    throw std::invalid_argument(path + ": not a lane of version 1");
  }
  if (header.capacity > (file.size() - lane_records_offset) / sizeof(Record)) {
    throw std::invalid_argument(path + ": claims more records than it holds");
  }
}

}  // namespace ipctorture
