// Stall: an accepted message reaches a waiting consumer within the progress bound.
//
// Claimed where a consumer slept inside a receive (not runnable, no context switch: the watchdog's
// evidence), for longer than the bound, while a message that it could take was accepted and not
// taken; no other consumer of the channel was awake in a receive, and nobody was awake in one
// operation for so long that the wait is explained by it. A deadline that ends the sleep later does
// not hide it. A message that only one consumer can take (bound, broadcast, latest value) is
// charged to that consumer's sleep alone; one that is bound to nobody knows whom, because it was
// never received, only when all slept. On a disturbed machine it is inconclusive. Messages too
// short to be told apart are not judged. Where peers died, as many of the messages that nobody
// received as the contract lets them take along are nobody's fault. Occasions are the sleeps in
// receives that a message ended, and those that it should have ended.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/asleep.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

class StallJudge {
 public:
  StallJudge(const Subject& subject, const ChannelIndex& channel, const std::vector<Sleep>& all)
      : subject_(subject), channel_(channel), all_(all), bound_(subject.bound()) {}

  void run(Finding& finding) {
    for (const Sleep& s : all_) {
      const Record& r = subject_.record(s.in);
      if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
      if (r.result() == Outcome::ok) finding.tried_at(Term::wakes_consumer, 1);
      if (s.to - s.from <= bound_ || finding.verdict == Verdict::violation) continue;
      if (channel_.shared) {
        judge_shared(s, finding);
      } else {
        judge_own(s, finding);
      }
    }
  }

 private:
  // The message that waited longest of those any consumer, or this one, could take.
  void judge_shared(const Sleep& s, Finding& finding) {
    const bool bound_to_one = subject_.contract.fan_out == FanOut::bound_consumer;
    const bool may_be_lost = subject_.contract.delivery != Delivery::exactly_once;
    Window longest;
    unsigned producer = 0;
    std::uint64_t at = 0;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        const SentMessage& m = messages[offset];
        const bool told =
            (m.flags & (SentMessage::accepted | SentMessage::lookalike | SentMessage::mangled)) ==
            SentMessage::accepted;
        if (!told) continue;
        const bool delivered = m.has(SentMessage::delivered);
        if (!delivered && (may_be_lost || may_be_gone(s.to))) continue;
        if (delivered && bound_to_one && channel_.consumers[m.consumer].lane != s.in.lane) continue;
        const Stamp accepted = channel_.sent_record(p, offset).returned;
        if (accepted + bound_ > s.to) continue;
        const Window wait{std::max(s.from, accepted),
                          std::min(s.to, taken_from(channel_, all_, m))};
        if (wait.length() > longest.length()) longest = wait, producer = p, at = offset;
      }
    }
    if (longest.length() <= bound_) return;
    const SentMessage& m = channel_.producers[producer].messages[at];
    const bool only_this = bound_to_one && m.has(SentMessage::delivered);
    if (bound_to_one && !only_this && !all_asleep(longest)) return;
    convict(s, longest, producer, at,
            only_this ? OtherConsumers::do_not_matter : OtherConsumers::matter, finding);
  }

  // Those who died well before `end` (not because of the stall) may have taken along every message
  // that nobody received.
  bool may_be_gone(Stamp end) const {
    std::uint64_t gone = 0, undelivered = 0;
    for (const Evidence& e : subject_.history.evidence) {
      const bool death = e.fact == Fact::killed || e.fact == Fact::died;
      if (death && e.to + bound_ < end) gone += subject_.contract.lost_per_death_max;
    }
    if (gone == 0) return false;
    for (const ProducerSide& p : channel_.producers) {
      for (const SentMessage& m : p.messages) {
        undelivered += m.has(SentMessage::accepted) && !m.has(SentMessage::delivered) ? 1 : 0;
      }
    }
    return undelivered <= gone;
  }

  bool all_asleep(Window window) const {
    return std::all_of(channel_.consumers.begin(), channel_.consumers.end(),
                       [&](const ConsumerSide& c) {
                         if (!c.present) return true;
                         return std::any_of(all_.begin(), all_.end(), [&](const Sleep& s) {
                           return s.in.lane == c.lane && s.from <= window.from &&
                                  s.to >= window.to && subject_.record(s.in).op() == Op::receive;
                         });
                       });
  }

  // Broadcast, latest value: the first message that this consumer has not seen.
  void judge_own(const Sleep& s, Finding& finding) {
    for (const ConsumerSide& c : channel_.consumers) {
      if (!c.present || c.lane != s.in.lane) continue;
      const auto seen = seen_before(subject_, channel_, c, s.in.record);
      const auto records = subject_.history.lanes[c.lane].records;
      const Stamp attached =
          c.attach < 0 ? 0 : records[static_cast<std::size_t>(c.attach)].returned;
      for (unsigned p = 0; p < channel_.producers.size(); ++p) {
        const auto& messages = channel_.producers[p].messages;
        for (std::uint64_t offset = seen[p]; offset < messages.size(); ++offset) {
          if (!messages[offset].has(SentMessage::accepted)) continue;
          const Record& sent = channel_.sent_record(p, offset);
          if (!subject_.time.before(attached, sent.invoked)) continue;
          const Window wait{std::max(s.from, sent.returned), s.to};
          if (wait.length() <= bound_) break;
          convict(s, wait, p, offset, OtherConsumers::do_not_matter, finding);
          break;
        }
      }
    }
  }

  void convict(const Sleep& s, Window wait, unsigned producer, std::uint64_t offset,
               OtherConsumers others, Finding& finding) {
    const Window still = still_window(subject_, all_, s.in.lane, channel_.channel, wait, others);
    if (still.length() <= bound_) return;
    if (subject_.record(s.in).result() != Outcome::ok) finding.tried_at(Term::wakes_consumer, 1);
    const SentMessage& m = channel_.producers[producer].messages[offset];
    Charge c{
        .symptom = "asleep",
        .what = fmt::format("{} slept {} in receive while {} waited for it",
                            subject_.lane(s.in.lane), subject_.duration(still.length()),
                            subject_.message(channel_, producer, offset)),
        .legal = fmt::format("it is received within {} ms", subject_.contract.progress_bound_ms),
        .witness = {channel_.sent_ref(producer, offset), s.in}};
    if (m.has(SentMessage::delivered)) c.witness.push_back(channel_.received_ref(m));
    charge_delay(subject_, finding, still.from, still.to, std::move(c));
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  const std::vector<Sleep>& all_;
  const Stamp bound_;
};

}  // namespace

Finding check_stall(const Subject& subject) {
  Finding finding{.term = "progress"};
  const std::vector<Sleep> all = sleeps(subject);
  for (const ChannelIndex& channel : subject.channels) {
    StallJudge(subject, channel, all).run(finding);
  }
  return finding;
}

}  // namespace ipctorture
