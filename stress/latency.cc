#include "stress/latency.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

constexpr std::size_t lane_records_max = 65'536;
constexpr std::uint64_t samples_wanted = 1'000;
constexpr std::uint32_t naming_bytes = 8;

std::span<const Record> first_records(const LaneHistory& lane) {
  return lane.records.first(std::min(lane.records.size(), lane_records_max));
}

bool counts(const Record& record, Op op) {
  return record.op() == op && record.result() == Outcome::ok && record.size >= naming_bytes &&
         !record.open() && (op != Op::receive || record.content() == Content::intact);
}

}  // namespace

void LatencyHistogram::add(std::int64_t ns) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  // Below 16 each value has a bucket of its own; above, the four bits after the leading one decide.
  const unsigned shift = width <= 5 ? 0 : width - 5;
  const unsigned bucket = shift * steps + static_cast<unsigned>(value >> shift);
  ++buckets_[std::min<std::size_t>(bucket, buckets_.size() - 1)];
  ++count_;
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

LatencyHistogram::Sparse LatencyHistogram::sparse() const {
  Sparse sparse;
  for (std::uint32_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] > 0) sparse.emplace_back(i, buckets_[i]);
  }
  return sparse;
}

void LatencyHistogram::add(const Sparse& steps_and_counts) {
  for (const auto& [step, count] : steps_and_counts) {
    if (step >= buckets_.size()) continue;
    buckets_[step] += count;
    count_ += count;
  }
}

std::int64_t LatencyHistogram::percentile_ns(unsigned per_mille) const {
  if (count_ == 0) return 0;
  const std::uint64_t rank = std::max<std::uint64_t>(1, (count_ * per_mille + 999) / 1000);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen < rank) continue;
    if (i < 2 * steps) return static_cast<std::int64_t>(i);
    const std::uint64_t shift = i / steps - 1;
    return static_cast<std::int64_t>((((i % steps) + steps + 1) << shift) - 1);
  }
  return 0;
}

void sample_latency(const History& history, LatencyHistogram* histogram) {
  std::uint64_t sent = 0;
  for (const LaneHistory& lane : history.lanes) {
    const auto& on = lane.producer_on;
    const bool sends = std::any_of(on.begin(), on.end(), [](int index) { return index >= 0; });
    if (sends) sent += first_records(lane).size();
  }
  const std::uint64_t stride = std::max<std::uint64_t>(1, sent / samples_wanted);
  const auto sampled = [&](const Record& r) { return mix64(r.message) % stride == 0; };
  const auto key = [](const Record& r) { return r.message ^ std::uint64_t{r.channel()} << 52; };

  std::unordered_map<std::uint64_t, Stamp> invoked;
  for (const LaneHistory& lane : history.lanes) {
    for (const Record& record : first_records(lane)) {
      if (counts(record, Op::send) && sampled(record)) invoked[key(record)] = record.invoked;
    }
  }
  for (const LaneHistory& lane : history.lanes) {
    for (const Record& record : first_records(lane)) {
      if (!counts(record, Op::receive) || !sampled(record)) continue;
      const auto found = invoked.find(key(record));
      if (found == invoked.end() || record.returned < found->second) continue;
      histogram->add(history.ns(record.returned - found->second));
    }
  }
}

}  // namespace ipctorture
