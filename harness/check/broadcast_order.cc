// Total order with broadcast: every consumer sees the messages of all producers in one order, which
// respects real time.
//
// Sound and, for the agreement, exact over the messages that two consumers both received: their
// orders are compared with that of the consumer who received most. Real time is checked for each
// consumer alone: of two messages it received, the one whose send returned before the other's send
// began came first. Consumers that have all from the start receive the same messages without a gap,
// so that, of what all of them see, nothing is missed: where everyone attached before the first
// send and nobody was lapped, agreement_test finds no wrong history that passes.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

struct Taken {
  unsigned producer = 0;
  std::uint64_t offset = 0;
  std::uint64_t record = 0;
};

std::vector<Taken> taken_by(const Subject& subject, const ChannelIndex& channel,
                            const ConsumerSide& side) {
  std::vector<Taken> taken;
  if (!side.present) return taken;
  const auto records = subject.history.lanes[side.lane].records;
  for (std::uint64_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    const bool intact = r.op() == Op::receive && r.channel() == channel.channel &&
                        r.result() == Outcome::ok && r.content() == Content::intact;
    if (!intact) continue;
    const Match match = channel.match(r);
    if (match.how == Match::How::identified) taken.push_back({match.producer, match.offset, i});
  }
  return taken;
}

// The first message that came after one which was sent, by the clock, later.
void judge_clock(const Subject& subject, const ChannelIndex& channel, const ConsumerSide& side,
                 const std::vector<Taken>& taken, Finding& finding) {
  const Taken* newest = nullptr;
  for (const Taken& t : taken) {
    const Record& sent = channel.sent_record(t.producer, t.offset);
    if (newest != nullptr && !sent.open() &&
        subject.time.before(sent.returned,
                            channel.sent_record(newest->producer, newest->offset).invoked)) {
      return charge(finding, Verdict::violation,
                    {.symptom = "reordered",
                     .what = fmt::format(
                         "{} received {} after {}, whose send began after that of the other had "
                         "returned",
                         subject.lane(side.lane), subject.message(channel, t.producer, t.offset),
                         subject.message(channel, newest->producer, newest->offset)),
                     .legal = "the order of sending",
                     .witness = {channel.sent_ref(t.producer, t.offset),
                                 channel.sent_ref(newest->producer, newest->offset),
                                 {side.lane, newest->record},
                                 {side.lane, t.record}}});
    }
    const bool later = newest == nullptr ||
                       sent.invoked > channel.sent_record(newest->producer, newest->offset).invoked;
    if (later) newest = &t;
  }
}

// Two consumers that have all from the start receive the same, as far as each of them comes; and
// what was sent before something that they received, by the clock, is among it.
void judge_common_start(const Subject& subject, const ChannelIndex& channel,
                        const std::vector<std::vector<Taken>>& all, Finding& finding) {
  if (subject.contract.delivery != Delivery::exactly_once || subject.may_be_gone() > 0) return;
  const auto same = [](const Taken& a, const Taken& b) {
    return a.producer == b.producer && a.offset == b.offset;
  };
  std::size_t most = all.size();
  for (std::size_t c = 0; c < all.size(); ++c) {
    if (!has_all_from_the_start(subject, channel, channel.consumers[c])) continue;
    if (most == all.size() || all[c].size() > all[most].size()) most = c;
  }
  if (most == all.size()) return;
  const auto skipped = [&](std::size_t consumer, const Taken& at, EventRef missing,
                           const std::string& name, std::string why) {
    const unsigned lane = channel.consumers[consumer].lane;
    charge(finding, Verdict::violation,
           {.symptom = "passed over",
            .what = fmt::format("{} received {} and not {} before it, {}", subject.lane(lane),
                                subject.message(channel, at.producer, at.offset), name, why),
            .legal = "every message in one order",
            .witness = {channel.sent_ref(at.producer, at.offset), missing, {lane, at.record}}});
  };
  for (std::size_t c = 0; c < all.size(); ++c) {
    if (!has_all_from_the_start(subject, channel, channel.consumers[c])) continue;
    for (std::size_t i = 0; i < all[c].size(); ++i) {
      const Taken& other = all[most][i];
      if (same(all[c][i], other)) continue;
      return skipped(c, all[c][i], {channel.consumers[most].lane, other.record},
                     subject.message(channel, other.producer, other.offset),
                     "as " + subject.lane(channel.consumers[most].lane) + " did");
    }
  }
  const Taken* newest = nullptr;
  Stamp sent = 0;
  std::vector<std::vector<bool>> received(channel.producers.size());
  for (std::size_t p = 0; p < received.size(); ++p) {
    received[p].assign(channel.producers[p].messages.size(), false);
  }
  for (const Taken& t : all[most]) {
    received[t.producer][t.offset] = true;
    const Stamp began = channel.sent_record(t.producer, t.offset).invoked;
    if (began > sent) newest = &t, sent = began;
  }
  for (unsigned p = 0; newest != nullptr && p < received.size(); ++p) {
    for (std::uint64_t offset = 0; offset < received[p].size(); ++offset) {
      const SentMessage& m = channel.producers[p].messages[offset];
      if (received[p][offset] || !m.has(SentMessage::accepted)) continue;
      if (!subject.time.before(channel.sent_record(p, offset).returned, sent)) break;
      return skipped(most, *newest, channel.sent_ref(p, offset),
                     subject.message(channel, p, offset),
                     "whose send had returned when that of the other began");
    }
  }
}

}  // namespace

bool has_all_from_the_start(const Subject& subject, const ChannelIndex& channel,
                            const ConsumerSide& side) {
  const bool damaged = channel.count(Anomaly::torn) + channel.count(Anomaly::foreign) > 0;
  const bool whole = side.present && side.attach >= 0 && side.missed == 0 && side.unknown == 0;
  if (!whole || damaged || channel.lookalikes_sent > 0) return false;
  const auto attach = static_cast<std::uint64_t>(side.attach);
  const Stamp attached = subject.record({side.lane, attach}).returned;
  return std::all_of(channel.producers.begin(), channel.producers.end(), [&](const auto& p) {
    const auto records = subject.history.lanes[p.lane].records;
    const auto first = std::find_if(records.begin(), records.end(), [&](const Record& r) {
      return r.op() == Op::send && r.channel() == channel.channel;
    });
    return !p.present || p.first > 0 || first == records.end() ||
           subject.time.before(attached, first->invoked);
  });
}

void judge_broadcast_total(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  std::vector<std::vector<Taken>> all;
  for (const ConsumerSide& side : channel.consumers) {
    all.push_back(taken_by(subject, channel, side));
    judge_clock(subject, channel, side, all.back(), finding);
  }
  if (all.empty()) return;
  const auto most = std::max_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  const auto reference = static_cast<std::size_t>(most - all.begin());
  std::vector<std::vector<std::uint64_t>> place(channel.producers.size());  // 1 + index there
  for (std::size_t p = 0; p < place.size(); ++p) {
    place[p].assign(channel.producers[p].messages.size(), 0);
  }
  for (std::size_t i = 0; i < most->size(); ++i) {
    place[(*most)[i].producer][(*most)[i].offset] = i + 1;
  }
  for (std::size_t c = 0; c < all.size(); ++c) {
    const Taken* last = nullptr;
    for (const Taken& t : all[c]) {
      const std::uint64_t at = place[t.producer][t.offset];
      if (at == 0) continue;
      if (last != nullptr && at < place[last->producer][last->offset]) {
        const unsigned lane = channel.consumers[c].lane;
        const unsigned other = channel.consumers[reference].lane;
        return charge(
            finding, Verdict::violation,
            {.symptom = "disagreement",
             .what = fmt::format("{} received {} after {}; {} received them the other way "
                                 "round",
                                 subject.lane(lane), subject.message(channel, t.producer, t.offset),
                                 subject.message(channel, last->producer, last->offset),
                                 subject.lane(other)),
             .legal = "one order for all consumers",
             .witness = {{lane, last->record}, {lane, t.record}}});
      }
      last = &t;
    }
  }
  judge_common_start(subject, channel, all, finding);
}

}  // namespace ipctorture
