// How long messages took from the sender's call to the receiver's return, in bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "harness/history/history.h"

namespace ipctorture {

// Log-linear: 16 steps per power of two, so a percentile is at most 6 % above the truth. 8 KiB.
class LatencyHistogram {
 public:
  void add(std::int64_t ns);
  void merge(const LatencyHistogram& other);
  std::uint64_t count() const { return count_; }
  // The smallest step that `per_mille` of the samples do not exceed; 0 without samples.
  std::int64_t percentile_ns(unsigned per_mille) const;
  // The steps that have samples, in order; and back. Steps that do not exist are left out.
  using Sparse = std::vector<std::pair<std::uint32_t, std::uint64_t>>;
  Sparse sparse() const;
  void add(const Sparse& steps_and_counts);

 private:
  static constexpr unsigned steps = 16, powers = 64;
  std::array<std::uint64_t, steps * powers> buckets_{};
  std::uint64_t count_ = 0;
};

// Adds a sample of the messages in `history`: about 1,000, chosen by identity and not by speed,
// from the first 65,536 records of each lane. Messages below 8 bytes do not name themselves wholly
// and are left out. What a hand-off, a gap or a fill made wait counts as well: it is the time that
// the message took.
void sample_latency(const History& history, LatencyHistogram* histogram);

}  // namespace ipctorture
