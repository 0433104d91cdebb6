// Loss, where every consumer gets every message: what was accepted after a consumer attached, and
// before it left, it received, or it was told exactly how many it missed.
//
// Each consumer is walked alone. Without an order only what it was told closed after counts. A gap
// in a producer's sequence numbers before a received message is a loss unless the transport
// reported it (IoResult::missed) by then: sound where each producer's messages come in order (the
// contract's ordering is not none). The report may not exceed what was there to miss; with one
// producer this is exact at every receive, with several only over the whole traffic, because a
// reported message of another producer may not show as a gap yet. What was sent while the consumer
// attached may or may not be its. Messages after the last received one count only when the consumer
// was told closed, or listened for the progress bound (liveness).
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"
#include "harness/check/quiet.h"

namespace ipctorture {
namespace {

class ConsumerLoss {
 public:
  ConsumerLoss(const Subject& subject, const ChannelIndex& channel, const ConsumerSide& side)
      : subject_(subject), channel_(channel), side_(side), next_(channel.producers.size(), 0) {
    const auto records = subject.history.lanes[side.lane].records;
    if (side.attach >= 0) {
      attaching_ = records[static_cast<std::size_t>(side.attach)].invoked;
      attached_ = records[static_cast<std::size_t>(side.attach)].returned;
    }
    for (const ProducerSide& p : channel.producers) producers_ += p.present ? 1 : 0;
    may_miss_ = subject.contract.when_full == WhenFull::overwrites_oldest;
  }

  void run(Finding& finding) {
    const auto records = subject_.history.lanes[side_.lane].records;
    for (std::size_t i = 0; i < records.size(); ++i) {
      const Record& r = records[i];
      if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
      missed_ += missed_note(i);
      taken_unseen_ += r.result() == Outcome::unknown ? 1 : 0;
      if (r.result() == Outcome::ok && r.content() == Content::intact) advance(r);
      if (!compare({side_.lane, i}, finding)) return;
    }
    judge_tail(finding);
  }

  // A gap may still be filled, so only the end tells: what was accepted before this consumer was
  // told closed, it has received.
  void run_without_order(Finding& finding) {
    if (side_.closed.empty()) return;
    std::vector<std::vector<bool>> seen(next_.size());
    for (std::size_t p = 0; p < seen.size(); ++p) {
      seen[p].assign(channel_.producers[p].messages.size(), false);
    }
    for (const Record& r : subject_.history.lanes[side_.lane].records) {
      if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
      if (r.result() != Outcome::ok || r.content() != Content::intact) continue;
      const Match match = channel_.match(r);
      if (match.how == Match::How::identified) seen[match.producer][match.offset] = true;
    }
    const EventRef closed{side_.lane, side_.closed.back()};
    const Stamp until = subject_.closed_says(subject_.record(closed));
    for (unsigned p = 0; p < seen.size(); ++p) {
      for (std::uint64_t offset = 0; offset < seen[p].size(); ++offset) {
        const Stamp accepted = channel_.sent_record(p, offset).returned;
        if (seen[p][offset] || !subject_.time.before(accepted, until)) continue;
        count(p, offset, offset + 1);
      }
    }
    missed_ = side_.missed;
    if (owed_ > missed_ + side_.unknown + subject_.may_be_gone()) lost(closed, finding);
  }

 private:
  std::uint64_t missed_note(std::size_t receive) const {
    const auto records = subject_.history.lanes[side_.lane].records;
    std::uint64_t missed = 0;
    for (std::size_t i = receive + 1; i < records.size(); ++i) {
      const Op op = records[i].op();
      if (op != Op::missed && op != Op::late) break;
      if (op == Op::missed && records[i].channel() == channel_.channel)
        missed += records[i].message;
    }
    return missed;
  }

  void advance(const Record& r) {
    const Match match = channel_.match(r);
    if (match.how != Match::How::identified || match.offset < next_[match.producer]) return;
    count(match.producer, next_[match.producer], match.offset);
    next_[match.producer] = match.offset + 1;
  }

  // Messages from..to of the producer were passed over.
  void count(unsigned producer, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t offset = from; offset < to; ++offset) {
      const SentMessage& m = channel_.producers[producer].messages[offset];
      if (!m.has(SentMessage::accepted | SentMessage::uncertain)) continue;
      if (long_gone(producer, offset)) continue;
      ++possible_;
      if (!owed(producer, offset)) continue;
      if (owed_++ == 0 || !first_owed_known_) {
        first_owed_known_ = true;
        first_owed_ = channel_.sent_ref(producer, offset);
        first_name_ = subject_.message(channel_, producer, offset);
      }
    }
  }
  // Sent before this consumer began to attach.
  bool long_gone(unsigned producer, std::uint64_t offset) const {
    const Record& sent = channel_.sent_record(producer, offset);
    return !sent.open() && subject_.time.before(sent.returned, attaching_);
  }
  bool owed(unsigned producer, std::uint64_t offset) const {
    const SentMessage& m = channel_.producers[producer].messages[offset];
    if (!m.has(SentMessage::accepted) || m.has(SentMessage::lookalike | SentMessage::mangled)) {
      return false;
    }
    return subject_.time.before(attached_, channel_.sent_record(producer, offset).invoked);
  }

  // False when something was charged.
  bool compare(EventRef at, Finding& finding) {
    const std::string who = subject_.lane(side_.lane);
    if (missed_ > 0 && !may_miss_) {
      charge(finding, Verdict::violation,
             {.symptom = "lost",
              .what = fmt::format("{} was told that it missed {} messages", who, missed_),
              .legal = "every consumer receives every message",
              .witness = {at}});
      return false;
    }
    if (owed_ > missed_ + taken_unseen_ + subject_.may_be_gone()) {
      charge(
          finding, Verdict::violation,
          {.symptom = may_miss_ ? "unreported" : "lost",
           .what = fmt::format("{} was passed over {} of {} messages without being told, first {}",
                               who, owed_ - missed_, owed_, first_name_),
           .legal = may_miss_ ? "a lapped consumer is told exactly how many it missed"
                              : "every consumer receives every message",
           .witness = {first_owed_, at}});
      return false;
    }
    if (producers_ == 1 && missed_ > possible_) return overreported(at, possible_, finding);
    return true;
  }

  bool overreported(EventRef at, std::uint64_t possible, Finding& finding) {
    charge(finding, Verdict::violation,
           {.symptom = "overreported",
            .what = fmt::format("{} was told that it missed {} messages, but only {} were there to "
                                "miss",
                                subject_.lane(side_.lane), missed_, possible),
            .legal = "a lapped consumer is told exactly how many it missed",
            .witness = {at}});
    return false;
  }

  // What came after the last received message of each producer.
  void judge_tail(Finding& finding) {
    const auto seen = next_;
    const std::uint64_t owed_before = owed_;
    first_owed_known_ = false;
    Stamp until = 0;
    EventRef proof{};
    if (!side_.closed.empty()) {
      proof = {side_.lane, side_.closed.back()};
      until = subject_.closed_says(subject_.record(proof));
    }
    const auto rows = quiet_rows(subject_, channel_, side_, subject_.bound());
    const bool by_closed = until > 0;
    if (!by_closed && !rows.empty()) {
      proof = rows.back().last;
      until = rows.back().to - subject_.bound();
    }
    std::uint64_t later = 0;  // accepted too late to be owed by that proof
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      std::uint64_t end = seen[p];
      for (std::uint64_t offset = seen[p]; offset < messages.size(); ++offset) {
        if (!messages[offset].has(SentMessage::accepted | SentMessage::uncertain)) continue;
        const Stamp accepted = channel_.sent_record(p, offset).returned;
        const bool in_time =
            messages[offset].has(SentMessage::accepted) && subject_.time.before(accepted, until);
        if (in_time) end = offset + 1;
      }
      count(p, seen[p], end);
      for (std::uint64_t offset = end; offset < messages.size(); ++offset) {
        const bool there = messages[offset].has(SentMessage::accepted | SentMessage::uncertain);
        later += there ? 1 : 0;
      }
    }
    if (missed_ > possible_ + later) {
      overreported(proof, possible_ + later, finding);
      return;
    }
    const std::uint64_t excused = missed_ + side_.unknown + subject_.may_be_gone();
    if (owed_ <= excused || owed_ == owed_before) return;
    if (by_closed) return lost(proof, finding);
    Charge c{
        .symptom = "lost",
        .what = fmt::format("{} never received {}{}; {}", subject_.lane(side_.lane), first_name_,
                            and_more(owed_ - missed_), "it listened and nothing came"),
        .legal = "every consumer receives every message",
        .witness = {first_owed_, proof}};
    charge_delay(subject_, finding, rows.back().from, rows.back().to, std::move(c));
  }

  void lost(EventRef closed, Finding& finding) const {
    charge(finding, Verdict::violation,
           {.symptom = "lost",
            .what = fmt::format("{} never received {}{}; it was told closed",
                                subject_.lane(side_.lane), first_name_, and_more(owed_ - missed_)),
            .legal = "every consumer receives every message",
            .witness = {first_owed_, closed}});
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  const ConsumerSide& side_;
  Stamp attaching_ = 0, attached_ = 0;
  unsigned producers_ = 0;
  bool may_miss_ = false;
  std::vector<std::uint64_t> next_;  // [producer] offset after the last received
  std::uint64_t missed_ = 0, owed_ = 0, possible_ = 0;
  std::uint64_t taken_unseen_ = 0;  // receives of unknown fate
  bool first_owed_known_ = false;
  EventRef first_owed_;
  std::string first_name_;
};

}  // namespace

void judge_broadcast_loss(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  if (subject.contract.delivery != Delivery::exactly_once) return;
  const bool ordered = subject.contract.ordering != Ordering::none;
  for (const ConsumerSide& side : channel.consumers) {
    if (!side.present) continue;
    ConsumerLoss judge(subject, channel, side);
    if (ordered) {
      judge.run(finding);
    } else {
      judge.run_without_order(finding);
    }
  }
}

}  // namespace ipctorture
