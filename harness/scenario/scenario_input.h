// A scenario as bytes for fuzzers: what differs from a small one, one record per field. Told in
// words by `ipctorture show FILE`.
//
//   64-byte header   of kind 'R' (fuzz_input_header.h), its own bytes are 0
//   6-byte records   u16 field, u32 value, little endian
//
// The records are fixed in size and each stands for itself, so that a mutator can leave out, add,
// move and copy them. Several for one field: the last counts. Bytes after the last whole record are
// ignored.
//
// Every input means a scenario that its transport's contract allows and that is over within a
// millisecond or so, where nothing may be lost and nobody waits: at most 3 producers and 3
// consumers, 16 messages each, of 8 KiB; workers come from the pool. Calls may be short or fail (in
// builds without a sanitizer). Not to be had, for they take new processes or long: kills, pauses,
// storms of signals, limits, gaps that last, counting resources.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/scenario/fuzz_input_header.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

inline constexpr std::uint8_t scenario_input_version = 1;
inline constexpr std::size_t scenario_record_bytes = 6;
inline constexpr std::size_t scenario_records_max = 256;

// What a record can set. The order is part of the format.
struct ScenarioField {
  std::string_view name;
  std::uint32_t low, high;  // a value beyond is taken modulo their distance
  void (*set)(Scenario&, std::uint32_t value);
  std::uint32_t (*get)(const Scenario&);
};
std::span<const ScenarioField> scenario_fields();

struct FieldSetting {
  std::uint16_t field = 0;  // beyond the last one: counted around
  std::uint32_t value = 0;
  bool operator==(const FieldSetting&) const = default;
};

struct ScenarioInput {
  std::string transport;
  std::vector<FieldSetting> settings;  // at most scenario_records_max
};

// Throws std::invalid_argument: "fuzz input: version 0, this program reads 1".
ScenarioInput scenario_input_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> to_bytes(const ScenarioInput& input);

// Within the contract, whatever the records say. Throws std::invalid_argument when forked workers
// cannot keep the contract at all (Contract::exec_only), or the transport's name is none.
Scenario scenario_of(const ScenarioInput& input, const Contract& contract);

// The input that comes closest to a scenario: it is small again, and what no record can say is
// left out.
ScenarioInput scenario_input_of(const Scenario& scenario);

}  // namespace ipctorture
