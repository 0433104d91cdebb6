// End of stream: `closed` is never false and never missing.
//
// False, to a consumer: a producer had not begun to close when the receive returned; or a message
// was received by a receive that began later; or an accepted one was received by nobody at all.
// False, to a producer: no consumer had begun to leave. Missing: every producer's close had
// returned, everything accepted had been received, and a consumer listened for more than the
// progress bound (or slept for ever, by the watchdog's proof) without being told. Sound: closes and
// receives are compared beyond the stamps' slack; lanes that died, or whose journal ends without a
// close, prove nothing. Where a message is bound to one consumer, only that consumer's own later
// receives count.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"
#include "harness/check/quiet.h"

namespace ipctorture {
namespace {

class StreamEnd {
 public:
  StreamEnd(const Subject& subject, const ChannelIndex& channel)
      : subject_(subject), channel_(channel) {
    const auto consumers = std::count_if(channel.consumers.begin(), channel.consumers.end(),
                                         [](const Side& side) { return side.present; });
    competing_ =
        channel.shared && (subject.contract.fan_out == FanOut::any_consumer || consumers == 1);
  }

  void run(Finding& finding) {
    for (const ConsumerSide& side : channel_.consumers) {
      for (const std::uint32_t record : side.closed) {
        finding.tried_at(Term::closed_told, 1);
        if (finding.verdict == Verdict::violation) continue;
        judge_producers(side, {side.lane, record}, finding);
        judge_receives(side, {side.lane, record}, finding);
        judge_outstanding(side, {side.lane, record}, finding);
      }
    }
    for (const ProducerSide& side : channel_.producers) {
      for (const std::uint32_t record : side.closed) {
        ++finding.occasions;  // of no term: the contract speaks of what receives are told
        judge_send({side.lane, record}, finding);
      }
    }
    judge_missing(finding);
  }

 private:
  const Record* close_of(const Side& side) const {
    if (side.close < 0) return nullptr;
    return &subject_.history.lanes[side.lane].records[static_cast<std::size_t>(side.close)];
  }

  // Until when the producer had certainly not begun to close: it closes later, the harness ended it
  // later, or it did something else later.
  Stamp open_until(const ProducerSide& p) const {
    if (const Record* const close = close_of(p)) return close->invoked;
    for (const Evidence& e : subject_.history.evidence) {
      if (e.fact == Fact::killed && e.lane == static_cast<int>(p.lane)) return began(e);
    }
    const Record& last = subject_.history.lanes[p.lane].records.back();
    return std::max(last.invoked, last.returned);
  }

  void judge_producers(const ConsumerSide& side, EventRef closed, Finding& finding) {
    const Record& answer = channel_.record(closed);
    for (const ProducerSide& p : channel_.producers) {
      if (!p.present || p.attach < 0) continue;
      const Stamp until = open_until(p);
      if (!subject_.time.before(answer.returned, until)) continue;
      const auto last = p.close >= 0 ? static_cast<std::uint64_t>(p.close)
                                     : subject_.history.lanes[p.lane].records.size() - 1;
      charge(finding, Verdict::violation,
             {.symptom = "false closed",
              .what = fmt::format("{} was told closed, and {} had not begun to close {} later",
                                  subject_.lane(side.lane), subject_.lane(p.lane),
                                  subject_.duration(until - answer.returned)),
              .legal = "closed only when every producer has closed and everything was received",
              .witness = {closed, {p.lane, last}}});
      return;
    }
  }

  // A receive that began later brought something.
  void judge_receives(const ConsumerSide& side, EventRef closed, Finding& finding) {
    const Stamp told = channel_.record(closed).returned;
    for (const ConsumerSide& other : channel_.consumers) {
      if (!other.present || (&other != &side && !competing_)) continue;
      const auto records = subject_.history.lanes[other.lane].records;
      for (std::uint64_t i = records.size(); i-- > 0;) {
        const Record& r = records[i];
        const bool later =
            &other == &side ? i > closed.record : subject_.time.before(told, r.invoked);
        if (!later) break;
        if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
        if (r.result() != Outcome::ok) continue;
        charge(finding, Verdict::violation,
               {.symptom = "false closed",
                .what = fmt::format("{} was told closed, and {} received a message after that",
                                    subject_.lane(side.lane), subject_.lane(other.lane)),
                .legal = "closed only when everything was received",
                .witness = {closed, {other.lane, i}}});
        return;
      }
    }
  }

  void judge_outstanding(const ConsumerSide& side, EventRef closed, Finding& finding) {
    const bool certain = competing_ && channel_.outstanding > 0 && subject_.stays(channel_);
    if (!certain) return;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        if (!messages[offset].outstanding()) continue;
        const Record& sent = channel_.sent_record(p, offset);
        if (!subject_.time.before(sent.returned, channel_.record(closed).returned)) continue;
        charge(finding, Verdict::violation,
               {.symptom = "closed before the end",
                .what = fmt::format("{} was told closed, but nobody received {}{}",
                                    subject_.lane(side.lane), subject_.message(channel_, p, offset),
                                    and_more(channel_.outstanding)),
                .legal = "closed only when everything was received",
                .witness = {channel_.sent_ref(p, offset), closed}});
        return;
      }
    }
  }

  void judge_send(EventRef ref, Finding& finding) {
    const Record& answer = channel_.record(ref);
    bool attached = false;
    for (const ConsumerSide& c : channel_.consumers) {
      if (!c.present) continue;
      if (subject_.time.killed(c.lane)) return;
      const Record* const close = close_of(c);
      if (close == nullptr && !subject_.time.cut_short().empty()) return;
      if (close != nullptr && !subject_.time.before(answer.returned, close->invoked)) return;
      if (c.attach < 0) continue;
      const Record& attach = channel_.record({c.lane, static_cast<std::uint64_t>(c.attach)});
      attached |=
          attach.result() == Outcome::ok && subject_.time.before(attach.returned, answer.invoked);
    }
    if (!attached) return;
    charge(finding, Verdict::violation,
           {.symptom = "false closed to a sender",
            .what = fmt::format("{} was answered closed by send though no consumer had left",
                                subject_.lane(ref.lane)),
            .legal = "closed only when nobody will receive",
            .witness = {ref}});
  }

  // When every producer had closed and everything accepted was received; never: not known.
  Stamp complete() const {
    if (!channel_.shared || channel_.outstanding + channel_.lookalikes_sent > 0) {
      return Timeline::never;
    }
    if (channel_.uncertain > 0 || channel_.count(Anomaly::torn) > 0) return Timeline::never;
    if (subject_.contract.delivery != Delivery::exactly_once) return Timeline::never;
    Stamp complete = 0;
    for (const ProducerSide& p : channel_.producers) {
      if (!p.present) continue;
      const Record* const close = close_of(p);
      if (close == nullptr || close->result() != Outcome::ok) return Timeline::never;
      complete = std::max(complete, close->returned);
    }
    for (const ConsumerSide& c : channel_.consumers) {
      if (!c.present) continue;
      const auto records = subject_.history.lanes[c.lane].records;
      for (std::size_t i = records.size(); i-- > 0;) {
        const Record& r = records[i];
        if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
        if (r.result() != Outcome::ok) continue;
        complete = std::max(complete, r.returned);
        break;
      }
    }
    return complete;
  }

  void judge_missing(Finding& finding) {
    const bool everyone_told =
        std::all_of(channel_.consumers.begin(), channel_.consumers.end(),
                    [](const ConsumerSide& side) { return !side.present || !side.closed.empty(); });
    if (everyone_told) return;
    const Stamp since = complete();
    if (since == Timeline::never) return;
    for (const ConsumerSide& side : channel_.consumers) {
      if (side.present) judge_untold(side, since, finding);
    }
  }

  void judge_untold(const ConsumerSide& side, Stamp since, Finding& finding) {
    for (const Quiet& row : quiet_rows(subject_, channel_, side, 0)) {
      const Stamp from = std::max(row.from, since);
      if (row.to <= from) continue;
      const bool proven = std::any_of(subject_.history.evidence.begin(),
                                      subject_.history.evidence.end(), [&](const Evidence& e) {
                                        return e.fact == Fact::deadlocked && began(e) >= from &&
                                               e.to <= row.to &&
                                               channel_.record(row.last).invoked <= began(e);
                                      });
      if (!proven && row.to - from <= subject_.bound()) continue;
      Charge c{.symptom = "missing closed",
               .what = fmt::format("{} listened for {} after every producer had closed and "
                                   "everything was received, and was not told",
                                   subject_.lane(side.lane), subject_.duration(row.to - from)),
               .legal = "closed",
               .witness = {row.first, row.last}};
      if (proven) {
        charge(finding, Verdict::violation, std::move(c));
      } else {
        charge_delay(subject_, finding, from, row.to, std::move(c));
      }
      return;
    }
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  bool competing_ = false;
};

}  // namespace

Finding check_end_of_stream(const Subject& subject) {
  Finding finding{.term = "reports closed"};
  for (const ChannelIndex& channel : subject.channels) StreamEnd(subject, channel).run(finding);
  return finding;
}

}  // namespace ipctorture
