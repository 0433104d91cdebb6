// Deadlock and livelock: the processes together keep moving.
//
// The evidence comes from the watchdog. `deadlocked`: every thread of every worker slept in a wait
// without a deadline, over two samples; nobody is left to wake anybody, so load excuses nothing.
// `no_progress`: nothing was completed for longer than the progress bound although something was
// awaited; that may be the machine's fault (charge_delay).
// Standing still is a violation only when somebody was owed something:
//   a receive   an accepted message was there that it could have taken;
//   a send      everything accepted had been received, or some consumer that could empty the
//   channel
//               waited for a message at the same time;
//   attach, close  these never wait for each other without end; one that returned was only slow;
//   closed      all producers had closed, all was received, and a consumer waited on.
// Otherwise nothing is owed: with a transport that may lose messages that is a pass, else the
// verdict is inconclusive, saying so. After a death that others outlived nothing is owed either for
// as many messages as it may have taken along; survivors.cc says who is owed something then.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/asleep.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

class StandstillJudge {
 public:
  StandstillJudge(const Subject& subject, const Evidence& evidence)
      : subject_(subject), evidence_(evidence), from_(began(evidence)) {
    // An operation may have begun a little after the last completion that the watchdog counted.
    if (evidence.fact == Fact::no_progress) from_ += (evidence.to - from_) / 2;
    for (unsigned lane = 0; lane < subject.history.lanes.size(); ++lane) {
      const auto op = operation_at(subject, lane, from_, evidence.to);
      if (op) waiting_.push_back(*op);
    }
  }

  void run(Finding& finding) {
    for (const EventRef& ref : waiting_) {
      const char* const owed = why_owed(ref);
      if (owed == nullptr) continue;
      const Record& r = subject_.record(ref);
      return convict(
          finding, std::string(to_string(r.op())),
          fmt::format("{} waits in {}, {}", subject_.lane(ref.lane), to_string(r.op()), owed));
    }
    const bool may_lose = subject_.contract.delivery != Delivery::exactly_once ||
                          subject_.contract.when_full == WhenFull::drops_newest;
    if (may_lose || died_before()) return;
    charge(finding, Verdict::inconclusive,
           {.symptom = "standstill",
            .what = "nothing moved, but no operation was owed anything" + describe(),
            .legal = "the workload goes on",
            .witness = waiting_});
  }

 private:
  // Why the transport should have let it go on; null: it need not.
  const char* why_owed(EventRef ref) const {
    const Record& r = subject_.record(ref);
    const ChannelIndex& channel = subject_.channels[r.channel()];
    switch (r.op()) {
      case Op::attach:
      case Op::close:
        return r.open() ? "which never waits for ever" : nullptr;
      case Op::receive:
        if (message_waits(channel, ref)) return "though an accepted message is there";
        if (all_closed(channel)) return "though every producer has closed and all was received";
        return nullptr;
      case Op::send:
        if (died_before()) return nullptr;
        if (channel.shared && consumers_live(channel)) {
          if (!anything_held(channel)) return "though everything accepted was received";
          if (receiver_waits(channel)) return "while a consumer of the same channel waits too";
        }
        return nullptr;
      default:
        return nullptr;
    }
  }

  bool died_before() const {
    const auto& deaths = subject_.time.deaths();
    return std::any_of(deaths.begin(), deaths.end(),
                       [this](const Death& d) { return d.to <= evidence_.to; });
  }
  // All that nobody received may be gone with the dead.
  bool may_be_gone(const ChannelIndex& channel) const {
    return died_before() &&
           channel.outstanding + channel.lookalikes_missing <= subject_.may_be_gone();
  }

  bool accepted_by_then(const ChannelIndex& channel, unsigned p, std::uint64_t offset) const {
    const Record& sent = channel.sent_record(p, offset);
    return channel.producers[p].messages[offset].has(SentMessage::accepted) &&
           sent.returned <= from_;
  }

  // Accepted and not yet received at that time, by any consumer or by the one given.
  bool held(const ChannelIndex& channel, unsigned p, std::uint64_t offset) const {
    if (!accepted_by_then(channel, p, offset)) return false;
    const SentMessage& m = channel.producers[p].messages[offset];
    if (m.has(SentMessage::lookalike | SentMessage::mangled)) return false;
    if (m.has(SentMessage::delivered)) {
      return channel.received_record(m).returned > evidence_.to;
    }
    return subject_.contract.delivery == Delivery::exactly_once &&
           subject_.contract.when_full != WhenFull::drops_newest && !may_be_gone(channel);
  }
  template <typename Predicate>
  bool any_held(const ChannelIndex& channel, Predicate predicate) const {
    for (unsigned p = 0; p < channel.producers.size(); ++p) {
      const auto& messages = channel.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        if (held(channel, p, offset) && predicate(messages[offset])) return true;
      }
    }
    return false;
  }
  bool anything_held(const ChannelIndex& channel) const {
    return channel.lookalikes_missing > 0 || channel.lookalikes_sent > 0 ||
           any_held(channel, [](const SentMessage&) { return true; });
  }

  bool message_waits(const ChannelIndex& channel, EventRef receive) const {
    if (!channel.shared) return unseen(channel, receive);
    const bool one_consumer = std::count_if(channel.consumers.begin(), channel.consumers.end(),
                                            [](const ConsumerSide& c) { return c.present; }) == 1;
    const bool bound = subject_.contract.fan_out == FanOut::bound_consumer && !one_consumer;
    if (channel.lookalikes_missing > 0 && !bound && !may_be_gone(channel)) return true;
    return any_held(channel, [&](const SentMessage& m) {
      if (!bound) return true;
      if (m.has(SentMessage::delivered)) return channel.consumers[m.consumer].lane == receive.lane;
      return all_receive(channel);
    });
  }

  // Broadcast and latest value: something this consumer has not seen.
  bool unseen(const ChannelIndex& channel, EventRef receive) const {
    for (const ConsumerSide& c : channel.consumers) {
      if (!c.present || c.lane != receive.lane) continue;
      const auto seen = seen_before(subject_, channel, c, receive.record);
      const auto records = subject_.history.lanes[c.lane].records;
      const Stamp attached =
          c.attach < 0 ? 0 : records[static_cast<std::size_t>(c.attach)].returned;
      for (unsigned p = 0; p < seen.size(); ++p) {
        const auto& messages = channel.producers[p].messages;
        for (std::uint64_t offset = seen[p]; offset < messages.size(); ++offset) {
          const bool owed = accepted_by_then(channel, p, offset) &&
                            subject_.time.before(attached, channel.sent_record(p, offset).invoked);
          if (owed) return subject_.contract.delivery != Delivery::at_most_once;
        }
      }
    }
    return false;
  }

  bool waits_in(unsigned lane, Op op, unsigned channel) const {
    return std::any_of(waiting_.begin(), waiting_.end(), [&](const EventRef& ref) {
      const Record& r = subject_.record(ref);
      return ref.lane == lane && r.op() == op && r.channel() == channel;
    });
  }
  // Has attached and not begun to leave.
  bool lives(const Side& side) const {
    if (!side.present || side.attach < 0) return false;
    if (subject_.time.end_of(side.lane) < from_) return false;
    const auto records = subject_.history.lanes[side.lane].records;
    const Record& attach = records[static_cast<std::size_t>(side.attach)];
    if (attach.result() != Outcome::ok || attach.returned > from_) return false;
    return side.close < 0 || records[static_cast<std::size_t>(side.close)].invoked > evidence_.to;
  }
  bool consumers_live(const ChannelIndex& channel) const {
    return std::any_of(channel.consumers.begin(), channel.consumers.end(),
                       [this](const Side& side) { return lives(side); });
  }
  bool all_receive(const ChannelIndex& channel) const {
    return std::all_of(channel.consumers.begin(), channel.consumers.end(), [&](const Side& side) {
      return !lives(side) || waits_in(side.lane, Op::receive, channel.channel);
    });
  }
  // A consumer that could make room waits for a message. Bound to a connection: all must.
  bool receiver_waits(const ChannelIndex& channel) const {
    if (subject_.contract.fan_out == FanOut::bound_consumer) return all_receive(channel);
    return std::any_of(channel.consumers.begin(), channel.consumers.end(), [&](const Side& side) {
      return side.present && waits_in(side.lane, Op::receive, channel.channel);
    });
  }
  bool all_closed(const ChannelIndex& channel) const {
    if (!subject_.contract.reports_closed) return false;
    return std::all_of(channel.producers.begin(), channel.producers.end(), [&](const Side& side) {
      if (!side.present) return true;
      if (side.close < 0) return false;
      const Record& close =
          subject_.history.lanes[side.lane].records[static_cast<std::size_t>(side.close)];
      return close.result() == Outcome::ok && close.returned <= from_;
    });
  }

  std::string describe() const {
    std::string text;
    for (const EventRef& ref : waiting_) {
      const Record& r = subject_.record(ref);
      text += fmt::format("; {} in {}", subject_.lane(ref.lane), to_string(r.op()));
      for (const Evidence& e : subject_.history.evidence) {
        if (e.fact != Fact::waiting_in || e.lane != static_cast<int>(ref.lane)) continue;
        text += " (" + innermost(e.text) + ")";
        break;
      }
    }
    return text;
  }

  void convict(Finding& finding, std::string where, const std::string& what) const {
    const bool proven = evidence_.fact == Fact::deadlocked;
    Charge c{.symptom = (proven ? "asleep in " : "no progress in ") + where,
             .what = fmt::format(
                 "{}{}: {}", proven ? "every worker sleeps for ever" : "nothing moves",
                 evidence_.to > began(evidence_)
                     ? " (seen for " + subject_.duration(evidence_.to - began(evidence_)) + ")"
                     : std::string(),
                 what + describe()),
             .legal = "the processes together keep moving",
             .witness = waiting_};
    if (proven) return charge(finding, Verdict::violation, std::move(c));
    charge_delay(subject_, finding, from_, evidence_.to, std::move(c));
  }

  const Subject& subject_;
  const Evidence& evidence_;
  Stamp from_;
  std::vector<EventRef> waiting_;
};

// Each death that the contract survives, and that others outlived, was an occasion not to.
void count_deaths(const Subject& subject, Finding& finding) {
  for (const Death& death : subject.time.deaths()) {
    const LaneHistory& lane = subject.history.lanes[death.lane];
    const bool produces = lane.producer_on[0] >= 0;
    if (!subject.survived(death.lane)) continue;
    finding.tried_at(produces ? Term::outlives_producer : Term::outlives_consumer, 1);
    const bool inside =
        !lane.records.empty() && lane.records.back().open() &&
        (lane.records.back().op() == Op::send || lane.records.back().op() == Op::receive);
    if (!inside) continue;
    finding.tried_at(produces ? Term::outlives_producer_inside : Term::outlives_consumer_inside, 1);
  }
}

}  // namespace

Finding check_deadlock(const Subject& subject) {
  Finding finding{.term = "progress"};
  for (const ChannelIndex& channel : subject.channels) {
    finding.tried_at(Term::keeps_moving, channel.accepted + channel.received);
  }
  count_deaths(subject, finding);
  for (const Fact fact : {Fact::deadlocked, Fact::no_progress}) {
    for (const Evidence& e : subject.history.evidence) {
      if (e.fact != fact || finding.verdict == Verdict::violation) continue;
      if (fact == Fact::no_progress && e.to - began(e) <= subject.bound()) continue;
      StandstillJudge(subject, e).run(finding);
    }
  }
  return finding;
}

}  // namespace ipctorture
