// Right histories of any length as the engine leaves them, for benchmarks of our own oracles:
// a lane of records for each peer, over one queue.
#pragma once

#include <cstdint>

#include "harness/check/check.h"

namespace ipctorture {

struct LongRun {
  unsigned producers = 1, consumers = 1;
  std::uint64_t messages = 1'000'000;  // of all producers together
  std::uint32_t capacity = 64;
  std::uint64_t seed = 1;
};

struct RunOfMany {
  History history;  // owns its records
  Contract contract;
  Scenario scenario;
  std::uint64_t operations = 0;  // sends and receives that carried a message
};

// The peers' operations overlap at random; each takes effect at one moment of its own, so the
// history is right for a FIFO queue of that capacity. Everything is received, everyone is told
// *closed*. Time and memory linear: 64 bytes a message.
RunOfMany make_long_run(const LongRun& wanted);

}  // namespace ipctorture
