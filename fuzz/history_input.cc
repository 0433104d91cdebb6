#include "fuzz/history_input.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "harness/scenario/generate.h"
#include "harness/scenario/synthetic_contracts.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

constexpr char magic[4] = {'I', 'C', 'T', 'H'};
constexpr std::size_t header_bytes = 16, records_max = 2000;
constexpr unsigned record_open = 1, record_far = 2, record_stamp = 4;
constexpr unsigned not_serialised = 1, has_death = 2, has_sleeper = 4;
constexpr std::uint64_t messages_plausible = 12;

Record record_of(const RawRecord& raw, Stamp last) {
  Stamp invoked = last + ((raw.flags & record_far) != 0 ? Stamp{raw.gap} << 20 : raw.gap);
  if ((raw.flags & record_stamp) != 0) invoked = raw.message;
  const bool open = (raw.flags & record_open) != 0;
  return {.invoked = invoked,
          .returned = open ? 0 : invoked + raw.took,
          .message = raw.message,
          .size = raw.size,
          .what = raw.what,
          .outcome = raw.outcome,
          .detail = raw.detail};
}

// One lane's operations, appended by time over all lanes.
void add_traffic(const Scenario& s, unsigned number, HistoryInput* input) {
  const LanePlan plan = plan_lane(s, number);
  const auto lane = static_cast<std::uint8_t>(number);
  const auto add = [&](Op op, unsigned channel, std::uint64_t message, std::uint16_t gap) {
    const bool sized = op == Op::send || op == Op::receive;
    input->records.push_back({.lane = lane,
                              .what = Record::encode(op, channel, DeadlineMode::never),
                              .outcome = static_cast<std::uint8_t>(Outcome::ok),
                              .gap = gap,
                              .size = sized ? s.sizes[0] : 0,
                              .took = 100,
                              .message = message});
  };
  add(Op::attach, 0, 0, 1000);
  const std::uint64_t count = std::min(s.messages, messages_plausible);
  for (unsigned channel = 0; channel < s.channels(); ++channel) {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (plan.producer_on[channel] >= 0) {
        const auto producer = static_cast<std::uint8_t>(plan.producer_on[channel]);
        add(Op::send, channel, MessageId{.sequence = i, .producer = producer}.packed(), 100);
      } else if (plan.consumer_on[channel] >= 0) {
        add(Op::receive, channel, MessageId{.sequence = i}.packed(), 150);
      }
    }
  }
  add(Op::finished, 0, 0, 1);
  add(Op::close, 0, 0, 10);
}

}  // namespace

HistoryInput history_input_from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic, sizeof magic) != 0) {
    throw std::invalid_argument("fuzz input: does not begin with ICTH");
  }
  const auto version = std::to_integer<unsigned>(bytes[4]);
  if (version != history_input_version) {
    throw std::invalid_argument("fuzz input: version " + std::to_string(version) +
                                ", this program reads " + std::to_string(history_input_version));
  }
  HistoryInput input{.contract = std::to_integer<std::uint8_t>(bytes[5]),
                     .flags = std::to_integer<std::uint8_t>(bytes[6])};
  std::memcpy(&input.seed, bytes.data() + 8, sizeof input.seed);
  const auto rest = bytes.subspan(header_bytes);
  input.records.resize(std::min(rest.size() / sizeof(RawRecord), records_max));
  if (!input.records.empty()) {
    std::memcpy(input.records.data(), rest.data(), input.records.size() * sizeof(RawRecord));
  }
  return input;
}

std::vector<std::byte> to_bytes(const HistoryInput& input) {
  std::vector<std::byte> bytes(header_bytes + input.records.size() * sizeof(RawRecord));
  std::memcpy(bytes.data(), magic, sizeof magic);
  bytes[4] = std::byte{history_input_version};
  bytes[5] = std::byte{input.contract};
  bytes[6] = std::byte{input.flags};
  std::memcpy(bytes.data() + 8, &input.seed, sizeof input.seed);
  if (!input.records.empty()) {
    std::memcpy(bytes.data() + header_bytes, input.records.data(),
                input.records.size() * sizeof(RawRecord));
  }
  return bytes;
}

MadeHistory history_of(const HistoryInput& input) {
  static const synthetic::NamedContracts contracts = synthetic::contracts();
  const auto& [name, contract] = contracts[input.contract % contracts.size()];
  MadeHistory made{
      .contract = contract, .scenario = generate(input.seed, name, contract, {}), .history = {}};
  History& history = made.history;
  history.channels = made.scenario.channels();
  history.serialised = (input.flags & not_serialised) == 0;
  const unsigned lanes = made.scenario.lanes();
  std::vector<std::vector<Record>> records(lanes);
  for (const RawRecord& raw : input.records) {
    std::vector<Record>& lane = records[raw.lane % lanes];
    lane.push_back(record_of(raw, lane.empty() ? 0 : lane.back().returned));
  }
  for (unsigned number = 0; number < lanes; ++number) {
    const LanePlan plan = plan_lane(made.scenario, number);
    const auto owned = std::make_shared<std::vector<Record>>(std::move(records[number]));
    LaneHistory lane{.worker = plan.worker, .thread = plan.thread, .records = *owned};
    for (unsigned channel = 0; channel < history.channels; ++channel) {
      lane.producer_on.push_back(plan.producer_on[channel]);
      lane.consumer_on.push_back(plan.consumer_on[channel]);
    }
    history.lanes.push_back(std::move(lane));
    history.storage.push_back(owned);
  }
  if ((input.flags & has_death) != 0) {
    history.evidence.push_back(
        {.fact = Fact::killed, .lane = 0, .from = 5000, .to = 5000, .value = killed_as_fault});
  }
  if ((input.flags & has_sleeper) != 0) {
    history.evidence.push_back({.fact = Fact::asleep,
                                .lane = static_cast<int>(lanes) - 1,
                                .from = 1000,
                                .to = 9'000'000'000,
                                .value = 1});
  }
  return made;
}

HistoryInput plausible_history(std::uint8_t contract, std::uint64_t seed) {
  HistoryInput input{
      .contract = contract, .flags = static_cast<std::uint8_t>(seed % 8), .seed = seed};
  const Scenario scenario = history_of(input).scenario;
  for (unsigned lane = 0; lane < scenario.lanes(); ++lane) add_traffic(scenario, lane, &input);
  return input;
}

}  // namespace ipctorture
