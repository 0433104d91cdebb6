// Messages below 8 bytes: which one was received? See channel_index.h for where each answer is
// sound.
#include "harness/check/lookalikes.h"

#include <algorithm>

#include "harness/check/channel_index.h"
#include "harness/scenario/message.h"

namespace ipctorture {
namespace {

constexpr unsigned folded_bits = 13;        // classes of lookalikes
constexpr unsigned in_order_bits_max = 21;  // cursors of 8 MB per producer and size at the most

unsigned foldable_bits(std::uint32_t size) {
  return std::min(known_sequence_bits(size), folded_bits);
}

// The smallest offset at or after `from` whose sequence ends in the given bits.
std::uint64_t next_with_bits(std::uint64_t first, std::uint64_t from, std::uint64_t sequence,
                             unsigned bits) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  return from + ((sequence - (first + from)) & mask);
}

}  // namespace

LookalikeCounts ChannelIndex::prepare_lookalikes() const {
  LookalikeCounts counts;
  if (shortest_ >= named_bytes) return counts;
  counts.cursors.resize(producers.size());
  for (const ConsumerSide& c : consumers) {
    if (!c.present) continue;
    // The last record may be open: whatever it took, nothing was counted after it.
    const auto records = history_->lanes[c.lane].records;
    for (std::size_t i = 0; i + 1 < records.size(); ++i) {
      const bool unknown =
          records[i].op() == Op::receive && records[i].result() == Outcome::unknown;
      if (unknown) counts.receives_certain = false;
    }
  }
  return counts;
}

// How many producers the bytes of a short message may name; `only` is the last of them.
unsigned ChannelIndex::candidates(const Record& r, unsigned* only) const {
  const auto named = static_cast<unsigned>(r.message >> 56);
  unsigned count = 0;
  for (unsigned p = 0; p < producers.size(); ++p) {
    if (!producers[p].present) continue;
    const bool fits = r.size == 0 || (r.size < 5 ? p % 8 == named % 8 : p == named);
    if (!fits) continue;
    ++count;
    *only = p;
  }
  return count;
}

bool ChannelIndex::countable_in_order(unsigned producer) const {
  const ProducerSide& side = producers[producer];
  const bool certain =
      side.uncertain == 0 ||
      (side.uncertain == 1 && !side.messages.empty() &&
       (side.messages.back().flags & (SentMessage::accepted | SentMessage::uncertain)) ==
           SentMessage::uncertain);
  const bool ordered = ordering_ == Ordering::per_producer || ordering_ == Ordering::total;
  const auto present = std::count_if(consumers.begin(), consumers.end(),
                                     [](const ConsumerSide& c) { return c.present; });
  return certain && ordered && present == 1 && shared && delivery_ == Delivery::exactly_once;
}

Match ChannelIndex::match_short(const Record& r) const {
  unsigned only = 0;
  const unsigned count = candidates(r, &only);
  if (count == 0) return {};
  if (count > 1) return {.how = Match::How::lookalike};
  const ProducerSide& side = producers[only];
  const unsigned bits = known_sequence_bits(r.size);
  if (side.messages.size() > std::uint64_t{1} << bits) {
    return {.how = Match::How::lookalike, .producer = only};
  }
  const std::uint64_t offset = next_with_bits(side.first, 0, r.message & sequence_mask, bits);
  if (offset >= side.messages.size()) return {};
  return {Match::How::identified, only, offset};
}

// The k-th of its class where that is sound, else counted with its class.
Match ChannelIndex::count_in_class(const Record& r, LookalikeCounts& counts) {
  if (shortest_ >= named_bytes) return {};  // every message that was sent is longer
  unsigned only = 0;
  const unsigned bits = known_sequence_bits(r.size);
  const std::uint64_t sequence = r.message & sequence_mask;
  const bool one = candidates(r, &only) == 1;
  if (one && countable_in_order(only) && counts.receives_certain && bits <= in_order_bits_max) {
    const ProducerSide& side = producers[only];
    std::vector<std::uint32_t>& cursors = counts.cursors[only][r.size];
    const std::uint64_t step = std::uint64_t{1} << bits;
    if (cursors.empty()) cursors.assign(step, 0);
    std::uint32_t& cursor = cursors[sequence & (step - 1)];
    std::uint64_t offset = next_with_bits(side.first, cursor, sequence, bits);
    constexpr std::uint8_t sendable = SentMessage::accepted | SentMessage::uncertain;
    while (offset < side.messages.size() &&
           !(side.messages[offset].size == r.size && side.messages[offset].has(sendable))) {
      offset += step;
    }
    cursor = static_cast<std::uint32_t>(std::min<std::uint64_t>(offset + 1, side.messages.size()));
    if (offset >= side.messages.size()) return {};
    return {Match::How::identified, only, offset};
  }
  auto& received_in = counts.received[r.size];
  const unsigned folded = foldable_bits(r.size);
  if (received_in.empty()) received_in.assign(std::size_t{8} << folded, 0);
  const std::uint64_t family = r.size == 0 ? 0 : (r.message >> 56) & 7;
  ++received_in[family << folded | (sequence & ((std::uint64_t{1} << folded) - 1))];
  return {.how = Match::How::lookalike};
}

// Everything that could only be counted: as many received as were sent?
void ChannelIndex::settle_lookalikes(LookalikeCounts& counts) {
  if (shortest_ >= named_bytes) return;
  for (unsigned p = 0; p < producers.size(); ++p) {
    ProducerSide& side = producers[p];
    std::array<bool, named_bytes> counted{};
    for (std::uint32_t size = 0; size < named_bytes; ++size) {
      const Record like{.message = std::uint64_t{p} << 56, .size = size};
      unsigned only = 0;
      const unsigned bits = known_sequence_bits(size);
      const bool one = candidates(like, &only) == 1;
      const bool unique = one && side.messages.size() <= std::uint64_t{1} << bits;
      const bool in_order =
          one && countable_in_order(p) && counts.receives_certain && bits <= in_order_bits_max;
      counted[size] = !unique && !in_order;
    }
    if (std::none_of(counted.begin(), counted.end(), [](bool b) { return b; })) continue;
    for (std::uint64_t offset = 0; offset < side.messages.size(); ++offset) {
      SentMessage& m = side.messages[offset];
      if (m.size >= named_bytes || !counted[m.size]) continue;
      m.flags |= SentMessage::lookalike;
      const unsigned folded = foldable_bits(m.size);
      const std::uint64_t family = m.size == 0 ? 0 : p & 7;
      const std::uint64_t at =
          family << folded | ((side.first + offset) & ((std::uint64_t{1} << folded) - 1));
      for (auto* table : {&counts.possible[m.size], &counts.certain[m.size]}) {
        if (table->empty()) table->assign(std::size_t{8} << folded, 0);
      }
      if (m.has(SentMessage::accepted)) ++counts.certain[m.size][at], ++lookalikes_sent;
      counts.possible[m.size][at] +=
          (m.has(SentMessage::accepted) ? 1u : 0u) + (m.has(SentMessage::uncertain) ? 1u : 0u);
    }
  }
  if (!shared) return;
  for (std::uint32_t size = 0; size < named_bytes; ++size) {
    const std::size_t classes =
        std::max(counts.possible[size].size(), counts.received[size].size());
    const auto in = [](const std::vector<std::uint32_t>& table, std::size_t at) {
      return at < table.size() ? table[at] : 0;
    };
    for (std::size_t at = 0; at < classes; ++at) {
      const std::uint32_t got = in(counts.received[size], at);
      lookalikes_extra += got - std::min(got, in(counts.possible[size], at));
      const std::uint32_t owed = in(counts.certain[size], at);
      lookalikes_missing += owed - std::min(owed, got);
    }
  }
}

}  // namespace ipctorture
