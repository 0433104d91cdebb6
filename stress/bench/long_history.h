// Right histories of any length, for benchmarks: eight processes whose operations overlap at
// random.
#pragma once

#include <cstdint>

#include "harness/linear/contract.h"

namespace ipctorture {

struct LongHistory {
  linear::Contract contract =
      linear::Contract::fifo;  // fifo serves set, per_producer, priority too
  std::uint32_t operations = 1'000'000;
  bool troubled = false;  // receives find nothing, and one operation in a thousand is cut
  std::uint64_t seed = 1;
};

// Time and memory linear. Values are numbered as they are sent.
linear::History make_long_history(const LongHistory& wanted);

}  // namespace ipctorture
