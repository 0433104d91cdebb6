// A send that is refused, or waits, for ever although everything accepted was received.
//
// Room alone is no reason to wake a sender: kernels wait until much of a buffer has drained (a unix
// socket three quarters of it). So this is claimed only when the channel was certainly empty: all
// that was accepted before had been received. Two ways to see it:
//   asleep   a sender slept in one send for longer than the progress bound since then, and nobody
//            was awake in an operation that explains it;
//   refused  a sender was answered full or timed_out, and nothing else, for longer than the bound.
// Where a transport rejects and promises no capacity, `refused` is not claimed: a log that never
// shrinks is full for ever, lawfully. Inconclusive on a disturbed machine. Occasions are the sleeps
// that were seen in sends, and the refusals.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/asleep.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

class SenderJudge {
 public:
  SenderJudge(const Subject& subject, const ChannelIndex& channel)
      : subject_(subject), channel_(channel), bound_(subject.bound()) {}

  void run(Finding& finding) {
    if (!certain()) return;
    const std::vector<Sleep> all = sleeps(subject_);
    for (const Sleep& s : all) {
      const Record& r = subject_.record(s.in);
      if (r.op() != Op::send || r.channel() != channel_.channel) continue;
      finding.tried_at(Term::room_found, 1);
      if (s.to - s.from > bound_) judge_asleep(s, all, finding);
    }
    const bool may_stay_full =
        subject_.contract.when_full == WhenFull::rejects && subject_.contract.capacity_max == 0;
    if (may_stay_full) return;
    for (const ProducerSide& side : channel_.producers) {
      finding.tried_at(Term::room_found, side.full + side.timed_out);
      if (side.present && side.full + side.timed_out > 0) judge_refused(side, finding);
    }
  }

 private:
  // Is it known of every message whether and when it was received?
  bool certain() const {
    const bool consumers = std::any_of(
        channel_.consumers.begin(), channel_.consumers.end(), [&](const ConsumerSide& c) {
          return c.present && c.attach >= 0 &&
                 channel_.record({c.lane, static_cast<std::uint64_t>(c.attach)}).result() ==
                     Outcome::ok;
        });
    return consumers && channel_.shared && channel_.lookalikes_sent == 0 &&
           channel_.count(Anomaly::torn) + channel_.count(Anomaly::foreign) == 0;
  }

  // From when on the channel was empty, given that nothing was sent into it in `until`; never: it
  // was not, or some consumer came later, or so many left that nobody needs to make room.
  Stamp empty_since(Stamp until, EventRef but) const {
    Stamp since = 0;
    bool somebody_stays = false;
    for (const ConsumerSide& c : channel_.consumers) {
      if (!c.present) continue;
      if (c.attach < 0) return Timeline::never;
      since = std::max(since, subject_.ended({c.lane, static_cast<std::uint64_t>(c.attach)}));
      const EventRef close{c.lane, static_cast<std::uint64_t>(c.close)};
      if (c.close < 0 || channel_.record(close).invoked >= until) {
        somebody_stays = true;
        continue;
      }
      // One of several that compete leaves in order: the others go on as if it had not been there.
      if (subject_.contract.fan_out != FanOut::any_consumer) return Timeline::never;
      since = std::max(since, subject_.ended(close));
    }
    if (!somebody_stays) return Timeline::never;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        const SentMessage& m = messages[offset];
        if (!m.has(SentMessage::accepted | SentMessage::uncertain)) continue;
        const EventRef sent = channel_.sent_ref(p, offset);
        if (sent == but || channel_.record(sent).invoked >= until) continue;
        if (!m.has(SentMessage::delivered)) return Timeline::never;
        since = std::max(since, channel_.received_record(m).returned);
      }
    }
    return since;
  }

  void judge_asleep(const Sleep& s, const std::vector<Sleep>& all, Finding& finding) {
    const Stamp since = empty_since(s.to, s.in);
    if (since >= s.to) return;
    const Window still =
        still_window(subject_, all, s.in.lane, channel_.channel, {std::max(s.from, since), s.to},
                     OtherConsumers::do_not_matter);
    if (still.length() <= bound_) return;
    charge_delay(subject_, finding, still.from, still.to,
                 {.symptom = "sender asleep",
                  .what = fmt::format("{} slept {} in send though everything accepted was received",
                                      subject_.lane(s.in.lane), subject_.duration(still.length())),
                  .legal = "what there is room for is accepted",
                  .witness = {s.in}});
  }

  // Too large for an attempt that may not wait: the contract lets it be refused for ever.
  bool may_never_fit(const Record& r) const {
    const std::uint32_t fits = subject_.contract.now_message_max;
    return fits > 0 && r.size > fits && r.mode() == DeadlineMode::now;
  }

  // Who may not wait and was kept from looking, by a lock say, does not say that there is no room.
  static bool could_not_look(const Record& r) {
    return r.mode() == DeadlineMode::now && r.result() == Outcome::timed_out;
  }

  // The sender's unbroken rows of refusals.
  void judge_refused(const ProducerSide& side, Finding& finding) {
    const auto records = subject_.history.lanes[side.lane].records;
    EventRef first{}, last{};
    std::uint64_t row = 0;
    for (std::uint64_t i = 0; i < records.size(); ++i) {
      const Record& r = records[i];
      if (r.op() != Op::send || r.channel() != channel_.channel) continue;
      if (may_never_fit(r) || could_not_look(r)) continue;
      const bool refused = r.result() == Outcome::full || r.result() == Outcome::timed_out;
      if (refused) {
        if (row++ == 0) first = {side.lane, i};
        last = {side.lane, i};
        continue;
      }
      judge_row(first, last, row, finding);
      row = 0;
    }
    judge_row(first, last, row, finding);
  }

  void judge_row(EventRef first, EventRef last, std::uint64_t row, Finding& finding) {
    if (row < 2) return;
    const Record& begin = channel_.record(first);
    const Record& end = channel_.record(last);
    if (end.invoked - begin.invoked <= bound_) return;
    const Stamp since = std::max(empty_since(end.returned, last), begin.invoked);
    if (since >= end.invoked || end.invoked - since <= bound_) return;
    charge_delay(subject_, finding, since, end.returned,
                 {.symptom = "refused for ever",
                  .what = fmt::format("{} was answered {} for {} though everything accepted was "
                                      "received",
                                      subject_.lane(first.lane), to_string(end.result()),
                                      subject_.duration(end.invoked - since)),
                  .legal = "what there is room for is accepted",
                  .witness = {first, last}});
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  const Stamp bound_;
};

}  // namespace

void judge_blocked_senders(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  SenderJudge(subject, channel).run(finding);
}

}  // namespace ipctorture
