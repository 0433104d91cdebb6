// The pass over the producers' records, and what both passes share. See the header for why this is
// right.
#include "harness/check/channel_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "harness/check/lookalikes.h"

namespace ipctorture {
namespace {

int index_on(const std::vector<int>& roles, unsigned channel) {
  return channel < roles.size() ? roles[channel] : -1;
}

void list(std::vector<std::uint32_t>& list, std::uint32_t record) {
  if (list.size() < Side::listed_max) list.push_back(record);
}

void describe(SentMessage& m, std::uint32_t record, const Record& r) {
  m.sent = record;
  m.size = r.size;
  m.kind = static_cast<std::uint8_t>((r.message >> 54) & 3);
  m.priority = static_cast<std::uint8_t>(r.detail);
}

}  // namespace

void read_aside(Side& side, std::uint32_t index, const Record& r, unsigned channel) {
  if (r.channel() != channel) return;
  if (r.op() == Op::attach) side.attach = index;
  if (r.op() == Op::close && side.close < 0) side.close = index;
  if (r.op() == Op::late) side.late.push_back(index);
}

ChannelIndex::ChannelIndex(const History& history, const Contract& contract, unsigned on_channel)
    : channel(on_channel),
      shared(contract.fan_out != FanOut::broadcast && contract.delivery != Delivery::latest_value),
      history_(&history),
      ordering_(contract.ordering),
      delivery_(contract.delivery),
      when_full_(contract.when_full),
      message_max_(contract.message_max) {
  for (unsigned lane = 0; lane < history.lanes.size(); ++lane) {
    const int producer = index_on(history.lanes[lane].producer_on, channel);
    const int consumer = index_on(history.lanes[lane].consumer_on, channel);
    if (producer >= 0) {
      const auto at = static_cast<std::size_t>(producer);
      if (producers.size() <= at) producers.resize(at + 1);
      producers[at].present = true;
      producers[at].lane = lane;
    }
    if (consumer >= 0) {
      const auto at = static_cast<std::size_t>(consumer);
      if (consumers.size() <= at) consumers.resize(at + 1);
      consumers[at].present = true;
      consumers[at].lane = lane;
    }
  }
  if (channel == 0) came_late.resize(history.unreceived.size());
  for (unsigned p = 0; p < producers.size(); ++p) read_producer(p);
  LookalikeCounts counts = prepare_lookalikes();
  for (unsigned c = 0; c < consumers.size(); ++c) read_consumer(c, counts);
  settle_lookalikes(counts);
  if (shared) {
    for (const ProducerSide& p : producers) {
      if (delivered == accepted) break;
      for (const SentMessage& m : p.messages) outstanding += m.outstanding() ? 1 : 0;
    }
  }
}

void ChannelIndex::read_producer(unsigned index) {
  ProducerSide& side = producers[index];
  if (!side.present) return;
  const auto records = history_->lanes[side.lane].records;
  const std::uint8_t send = Record::encode(Op::send, channel, DeadlineMode::never);
  std::uint64_t end_accepted = 0;  // offset + 1 of the last accepted one
  const auto broken = [&](std::uint64_t record, const char* what) {
    throw std::logic_error(
        fmt::format("history: {}, record {}: {}", history_->lanes[side.lane].name(), record, what));
  };
  side.messages.reserve(records.size());
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if ((r.what & 0x3f) != send) [[unlikely]] {
      read_aside(side, i, r, channel);
      continue;
    }
    const std::uint64_t sequence = r.message & sequence_mask;
    if (side.attempts++ == 0) side.first = sequence;
    const std::uint64_t offset = sequence - side.first;
    if (sequence < side.first) broken(i, "a sequence number below the first");
    if (offset > side.messages.size()) broken(i, "a sequence number was skipped");
    if (offset == side.messages.size()) side.messages.emplace_back();
    shortest_ = std::min(shortest_, r.size);
    side.timed += r.mode() != DeadlineMode::never ? 1 : 0;
    SentMessage& m = side.messages[offset];
    const bool again = m.has(SentMessage::accepted);
    if (r.result() == Outcome::ok) [[likely]] {
      if (delivery_ != Delivery::latest_value) {
        if (again) broken(i, "a sequence number was accepted twice");
        if (offset < end_accepted) broken(i, "sequence numbers run backwards");
      }
      end_accepted = offset + 1;
      if (!again) describe(m, i, r);
      side.accepted += again ? 0 : 1;
      m.flags |= SentMessage::accepted;
    } else if (r.result() == Outcome::unknown) {
      if (!again) describe(m, i, r);
      m.flags |= SentMessage::uncertain;
      ++side.uncertain;
    } else {
      if (!m.has(SentMessage::accepted | SentMessage::uncertain)) describe(m, i, r);
      m.flags |= SentMessage::refused;
      read_refusal(side, i, r);
    }
    if (r.size > message_max_) [[unlikely]] {
      ++side.oversize;
      const bool refused = r.result() == Outcome::too_large;
      const bool undecided = r.result() == Outcome::unknown || r.result() == Outcome::closed;
      if (!refused && !undecided) list(side.not_refused, i);
    }
  }
  accepted += side.accepted;
  uncertain += side.uncertain;
  full += side.full;
}

void ChannelIndex::read_refusal(ProducerSide& side, std::uint32_t index, const Record& r) const {
  switch (r.result()) {
    case Outcome::full:
      ++side.full;
      if (r.mode() != DeadlineMode::now && when_full_ == WhenFull::blocks) {
        list(side.impatient, index);
      }
      break;
    case Outcome::timed_out:
      ++side.timed_out;
      if (r.mode() == DeadlineMode::never) list(side.impatient, index);
      break;
    case Outcome::closed:
      side.closed.push_back(index);
      break;
    case Outcome::too_large:
      list(side.too_large, index);
      break;
    default:
      list(side.errors, index);
  }
}

bool ChannelIndex::is_earlier(const Record& r) const {
  if (!history_->continues || channel != 0 || r.size < named_bytes) return false;
  const std::uint64_t producer = r.message >> 56;
  if (producer >= producers.size()) return false;
  const ProducerSide& side = producers[producer];
  return side.attempts == 0 || (r.message & sequence_mask) < side.first;
}

bool ChannelIndex::take_earlier(const Record& r) {
  if (!is_earlier(r)) return false;
  const auto& listed = history_->unreceived;
  const auto producer = static_cast<std::uint8_t>(r.message >> 56);
  const Unreceived least{.producer = producer, .sequence = r.message & sequence_mask};
  const auto at = std::ranges::lower_bound(listed, least);
  const bool is_listed =
      at != listed.end() && at->producer == producer && at->sequence == least.sequence;
  if (!is_listed) return !history_->unreceived_known;
  const auto index = static_cast<std::size_t>(at - listed.begin());
  const bool again = came_late[index];
  came_late[index] = true;
  return !again;
}

const Sighting* ChannelIndex::first(Anomaly a) const {
  const auto it = std::find_if(sightings.begin(), sightings.end(),
                               [a](const Sighting& s) { return s.anomaly == a; });
  return it == sightings.end() ? nullptr : &*it;
}

void ChannelIndex::note(const Sighting& sighting) {
  if (++anomalies[static_cast<unsigned>(sighting.anomaly)] <= sightings_max) {
    sightings.push_back(sighting);
  }
}

Stamp ChannelIndex::first_attempt(unsigned producer, std::uint64_t offset) const {
  // Attempts outside the window are not known.
  if (offset == 0 && producers[producer].first > 0) return 0;
  const auto records = history_->lanes[producers[producer].lane].records;
  const Record& sent = sent_record(producer, offset);
  Stamp first = sent.invoked;
  for (std::uint64_t i = producers[producer].messages[offset].sent; i-- > 0;) {
    const Record& r = records[i];
    if (r.op() != Op::send || r.channel() != channel) continue;
    if (((r.message ^ sent.message) & sequence_mask) != 0) break;
    if (r.result() == Outcome::unknown) first = r.invoked;
  }
  return first;
}

EventRef ChannelIndex::sent_ref(unsigned producer, std::uint64_t offset) const {
  return {producers[producer].lane, producers[producer].messages[offset].sent};
}

}  // namespace ipctorture
