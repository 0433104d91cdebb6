// A history as bytes for fuzzers: which contract and which scenario, and the records, each standing
// for itself, so that a mutator can leave out, add, move and copy them. Stamps are written as
// distances: most inputs then are histories that pass the test of form.
//
//   16-byte header   "ICTH", version, contract, flags, 0, u64 seed of the scenario
//   24-byte records  RawRecord
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/history/history.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

inline constexpr std::uint8_t history_input_version = 1;

struct RawRecord {
  std::uint8_t lane = 0;
  std::uint8_t what = 0;     // Record::what
  std::uint8_t outcome = 0;  // of Outcome
  std::uint8_t flags = 0;    // 1: open; 2: the gap is in units of 2^20; 4: the message is a stamp
  std::uint16_t detail = 0;
  std::uint16_t gap = 0;  // ticks since the lane's last record returned
  std::uint32_t size = 0;
  std::uint32_t took = 0;  // ticks
  std::uint64_t message = 0;
};
static_assert(sizeof(RawRecord) == 24);

struct HistoryInput {
  std::uint8_t contract = 0;  // of synthetic::contracts()
  std::uint8_t flags = 0;     // 1: stamps are not serialised; 2: a death; 4: a lane asleep
  std::uint64_t seed = 0;     // of generate()
  std::vector<RawRecord> records;
};

// What the checkers get. The records belong to the history.
struct MadeHistory {
  Contract contract;
  Scenario scenario;
  History history;
};

// Throws std::invalid_argument: "fuzz input: version 0, this program reads 1".
HistoryInput history_input_from_bytes(std::span<const std::byte> bytes);
std::vector<std::byte> to_bytes(const HistoryInput& input);
MadeHistory history_of(const HistoryInput& input);

// Messages sent and received in turn: a start for a fuzzer, mostly without a fault.
HistoryInput plausible_history(std::uint8_t contract, std::uint64_t seed);

}  // namespace ipctorture
