#include "harness/schedule/schedule_input.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "harness/scenario/fuzz_input_header.h"

namespace ipctorture::schedule {
namespace {

constexpr FuzzInputKind kind{
    .letter = schedule_input_letter, .version = schedule_input_version, .name = "schedule"};
constexpr unsigned changes = 4, peers_max = 3, messages_max_of_shape = 8;

static_assert(sizeof(Shape) <= sizeof FuzzInputHeader::own);

// Each large enough to say which message it is, where the checks need that (scenario_faults).
void set_sizes(Scenario& s, unsigned choice, bool dies, const Contract& contract) {
  const bool named = dies || s.workload == Workload::broadcast;
  const std::uint32_t least = s.workload == Workload::latest_value ? 16 : named ? 8 : 0;
  const auto within = [&](std::uint32_t size) {
    return std::clamp(std::max(size, least), contract.message_min, contract.message_max);
  };
  constexpr std::uint32_t one[] = {24, 0, 41, 200, 2100};
  s.size_count = 1;
  if (choice % (std::size(one) + 1) < std::size(one)) {
    s.sizes[0] = within(one[choice % (std::size(one) + 1)]);
    return;
  }
  s.size_count = 3;
  s.sizes = {within(8), within(41), within(200)};
}

}  // namespace

ScheduleInput schedule_input_from_bytes(std::span<const std::byte> bytes) {
  FuzzInputHeader header = read_fuzz_input_header(bytes, kind);
  ScheduleInput input{.transport = std::move(header.transport), .shape = {}, .departures = {}};
  std::memcpy(&input.shape, header.own.data(), sizeof input.shape);
  const auto records = bytes.subspan(fuzz_input_header_bytes);
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
  FuzzInputHeader header{.transport = input.transport};
  std::memcpy(header.own.data(), &input.shape, sizeof input.shape);
  std::vector<std::byte> bytes = write_fuzz_input_header(header, kind);
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
  trial.name = "fuzz input";
  trial.backend = backend;
  trial.kind = TrialKind::exhaust;
  trial.bound = 2;
  Scenario& s = trial.scenario;
  s.producers = std::min<std::uint32_t>(1 + (shape.producers + peers_max - 1) % peers_max,
                                        contract.producers_max);
  s.consumers = std::min<std::uint32_t>(1 + (shape.consumers + peers_max - 1) % peers_max,
                                        contract.consumers_max);
  s.messages = 1 + (shape.messages + messages_max_of_shape - 1) % messages_max_of_shape;
  if ((shape.flags & shape_wrapping) != 0) {
    s.capacity = 1;
    s.counter_start = (std::uint64_t{1} << 32) - 2;
  }
  const auto peers = static_cast<Peers>(shape.peers % peers_count);
  const bool dies = (peers == Peers::producers_die && let_die(trial, Role::producer, contract)) ||
                    (peers == Peers::consumers_die && let_die(trial, Role::consumer, contract));
  set_sizes(s, shape.sizes, dies, contract);
  if (dies) return trial;
  if (peers == Peers::come_late && let_come_late(s, contract)) trial.backend = Backend::processes;
  if ((shape.flags & shape_timed) != 0) s = timed(s, contract);
  const auto extra = static_cast<Extra>(shape.extra % extra_count);
  trial.questions = extra == Extra::questions;
  trial.shortages = extra == Extra::shortages;
  trial.weak_memory = extra == Extra::weak;
  trial.hostile = extra == Extra::hostile && contract.hostile == Hostile::only_errors;
  // Where no message is long enough to end a consumer, only a deadline does.
  if (!scenario_faults(s, contract).empty()) {
    s.receive_deadlines = timed(s, contract).receive_deadlines;
    if (contract.deadline_at) s.receive_deadlines.at_permille = 700;
    if (!contract.deadline_at) s.receive_deadlines.now_permille = 1000;
    if (!contract.deadline_now) s.receive_deadlines.at_permille = 1000;
  }
  return trial;
}

Departures departures_of(const ScheduleInput& input, const Trial& trial) {
  Departures all;
  bool killed = false;
  std::set<std::pair<std::uint8_t, std::uint32_t>> places;
  for (const Departure& one : input.departures) {
    const bool kills = one.change == Change::kill;
    if (kills && (killed || (trial.kill_lanes >> one.lane & 1) == 0)) continue;
    if (!places.emplace(one.lane, one.step).second) continue;
    killed = killed || kills;
    all.push_back(one);
  }
  return all;
}

}  // namespace ipctorture::schedule
