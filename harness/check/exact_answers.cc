// Exact answers: `empty` only when there is no message, `full` only when there is no room, at some
// moment of the operation.
//
// Empty is false when some message had been accepted before the receive began and was still there
// when it returned: its own receive, by whomever, began later (or never). `full` is false when even
// the most that can have been in the channel at any moment of the send (sends begun before it
// returned, less receives ended before it began) is less than its capacity. Both are sound for
// every linearizable queue, and only claimed where stamps order lanes; a consumer's own later
// receive needs no stamps. A message that was never received counts only when no death and no
// receive of unknown fate can have taken it. For channels where each message goes to whichever
// consumer comes first.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"
#include "harness/check/sweep.h"

namespace ipctorture {
namespace {

struct Answer {
  Stamp invoked = 0, returned = 0;
  EventRef ref;
  std::size_t consumer = 0;
};

std::vector<Answer> answers(const Subject& subject, const ChannelIndex& channel, Op op,
                            Outcome outcome) {
  std::vector<Answer> found;
  const auto collect = [&](const Side& side, std::size_t index) {
    if (!side.present) return;
    const auto records = subject.history.lanes[side.lane].records;
    for (std::uint64_t i = 0; i < records.size(); ++i) {
      const Record& r = records[i];
      if (r.op() != op || r.channel() != channel.channel || r.result() != outcome) continue;
      if (subject.time.short_within(side.lane, r)) continue;
      found.push_back({r.invoked, r.returned, {side.lane, i}, index});
    }
  };
  if (op == Op::send) {
    for (std::size_t p = 0; p < channel.producers.size(); ++p) collect(channel.producers[p], p);
  } else {
    for (std::size_t c = 0; c < channel.consumers.size(); ++c) collect(channel.consumers[c], c);
  }
  std::sort(found.begin(), found.end(),
            [](const Answer& a, const Answer& b) { return a.invoked < b.invoked; });
  return found;
}

void judge_empty(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const std::vector<Answer> empties = answers(subject, channel, Op::receive, Outcome::empty);
  const std::size_t nobody = channel.consumers.size();
  const bool certain = channel.unknown_receives == 0 && subject.time.cut_short().empty() &&
                       subject.contract.delivery == Delivery::exactly_once &&
                       subject.contract.when_full != WhenFull::drops_newest;
  SendOrder sends(channel, SendEdge::returned);
  LatestReceive latest(nobody);
  for (const Answer& empty : empties) {
    for (; !sends.done() && subject.time.before(sends.item().returned, empty.invoked);
         sends.next()) {
      const auto& item = sends.item();
      if (item.message->has(SentMessage::delivered)) {
        latest.enter(item.message->consumer,
                     {channel.received_record(*item.message).invoked, item.producer, item.offset});
      } else if (certain) {
        latest.enter(nobody, {Timeline::never, item.producer, item.offset});
      }
    }
    const auto* there = latest.after(empty.returned, empty.consumer, subject.time);
    if (there == nullptr) continue;
    const SentMessage& m = channel.producers[there->producer].messages[there->offset];
    Charge c{.symptom = "false empty",
             .what = fmt::format("{} was answered empty while {} was there",
                                 subject.lane(empty.ref.lane),
                                 subject.message(channel, there->producer, there->offset)),
             .legal = "the message",
             .witness = {channel.sent_ref(there->producer, there->offset), empty.ref}};
    if (m.has(SentMessage::delivered)) c.witness.push_back(channel.received_ref(m));
    return charge(finding, Verdict::violation, std::move(c));
  }
}

// Broadcast and latest value: what this consumer has not seen, accepted since it attached.
void judge_own_empty(const Subject& subject, const ChannelIndex& channel, const ConsumerSide& side,
                     Finding& finding) {
  const auto records = subject.history.lanes[side.lane].records;
  if (!side.present || side.attach < 0) return;
  // Of several producers nobody knows whose messages were missed.
  const auto producers = std::count_if(channel.producers.begin(), channel.producers.end(),
                                       [](const ProducerSide& p) { return p.present; });
  if (side.missed > 0 && producers > 1) return;
  const Stamp attached = records[static_cast<std::size_t>(side.attach)].returned;
  std::vector<std::uint64_t> unseen(channel.producers.size(), 0);
  for (std::uint64_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.op() != Op::receive || r.channel() != channel.channel) continue;
    if (r.result() == Outcome::ok) {
      const Match m = channel.match(r);
      const bool known = m.how == Match::How::identified;
      if (known) unseen[m.producer] = std::max(unseen[m.producer], m.offset + 1);
    }
    if (r.result() != Outcome::empty || subject.time.short_within(side.lane, r)) continue;
    for (unsigned p = 0; p < channel.producers.size(); ++p) {
      const auto& messages = channel.producers[p].messages;
      std::uint64_t& offset = unseen[p];
      const auto owed = [&] {
        return messages[offset].has(SentMessage::accepted) &&
               subject.time.before(attached, channel.sent_record(p, offset).invoked);
      };
      while (offset < messages.size() && !owed()) ++offset;
      if (offset == messages.size()) continue;
      if (!subject.time.before(channel.sent_record(p, offset).returned, r.invoked)) continue;
      return charge(
          finding, Verdict::violation,
          {.symptom = "false empty",
           .what = fmt::format("{} was answered empty while {} was there for it",
                               subject.lane(side.lane), subject.message(channel, p, offset)),
           .legal = "the message",
           .witness = {channel.sent_ref(p, offset), {side.lane, i}}});
    }
  }
}

// Stamps at which messages may have come in (sends begun), or certainly left (receives ended).
std::vector<Stamp> moments(const Subject& subject, const ChannelIndex& channel, Op op) {
  std::vector<Stamp> stamps;
  const auto collect = [&](const Side& side) {
    if (!side.present) return;
    for (const Record& r : subject.history.lanes[side.lane].records) {
      if (r.op() != op || r.channel() != channel.channel) continue;
      if (op == Op::send && (r.result() == Outcome::ok || r.result() == Outcome::unknown)) {
        stamps.push_back(r.invoked);
      } else if (op == Op::receive && r.result() == Outcome::ok) {
        stamps.push_back(r.returned);
      }
    }
  };
  for (const Side& side : channel.producers) collect(side);
  for (const Side& side : channel.consumers) collect(side);
  std::sort(stamps.begin(), stamps.end());
  return stamps;
}

void judge_full(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const std::vector<Answer> refusals = answers(subject, channel, Op::send, Outcome::full);
  const std::vector<Stamp> in = moments(subject, channel, Op::send);
  const std::vector<Stamp> out = moments(subject, channel, Op::receive);
  const Stamp slack = subject.time.slack();
  for (const Answer& full : refusals) {
    const auto entered = static_cast<std::uint64_t>(
        std::upper_bound(in.begin(), in.end(), full.returned + slack) - in.begin());
    const Stamp sure = full.invoked > slack ? full.invoked - slack : 0;
    const auto left =
        static_cast<std::uint64_t>(std::lower_bound(out.begin(), out.end(), sure) - out.begin());
    const std::uint64_t held = entered - std::min(entered, left);
    if (held >= subject.scenario.capacity) continue;
    return charge(
        finding, Verdict::violation,
        {.symptom = "false full",
         .what = fmt::format("{} was answered full while at most {} of {} places were taken",
                             subject.lane(full.ref.lane), held, subject.scenario.capacity),
         .legal = "the message is accepted",
         .witness = {full.ref}});
  }
}

}  // namespace

void judge_exact_answers(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const Contract& contract = subject.contract;
  const auto consumers = std::count_if(channel.consumers.begin(), channel.consumers.end(),
                                       [](const ConsumerSide& c) { return c.present; });
  const bool competing =
      channel.shared && (contract.fan_out == FanOut::any_consumer || consumers == 1);
  if (!subject.time.orders_lanes()) return;
  if (!channel.shared && contract.exact_empty) {
    finding.tried_at(Term::empty_exact, channel.empty);
    const bool damaged = channel.count(Anomaly::torn) + channel.count(Anomaly::foreign) > 0;
    if (damaged || channel.empty == 0) return;
    for (const ConsumerSide& side : channel.consumers) {
      judge_own_empty(subject, channel, side, finding);
    }
  }
  if (!competing) return;
  if (contract.exact_empty) {
    finding.tried_at(Term::empty_exact, channel.empty);
    if (channel.empty > 0) judge_empty(subject, channel, finding);
  }
  if (contract.exact_full) {
    finding.tried_at(Term::full_exact, channel.full);
    if (channel.full > 0) judge_full(subject, channel, finding);
  }
}

}  // namespace ipctorture
