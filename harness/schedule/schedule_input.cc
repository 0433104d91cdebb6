#include "harness/schedule/schedule_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace ipctorture::schedule {
namespace {

constexpr char magic[4] = {'I', 'C', 'T', 'F'};
constexpr std::uint8_t kind = 'S';
constexpr std::size_t shape_at = 6, name_at = 16, name_bytes = 48;
constexpr unsigned changes = 4, peers_max = 3, messages_max_of_shape = 8;

static_assert(name_at + name_bytes == schedule_input_header_bytes);
static_assert(sizeof(Shape) == 5);

std::uint32_t within(std::uint32_t size, const Contract& contract) {
  return std::clamp(size, contract.message_min, contract.message_max);
}

void set_sizes(Scenario& s, unsigned choice, const Contract& contract) {
  constexpr std::uint32_t one[] = {24, 0, 41, 200, 2100};
  s.size_count = 1;
  s.sizes[0] = within(one[choice % std::size(one)], contract);
  if (choice % (std::size(one) + 1) != std::size(one)) return;
  s.size_count = 3;
  s.sizes = {within(8, contract), within(41, contract), within(200, contract)};
}

}  // namespace

ScheduleInput schedule_input_from_bytes(std::span<const std::byte> bytes) {
  const auto refuse = [](const std::string& why) {
    throw std::invalid_argument("fuzz input: " + why);
  };
  if (bytes.size() < schedule_input_header_bytes) refuse("shorter than its header");
  if (std::memcmp(bytes.data(), magic, sizeof magic) != 0) refuse("does not begin with ICTF");
  const auto version = std::to_integer<unsigned>(bytes[4]);
  if (version != schedule_input_version) {
    refuse(fmt::format("version {}, this program reads {}", version, schedule_input_version));
  }
  if (bytes[5] != std::byte{kind}) refuse("is no schedule");
  ScheduleInput input;
  std::memcpy(&input.shape, bytes.data() + shape_at, sizeof input.shape);
  const auto* name = reinterpret_cast<const char*>(bytes.data() + name_at);
  input.transport.assign(name, ::strnlen(name, name_bytes - 1));
  const auto records = bytes.subspan(schedule_input_header_bytes);
  const std::size_t count = std::min(records.size() / schedule_record_bytes, schedule_records_max);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* record = records.data() + i * schedule_record_bytes;
    const auto at = [&](unsigned n) { return std::to_integer<std::uint32_t>(record[n]); };
    const Departure departure{.step = at(0) + at(1) * 256,
                              .lane = static_cast<std::uint8_t>(at(2) % 16 % lanes_max),
                              .change = static_cast<Change>(at(2) / 16 % changes),
                              .value = static_cast<std::uint8_t>(at(3))};
    const bool is_run = departure.change == Change::run || departure.change == Change::time_out;
    const bool lane = !is_run || departure.value < lanes_max;
    if (departure.step > 0 && lane) input.departures.push_back(departure);
  }
  return input;
}

std::vector<std::byte> to_bytes(const ScheduleInput& input) {
  std::vector<std::byte> bytes(schedule_input_header_bytes);
  std::memcpy(bytes.data(), magic, sizeof magic);
  bytes[4] = std::byte{schedule_input_version};
  bytes[5] = std::byte{kind};
  std::memcpy(bytes.data() + shape_at, &input.shape, sizeof input.shape);
  std::memcpy(bytes.data() + name_at, input.transport.data(),
              std::min(input.transport.size(), name_bytes - 1));
  for (const Departure& departure : input.departures) {
    if (departure.step > UINT16_MAX) continue;
    bytes.push_back(static_cast<std::byte>(departure.step % 256));
    bytes.push_back(static_cast<std::byte>(departure.step / 256));
    bytes.push_back(
        static_cast<std::byte>(static_cast<unsigned>(departure.change) * 16 + departure.lane));
    bytes.push_back(static_cast<std::byte>(departure.value));
  }
  return bytes;
}

Trial trial_of(const ScheduleInput& input, const Contract& contract, Backend backend) {
  const Shape& shape = input.shape;
  Trial trial = portfolio(input.transport, contract, 1).front();
  Scenario& s = trial.scenario;
  s.producers = std::min<std::uint32_t>(1 + (shape.producers + peers_max - 1) % peers_max,
                                        contract.producers_max);
  s.consumers = std::min<std::uint32_t>(1 + (shape.consumers + peers_max - 1) % peers_max,
                                        contract.consumers_max);
  s.messages = 1 + (shape.messages + messages_max_of_shape - 1) % messages_max_of_shape;
  set_sizes(s, shape.sizes, contract);
  if ((shape.flags & shape_timed) != 0) s = timed(s, contract);
  if ((shape.flags & shape_wrapping) != 0) {
    s.capacity = 1;
    s.counter_start = (std::uint64_t{1} << 32) - 2;
  }
  trial.name = "fuzz input";
  trial.backend = backend;
  trial.kind = TrialKind::exhaust;
  trial.bound = 2;
  trial.questions = (shape.flags & shape_questions) != 0;
  trial.shortages = (shape.flags & shape_shortages) != 0;
  trial.weak_memory = (shape.flags & shape_weak) != 0;
  trial.hostile = (shape.flags & shape_hostile) != 0 && contract.hostile == Hostile::only_errors;
  return trial;
}

}  // namespace ipctorture::schedule
