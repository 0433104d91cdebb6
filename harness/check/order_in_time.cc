// Order between consumers and between producers, by real time.
//
// Per producer, any consumer: of two messages of one producer the earlier is not received by a
// receive that began after the later one had been received. Not for messages that are bound to a
// consumer when they are accepted: one may wait for its slow consumer.
// Total: of two messages where the send of one returned before the send of the other began, the
// first is not received by a receive that began after the second had been received. n log k by a
// sweep. With broadcast it must hold for each consumer by itself, and all consumers must see the
// same order. Priority: a message that was accepted before a receive began is not left behind by it
// for one of lower priority, also when nobody ever receives it; and the rule for total holds within
// a priority. All of it only where stamps order lanes (timeline.h); one producer and one consumer
// need none of it. A producer's messages stay in their order whatever their sends are answered;
// between producers nothing is claimed of a send of unknown fate.
//
// Sound. For a FIFO queue complete together with delivery (phantom, received before it was sent,
// duplicate; lost, where something that was sent later was received) and refusal
// (exact_answers.cc): these are VFresh, VRepet, VOrd and VWit of Henzinger, Sezgin, Vafeiadis,
// "Aspect-oriented linearizability proofs" (CONCUR 2013), which together decide whether a history
// is a queue's. Held against brute force by agreement_test and order_in_time_test, where every
// operation's fate is known, messages name themselves and the capacity is not at stake. Not
// complete for priorities: that at each moment of a receive another message was higher is not
// looked for, since it needs a pass for each priority (harness/linear/priority.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/check/oracles.h"
#include "harness/check/sweep.h"

namespace ipctorture {
namespace {

unsigned present(const auto& sides) {
  return static_cast<unsigned>(
      std::count_if(sides.begin(), sides.end(), [](const Side& s) { return s.present; }));
}

// `first` should have come before `second`.
Charge swapped(const Subject& subject, const ChannelIndex& channel,
               const LatestReceive::Entry& first, unsigned producer, std::uint64_t offset,
               const char* why) {
  const SentMessage& late = channel.producers[first.producer].messages[first.offset];
  const SentMessage& early = channel.producers[producer].messages[offset];
  return {.symptom = "reordered",
          .what = fmt::format("{} began to receive {} only after {} had received {}, {}",
                              subject.lane(channel.received_ref(late).lane),
                              subject.message(channel, first.producer, first.offset),
                              subject.lane(channel.received_ref(early).lane),
                              subject.message(channel, producer, offset), why),
          .legal = fmt::format("{} first", subject.message(channel, first.producer, first.offset)),
          .witness = {channel.sent_ref(first.producer, first.offset),
                      channel.sent_ref(producer, offset), channel.received_ref(early),
                      channel.received_ref(late)}};
}

// One producer, several consumers: backwards over its messages with the earliest completed receive.
class ProducerSweep {
 public:
  ProducerSweep(const Subject& subject, const ChannelIndex& channel, unsigned producer)
      : subject_(subject),
        channel_(channel),
        producer_(producer),
        left_(channel.producers[producer].messages.size()),
        earliest_(channel.consumers.size(), {Timeline::never, 0}) {}

  bool done() const { return left_ == 0; }
  // Goes on for so many messages; false when a charge ended it.
  bool go_on(std::uint64_t count, Finding& finding) {
    const auto& messages = channel_.producers[producer_].messages;
    for (const std::uint64_t end = left_ - std::min(left_, count); left_ > end;) {
      const std::uint64_t offset = --left_;
      const SentMessage& m = messages[offset];
      if (!m.has(SentMessage::delivered)) continue;
      const Record& received = channel_.received_record(m);
      for (std::size_t c = 0; c < earliest_.size(); ++c) {
        const auto& [returned, later] = earliest_[c];
        if (c == m.consumer || !subject_.time.before(returned, received.invoked)) continue;
        charge(finding, Verdict::violation,
               swapped(subject_, channel_, {received.invoked, producer_, offset}, producer_, later,
                       "which was sent later"));
        return false;
      }
      auto& [returned, of] = earliest_[m.consumer];
      if (received.returned < returned) returned = received.returned, of = offset;
    }
    return true;
  }

 private:
  const Subject& subject_;
  const ChannelIndex& channel_;
  const unsigned producer_;
  std::uint64_t left_;
  std::vector<std::pair<Stamp, std::uint64_t>> earliest_;  // [consumer]: returned, offset
};

// The producers take turns: what was sent at about one time was mostly received at about one time,
// so the records of these receives are read from memory once, not once for each producer.
void judge_per_producer(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  constexpr std::uint64_t turn = 512;  // messages
  std::vector<ProducerSweep> sweeps;
  for (unsigned p = 0; p < channel.producers.size(); ++p) sweeps.emplace_back(subject, channel, p);
  for (bool any = true; any;) {
    any = false;
    for (ProducerSweep& sweep : sweeps) {
      if (!sweep.go_on(turn, finding)) return;
      any |= !sweep.done();
    }
  }
}

// Total order: everything whose send returned before this one's send began must not be received
// later.
void judge_total(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  SendOrder before(channel, SendEdge::returned);
  LatestReceive latest(channel.consumers.size());
  for (SendOrder sends(channel, SendEdge::invoked); !sends.done(); sends.next()) {
    const SendOrder::Item& b = sends.item();
    for (; !before.done() && subject.time.before(before.item().returned, b.invoked);
         before.next()) {
      const SendOrder::Item& a = before.item();
      if (!a.message->has(SentMessage::delivered)) continue;
      latest.enter(a.message->consumer,
                   {channel.received_record(*a.message).invoked, a.producer, a.offset});
    }
    if (!b.message->has(SentMessage::delivered)) continue;
    const Stamp received = channel.received_record(*b.message).returned;
    if (const auto* a = latest.after(received, b.message->consumer, subject.time)) {
      return charge(finding, Verdict::violation,
                    swapped(subject, channel, *a, b.producer, b.offset,
                            "whose send began after that of the other had returned"));
    }
  }
}

// Somebody began to receive something else although this was there, and it never came.
Charge left_behind(const Subject& subject, const ChannelIndex& channel,
                   const LatestReceive::Entry& first, unsigned producer, std::uint64_t offset,
                   const char* why) {
  const SentMessage& taken = channel.producers[producer].messages[offset];
  const std::string message = subject.message(channel, first.producer, first.offset);
  return {.symptom = "reordered",
          .what = fmt::format("{} received {}, {}, while {} was there, which nobody received",
                              subject.lane(channel.received_ref(taken).lane),
                              subject.message(channel, producer, offset), why, message),
          .legal = fmt::format("{} first", message),
          .witness = {channel.sent_ref(first.producer, first.offset),
                      channel.sent_ref(producer, offset), channel.received_ref(taken)}};
}

// Either, for priorities.
Charge passed_over(const Subject& subject, const ChannelIndex& channel,
                   const LatestReceive::Entry& first, unsigned producer, std::uint64_t offset,
                   const char* why) {
  return first.invoked == Timeline::never
             ? left_behind(subject, channel, first, producer, offset, why)
             : swapped(subject, channel, first, producer, offset, why);
}

// Enters a message that others must not come before: one that nobody received, where it stays.
void enter(std::vector<LatestReceive>& latest, const ChannelIndex& channel,
           const SendOrder::Item& a, bool certain) {
  LatestReceive& level = latest[a.message->priority];
  if (a.message->has(SentMessage::delivered)) {
    level.enter(a.message->consumer,
                {channel.received_record(*a.message).invoked, a.producer, a.offset});
  } else if (certain) {
    level.enter(channel.consumers.size(), {Timeline::never, a.producer, a.offset});
  }
}

struct PriorityReceive {
  Stamp invoked = 0, returned = 0;
  unsigned producer = 0;
  std::uint64_t offset = 0;
};

// Higher first: what was accepted before this receive began must not be left behind by it.
void judge_priority(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const bool certain = subject.stays(channel);
  std::vector<PriorityReceive> receives;
  for (unsigned p = 0; p < channel.producers.size(); ++p) {
    const auto& messages = channel.producers[p].messages;
    for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
      const SentMessage& m = messages[offset];
      if (!m.has(SentMessage::delivered)) continue;
      const Record& r = channel.received_record(m);
      receives.push_back({r.invoked, r.returned, p, offset});
    }
  }
  std::sort(receives.begin(), receives.end(),
            [](const auto& a, const auto& b) { return a.invoked < b.invoked; });
  SendOrder before(channel, SendEdge::returned);
  std::vector<LatestReceive> latest(256, LatestReceive(channel.consumers.size()));
  unsigned highest = 0;
  for (const PriorityReceive& b : receives) {
    for (; !before.done() && subject.time.before(before.item().returned, b.invoked);
         before.next()) {
      highest = std::max<unsigned>(highest, before.item().message->priority);
      enter(latest, channel, before.item(), certain);
    }
    const SentMessage& m = channel.producers[b.producer].messages[b.offset];
    for (unsigned priority = 0; priority < m.priority; ++priority) {
      if (latest[priority].after(b.returned, m.consumer, subject.time) == nullptr) continue;
      finding.tried_at(Term::higher_first, 1);  // a lower one was there and had to wait
      break;
    }
    for (unsigned priority = m.priority + 1u; priority <= highest; ++priority) {
      if (const auto* a = latest[priority].after(b.returned, m.consumer, subject.time)) {
        return charge(
            finding, Verdict::violation,
            passed_over(subject, channel, *a, b.producer, b.offset, "which has a lower priority"));
      }
    }
  }
}

// Total order within each priority.
void judge_within_priority(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const bool certain = subject.stays(channel);
  SendOrder before(channel, SendEdge::returned);
  std::vector<LatestReceive> latest(256, LatestReceive(channel.consumers.size()));
  for (SendOrder sends(channel, SendEdge::invoked); !sends.done(); sends.next()) {
    const SendOrder::Item& b = sends.item();
    for (; !before.done() && subject.time.before(before.item().returned, b.invoked);
         before.next()) {
      enter(latest, channel, before.item(), certain);
    }
    if (!b.message->has(SentMessage::delivered)) continue;
    const Stamp received = channel.received_record(*b.message).returned;
    const auto* a = latest[b.message->priority].after(received, b.message->consumer, subject.time);
    if (a != nullptr) {
      return charge(finding, Verdict::violation,
                    passed_over(subject, channel, *a, b.producer, b.offset,
                                "which has the same priority and was sent later"));
    }
  }
}

}  // namespace

void judge_real_time_order(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const unsigned producers = present(channel.producers), consumers = present(channel.consumers);
  if (!subject.time.orders_lanes() || finding.verdict == Verdict::violation) return;
  const Ordering ordering = subject.contract.ordering;
  if (!channel.shared) {
    if (ordering != Ordering::total || producers < 2) return;
    finding.tried_at(Term::order_over_producers, channel.identified);
    judge_broadcast_total(subject, channel, finding);
    return;
  }
  const bool bound = subject.contract.fan_out == FanOut::bound_consumer;
  if (consumers > 1 && !bound) finding.tried_at(Term::order_over_consumers, channel.delivered);
  const bool by_time = ordering == Ordering::total || ordering == Ordering::priority;
  if (producers > 1 && by_time) finding.tried_at(Term::order_over_producers, channel.delivered);
  if (ordering == Ordering::priority) {
    judge_priority(subject, channel, finding);
    judge_within_priority(subject, channel, finding);
    return;
  }
  if (consumers > 1 && !bound) judge_per_producer(subject, channel, finding);
  if (ordering == Ordering::total && producers + consumers > 2)
    judge_total(subject, channel, finding);
}

}  // namespace ipctorture
