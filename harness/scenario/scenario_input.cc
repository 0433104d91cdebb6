#include "harness/scenario/scenario_input.h"

#include <algorithm>
#include <stdexcept>

namespace ipctorture {
namespace {

constexpr FuzzInputKind kind{.letter = 'R', .version = scenario_input_version, .name = "scenario"};

constexpr std::uint32_t peers_max = 3, size_max = 8192;
constexpr std::uint32_t any = UINT32_MAX;
constexpr std::uint32_t oversized_max = 65536;  // a larger one takes too long to write

// The member behind a path of pointers to members.
template <auto First, auto... Rest>
constexpr auto& member(auto& object) {
  if constexpr (sizeof...(Rest) == 0) {
    return object.*First;
  } else {
    return member<Rest...>(object.*First);
  }
}

template <auto... Path>
constexpr ScenarioField field(std::string_view name, std::uint32_t low, std::uint32_t high) {
  return {.name = name,
          .low = low,
          .high = high,
          .set =
              [](Scenario& s, std::uint32_t value) {
                auto& to = member<Path...>(s);
                to = static_cast<std::remove_reference_t<decltype(to)>>(value);
              },
          .get = [](const Scenario& s) { return static_cast<std::uint32_t>(member<Path...>(s)); }};
}

template <std::size_t Index>
constexpr ScenarioField size(std::string_view name) {
  return {.name = name,
          .low = 0,
          .high = size_max,
          .set = [](Scenario& s, std::uint32_t value) { s.sizes[Index] = value; },
          .get = [](const Scenario& s) { return s.sizes[Index]; }};
}

// One half of Options::counter_start.
template <unsigned Shift>
constexpr ScenarioField counter(std::string_view name) {
  return {
      .name = name,
      .low = 0,
      .high = any,
      .set =
          [](Scenario& s, std::uint32_t value) {
            s.counter_start &= ~(std::uint64_t{any} << Shift);
            s.counter_start |= std::uint64_t{value} << Shift;
          },
      .get =
          [](const Scenario& s) { return static_cast<std::uint32_t>(s.counter_start >> Shift); }};
}

using S = Scenario;
using Mix = DeadlineMix;
// The order is the format's: new ones come last, and a change of the others is a new version.
constexpr ScenarioField fields[] = {
    field<&S::seed>("seed", 0, any),
    field<&S::workload>("workload", 0, 3),
    field<&S::producers>("producers", 1, peers_max),
    field<&S::consumers>("consumers", 1, peers_max),
    field<&S::threads>("threads", 1, 2),
    field<&S::messages>("messages", 1, 16),
    field<&S::size_count>("size_count", 1, 3),
    size<0>("sizes[0]"),
    size<1>("sizes[1]"),
    size<2>("sizes[2]"),
    field<&S::capacity>("capacity", 1, 8),
    counter<0>("counter_start, low half"),
    counter<32>("counter_start, high half"),
    field<&S::send_deadlines, &Mix::now_permille>("send_deadlines.now_permille", 0, 1000),
    field<&S::send_deadlines, &Mix::at_permille>("send_deadlines.at_permille", 0, 1000),
    field<&S::send_deadlines, &Mix::at_us>("send_deadlines.at_us", 1, 500),
    field<&S::receive_deadlines, &Mix::now_permille>("receive_deadlines.now_permille", 0, 1000),
    field<&S::receive_deadlines, &Mix::at_permille>("receive_deadlines.at_permille", 0, 1000),
    field<&S::receive_deadlines, &Mix::at_us>("receive_deadlines.at_us", 1, 500),
    field<&S::producer_noise, &Noise::yield_permille>("producer_noise.yield_permille", 0, 300),
    field<&S::producer_noise, &Noise::spin_permille>("producer_noise.spin_permille", 0, 500),
    field<&S::producer_noise, &Noise::spin_max_ns>("producer_noise.spin_max_ns", 0, 4000),
    field<&S::producer_noise, &Noise::sleep_permille>("producer_noise.sleep_permille", 0, 100),
    field<&S::producer_noise, &Noise::sleep_max_us>("producer_noise.sleep_max_us", 0, 50),
    field<&S::consumer_noise, &Noise::yield_permille>("consumer_noise.yield_permille", 0, 300),
    field<&S::consumer_noise, &Noise::spin_permille>("consumer_noise.spin_permille", 0, 500),
    field<&S::consumer_noise, &Noise::spin_max_ns>("consumer_noise.spin_max_ns", 0, 4000),
    field<&S::consumer_noise, &Noise::sleep_permille>("consumer_noise.sleep_permille", 0, 100),
    field<&S::consumer_noise, &Noise::sleep_max_us>("consumer_noise.sleep_max_us", 0, 50),
    field<&S::pinning>("pinning", 0, 2),
    field<&S::burst>("burst", 0, 8),
    field<&S::burst_pause_us>("burst_pause_us", 0, 20),
    field<&S::consumer_delay_us>("consumer_delay_us", 0, 20),
    field<&S::fill_first>("fill_first", 0, 1),
    field<&S::gap_after>("gap_after", 0, 16),
    field<&S::handoff>("handoff", 0, 1),
    field<&S::late_consumers>("late_consumers", 0, peers_max - 1),
    field<&S::late_producers>("late_producers", 0, peers_max - 1),
    field<&S::early_producers>("early_producers", 0, peers_max - 1),
    field<&S::early_consumers>("early_consumers", 0, peers_max - 1),
    field<&S::repeat_permille>("repeat_permille", 0, 900),
    field<&S::oversize_permille>("oversize_permille", 0, 300),
    field<&S::window>("window", 1, 8),
    field<&S::faults, &Faults::failing_calls>("faults.failing_calls", 0, 2000),
    field<&S::faults, &Faults::short_calls>("faults.short_calls", 0, 5000),
};

std::uint32_t within(const ScenarioField& field, std::uint32_t value) {
  if (value >= field.low && value <= field.high) return value;
  return field.low +
         static_cast<std::uint32_t>(value % (std::uint64_t{field.high} - field.low + 1));
}

const ScenarioField& field_at(unsigned number) { return fields[number % std::size(fields)]; }

Workload natural_workload(const Contract& contract) {
  if (contract.delivery == Delivery::latest_value) return Workload::latest_value;
  return contract.fan_out == FanOut::broadcast ? Workload::broadcast : Workload::stream;
}

Scenario small_scenario(const std::string& transport, const Contract& contract) {
  Scenario s;
  s.set_transport(transport);
  s.workload = natural_workload(contract);
  s.fresh_workers = false;
  s.messages = 3;
  s.sizes = {24, 24, 24};
  s.capacity = 2;
  return s;
}

// What the checkers need to tell messages apart, as the generator has it.
std::uint32_t least_size(const Scenario& s, const Contract& contract) {
  std::uint32_t least = 0;
  if (s.workload == Workload::latest_value) {
    least = 16;
  } else if (s.workload != Workload::stream) {
    least = 8;
  } else if (s.producers > 1 || contract.delivery == Delivery::at_most_once) {
    least = 1;
  }
  return std::clamp(least, contract.message_min, contract.message_max);
}

void keep_to_contract(Scenario& s, const Contract& c) {
  if (s.workload != Workload::request_reply) s.workload = natural_workload(c);
  s.producers = std::min(s.producers, c.producers_max);
  s.consumers = std::min(s.consumers, c.consumers_max);
  if (!c.threads) s.threads = 1;
  if (c.capacity_max > 0) s.capacity = std::min(s.capacity, c.capacity_max);
  const std::uint32_t least = least_size(s, c);
  for (std::uint32_t& bytes : s.sizes) bytes = std::clamp(bytes, least, c.message_max);
  for (DeadlineMix* mix : {&s.send_deadlines, &s.receive_deadlines}) {
    if (!c.deadline_now) mix->now_permille = 0;
    if (!c.deadline_at) mix->at_permille = 0;
    mix->at_permille =
        std::min(mix->at_permille, static_cast<std::uint16_t>(1000 - mix->now_permille));
  }
  s.gap_after = std::min(s.gap_after, s.messages);
  s.late_producers = std::min(s.late_producers, s.producers - 1);
  s.late_consumers = std::min(s.late_consumers, s.consumers - 1);
  s.early_producers = std::min(s.early_producers, s.producers - 1 - s.late_producers);
  s.early_consumers = std::min(s.early_consumers, s.consumers - 1 - s.late_consumers);
  if (c.delivery != Delivery::latest_value) s.repeat_permille = 0;
  if (c.message_max > oversized_max) s.oversize_permille = 0;
}

// No mark ends a consumer of this contract: its receives must have deadlines.
DeadlineMix ending_deadlines(const Contract& c) {
  if (c.reports_closed || c.message_max >= 8) return {};
  DeadlineMix mix{.at_us = 500};
  (c.deadline_at ? mix.at_permille : mix.now_permille) = 1000;
  return mix;
}

using Simplification = void (*)(Scenario&, const Contract&);
// What rules relate to each other goes, one after the other, until none is broken.
constexpr Simplification simplifications[] = {
    [](Scenario& s, const Contract&) { s.window = 1; },
    [](Scenario& s, const Contract&) { s.late_producers = s.early_producers = 0; },
    [](Scenario& s, const Contract&) { s.late_consumers = s.early_consumers = 0; },
    [](Scenario& s, const Contract&) {
      s.fill_first = s.handoff = false;
      s.gap_after = 0;
    },
    [](Scenario& s, const Contract& c) { s.receive_deadlines = ending_deadlines(c); },
    [](Scenario& s, const Contract& c) {
      s.workload = natural_workload(c);
      keep_to_contract(s, c);
    },
    [](Scenario& s, const Contract& c) {
      const Scenario small = small_scenario(std::string(s.transport_name()), c);
      const std::uint64_t seed = s.seed;
      s = small;
      s.seed = seed;
      s.receive_deadlines = ending_deadlines(c);
      keep_to_contract(s, c);
    },
};

}  // namespace

std::span<const ScenarioField> scenario_fields() { return fields; }

ScenarioInput scenario_input_from_bytes(std::span<const std::byte> bytes) {
  ScenarioInput input{.transport = read_fuzz_input_header(bytes, kind).transport, .settings = {}};
  const auto records = bytes.subspan(fuzz_input_header_bytes);
  const std::size_t count = std::min(records.size() / scenario_record_bytes, scenario_records_max);
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = [&](std::size_t n) {
      return std::to_integer<std::uint32_t>(records[i * scenario_record_bytes + n]);
    };
    input.settings.push_back({.field = static_cast<std::uint16_t>(at(0) | at(1) << 8),
                              .value = at(2) | at(3) << 8 | at(4) << 16 | at(5) << 24});
  }
  return input;
}

std::vector<std::byte> to_bytes(const ScenarioInput& input) {
  std::vector<std::byte> bytes = write_fuzz_input_header({.transport = input.transport}, kind);
  const auto put = [&](std::uint32_t value, unsigned count) {
    for (; count > 0; --count, value >>= 8) bytes.push_back(static_cast<std::byte>(value & 255));
  };
  const std::size_t count = std::min(input.settings.size(), scenario_records_max);
  for (std::size_t i = 0; i < count; ++i) {
    put(input.settings[i].field, 2);
    put(input.settings[i].value, 4);
  }
  return bytes;
}

Scenario scenario_of(const ScenarioInput& input, const Contract& contract) {
  Scenario s = small_scenario(input.transport, contract);
  for (const FieldSetting& setting : input.settings) {
    const ScenarioField& field = field_at(setting.field);
    field.set(s, within(field, setting.value));
  }
  keep_to_contract(s, contract);
  std::vector<std::string> faults = scenario_faults(s, contract);
  for (const Simplification simplify : simplifications) {
    if (faults.empty()) return s;
    simplify(s, contract);
    faults = scenario_faults(s, contract);
  }
  if (!faults.empty()) throw std::invalid_argument("fuzz input: " + faults.front());
  return s;
}

ScenarioInput scenario_input_of(const Scenario& scenario) {
  ScenarioInput input{.transport = std::string(scenario.transport_name()), .settings = {}};
  const Scenario small = small_scenario(input.transport, {});
  for (std::size_t number = 0; number < std::size(fields); ++number) {
    const std::uint32_t value = fields[number].get(scenario);
    const std::uint32_t near = std::clamp(value, fields[number].low, fields[number].high);
    if (near == fields[number].get(small)) continue;
    input.settings.push_back({.field = static_cast<std::uint16_t>(number), .value = near});
  }
  return input;
}

}  // namespace ipctorture
