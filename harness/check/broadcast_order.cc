// Total order with broadcast: every consumer sees the messages of all producers in one order, which
// respects real time.
//
// Sound and, for the agreement, exact over the messages that two consumers both received: their
// orders are compared with that of the consumer who received most. Real time is checked for each
// consumer alone: of two messages it received, the one whose send returned before the other's send
// began came first.
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

}  // namespace

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
}

}  // namespace ipctorture
