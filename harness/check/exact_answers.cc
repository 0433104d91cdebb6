// Exact answers: `empty` only when there is no message, `full` only when there is no room, at some
// moment of the operation.
//
// Empty is false when at every moment of the receive some message was surely there: accepted, and
// its own receive, by whomever, had not begun (or never did). That is all a history can show
// against it, where no message and no receive is of unknown fate (harness/linear/queue.h, c).
// `full` is false when at no moment of the send as many can have been in the channel as there is
// room for (sends begun until then, less receives ended before). Both are sound for every
// linearizable queue, and only claimed where stamps order lanes; a consumer's own later receive
// needs no stamps. What full answers and accepted sends of several moments show only together is
// not looked for. A message that was never received counts only when no death and no receive of
// unknown fate can have taken it. Where a message is bound to a consumer, only that one's empties
// are false, for messages that it received itself; what full means is not judged then.
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

// A message was there from the return of its send until its receive began.
struct There {
  Stamp until = 0;  // 0: nothing
  unsigned producer = 0;
  std::uint64_t offset = 0;
};

// Walks over the runs of moments at which some message was there, one handing over to the next.
class Presence {
 public:
  // Of all messages, or of those that one consumer received. `certain`: what nobody received stays.
  Presence(const Subject& subject, const ChannelIndex& channel, bool certain, int only)
      : time_(subject.time),
        channel_(channel),
        certain_(certain),
        only_(only),
        sends_(channel, SendEdge::returned),
        by_consumer_(channel.consumers.size()) {}

  // What was there to the end of the answer, if at each of its moments something was; else null.
  // Answers in the order of their invocations. Over all of them one walk over the sends.
  const There* throughout(const Answer& empty) {
    for (; !sends_.done(); sends_.next()) {
      if (const There* there = covers(empty)) return there;
      const auto& item = sends_.item();
      const bool hands_over = time_.before(item.returned, furthest_.until);
      if (!hands_over && !time_.before(item.returned, empty.invoked)) return nullptr;
      const There there = until(item);
      if (there.until == 0) continue;
      if (!hands_over) {
        from_ = item.returned;
        furthest_ = {};
        ++run_;
      }
      if (there.until > furthest_.until) furthest_ = there;
      if (!item.message->has(SentMessage::delivered)) continue;
      auto& [run, last] = by_consumer_[item.message->consumer];
      if (run != run_ || there.until > last.until) last = there;
      run = run_;
    }
    return covers(empty);
  }

 private:
  There until(const SendOrder::Item& item) const {
    if (!item.message->has(SentMessage::delivered)) {
      return certain_ && only_ < 0 ? There{Timeline::never, item.producer, item.offset} : There{};
    }
    if (only_ >= 0 && item.message->consumer != only_) return {};
    return {channel_.received_record(*item.message).invoked, item.producer, item.offset};
  }
  // In the consumer's own lane the order of its operations tells more than the stamps.
  const There* covers(const Answer& empty) const {
    if (run_ == 0 || !time_.before(from_, empty.invoked)) return nullptr;
    if (time_.before(empty.returned, furthest_.until)) return &furthest_;
    const auto& [run, own] = by_consumer_[empty.consumer];
    return run == run_ && own.until >= empty.returned ? &own : nullptr;
  }

  const Timeline& time_;
  const ChannelIndex& channel_;
  const bool certain_;
  const int only_;
  SendOrder sends_;
  std::uint64_t run_ = 0;  // 0: none yet
  Stamp from_ = 0;
  There furthest_;
  std::vector<std::pair<std::uint64_t, There>> by_consumer_;  // the run, and its last message
};

Charge false_empty(const Subject& subject, const ChannelIndex& channel, const Answer& empty,
                   const There& there) {
  const SentMessage& m = channel.producers[there.producer].messages[there.offset];
  const EventRef sent = channel.sent_ref(there.producer, there.offset);
  const bool alone = subject.time.before(channel.record(sent).returned, empty.invoked);
  const std::string message = subject.message(channel, there.producer, there.offset);
  Charge c{.symptom = "false empty",
           .what = fmt::format("{} was answered empty while {}{} was there",
                               subject.lane(empty.ref.lane),
                               alone ? "" : "at every moment some message, at last ", message),
           .legal = "the message",
           .witness = {sent, empty.ref}};
  if (m.has(SentMessage::delivered)) c.witness.push_back(channel.received_ref(m));
  return c;
}

void judge_empty(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const std::vector<Answer> empties = answers(subject, channel, Op::receive, Outcome::empty);
  const bool certain = subject.stays(channel);
  const auto judge = [&](int only) {
    Presence presence(subject, channel, certain, only);
    for (const Answer& empty : empties) {
      if (only >= 0 && empty.consumer != static_cast<std::size_t>(only)) continue;
      if (const There* there = presence.throughout(empty)) {
        return charge(finding, Verdict::violation, false_empty(subject, channel, empty, *there));
      }
    }
  };
  const auto consumers = std::count_if(channel.consumers.begin(), channel.consumers.end(),
                                       [](const ConsumerSide& c) { return c.present; });
  if (subject.contract.fan_out == FanOut::any_consumer || consumers == 1) return judge(-1);
  for (std::size_t c = 0; c < channel.consumers.size(); ++c) judge(static_cast<int>(c));
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
    if (r.result() == Outcome::unknown) return;  // what it took, nobody knows
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

// Broadcast in a total order: who has received k messages, and all from the start, was falsely
// answered empty when another had received more than that before.
void judge_empty_by_others(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  std::vector<Stamp> first;  // when somebody had received so many, and one more
  const auto walk = [&](const auto& received, const auto& empty, std::uint64_t empties_min) {
    for (const ConsumerSide& side : channel.consumers) {
      if (side.empty < empties_min || !has_all_from_the_start(subject, channel, side)) continue;
      std::size_t count = 0;
      for (const Record& r : subject.history.lanes[side.lane].records) {
        if (r.op() != Op::receive || r.channel() != channel.channel) continue;
        if (r.result() == Outcome::ok) received(count++, r);
        if (r.result() == Outcome::empty) empty(count, side, r);
      }
    }
  };
  const auto nothing = [](auto&&...) {};
  walk(
      [&](std::size_t count, const Record& r) {
        if (count == first.size()) first.push_back(r.returned);
        first[count] = std::min(first[count], r.returned);
      },
      nothing, 0);
  walk(
      nothing,
      [&](std::size_t count, const ConsumerSide& side, const Record& r) {
        if (count >= first.size() || !subject.time.before(first[count], r.invoked)) return;
        if (subject.time.short_within(side.lane, r)) return;
        const auto record =
            static_cast<std::uint64_t>(&r - subject.history.lanes[side.lane].records.data());
        charge(
            finding, Verdict::violation,
            {.symptom = "false empty",
             .what = fmt::format("{} was answered empty when it had received {} messages; another "
                                 "consumer had received more before that",
                                 subject.lane(side.lane), count),
             .legal = "the message",
             .witness = {{side.lane, record}}});
      },
      1);
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

// The most that can have been inside at some moment of a send, over all its moments: most when a
// send has just begun. Where that is below the capacity, full is false.
class Crowd {
 public:
  Crowd(const Subject& subject, const ChannelIndex& channel)
      : slack_(subject.time.slack()),
        capacity_(subject.scenario.capacity),
        in_(moments(subject, channel, Op::send)),
        out_(moments(subject, channel, Op::receive)),
        full_at_(in_.size() + 1, 0) {
    std::size_t left = 0;
    for (std::size_t i = 0; i < in_.size(); ++i) {
      while (left < out_.size() && out_[left] + slack_ < in_[i]) ++left;
      full_at_[i + 1] = i + 1 >= left + capacity_ ? i + 1 : full_at_[i];
    }
  }
  bool may_be_full(const Answer& a) const {
    return inside(a.invoked) >= capacity_ ||
           full_at_[begun(a.returned + slack_)] > begun(a.invoked);
  }
  // For words only.
  std::uint64_t most(const Answer& a) const {
    std::uint64_t most = inside(a.invoked);
    for (std::size_t i = begun(a.invoked); i < begun(a.returned + slack_); ++i) {
      most = std::max(most, inside(in_[i]));
    }
    return most;
  }

 private:
  std::uint64_t begun(Stamp moment) const {
    return static_cast<std::uint64_t>(std::upper_bound(in_.begin(), in_.end(), moment) -
                                      in_.begin());
  }
  std::uint64_t inside(Stamp moment) const {
    const Stamp sure = moment > slack_ ? moment - slack_ : 0;
    const auto left =
        static_cast<std::uint64_t>(std::lower_bound(out_.begin(), out_.end(), sure) - out_.begin());
    return begun(moment) - std::min(begun(moment), left);
  }

  const Stamp slack_;
  const std::uint64_t capacity_;
  const std::vector<Stamp> in_, out_;
  // After so many sends have begun: of the begins at which it may have been full the last, from 1.
  std::vector<std::uint64_t> full_at_;
};

void judge_full(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const std::vector<Answer> refusals = answers(subject, channel, Op::send, Outcome::full);
  const Crowd crowd(subject, channel);
  for (const Answer& full : refusals) {
    if (crowd.may_be_full(full)) continue;
    return charge(finding, Verdict::violation,
                  {.symptom = "false full",
                   .what = fmt::format(
                       "{} was answered full while at most {} of {} places were taken",
                       subject.lane(full.ref.lane), crowd.most(full), subject.scenario.capacity),
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
    // What another producer wrote may have taken the place of a value that was not seen.
    const bool values = contract.delivery == Delivery::latest_value;
    const auto producers = std::count_if(channel.producers.begin(), channel.producers.end(),
                                         [](const ProducerSide& p) { return p.present; });
    if (values && producers > 1) return;
    for (const ConsumerSide& side : channel.consumers) {
      judge_own_empty(subject, channel, side, finding);
    }
    if (contract.ordering == Ordering::total && !values) {
      judge_empty_by_others(subject, channel, finding);
    }
  }
  if (channel.shared && contract.exact_empty) {
    finding.tried_at(Term::empty_exact, channel.empty);
    if (channel.empty > 0) judge_empty(subject, channel, finding);
  }
  if (!competing) return;
  if (contract.exact_full) {
    finding.tried_at(Term::full_exact, channel.full);
    if (channel.full > 0) judge_full(subject, channel, finding);
  }
}

}  // namespace ipctorture
