// Latest value: a consumer never sees a value older than one it saw or than one that was there
// before it asked, is not woken for a value equal to the one it saw, and in the end sees the last
// one.
//
// Older than seen: a producer's values come in order to each consumer; exact, needs no clock.
// Stale: a receive that began after the send of a value had returned does not bring an older one;
// by the clock, with one producer. Fires without change: the value received is the one this
// consumer received last
// (`repeated` sends carry the same name); the occasions are receives during which, or before which,
// the value seen last was written again. Convergence: with one producer, a consumer that was told
// closed, or listened for more than the progress bound, after the last send had returned, saw that
// value. Torn values are integrity's.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"
#include "harness/check/quiet.h"

namespace ipctorture {
namespace {

// When a producer had written again what it had written last.
struct Repeat {
  Stamp written = 0;
  std::uint64_t offset = 0;
};
std::vector<Repeat> repeats_of(const Subject& subject, const ChannelIndex& channel, unsigned p) {
  std::vector<Repeat> repeats;
  const ProducerSide& side = channel.producers[p];
  const auto records = subject.history.lanes[side.lane].records;
  for (std::size_t i = 0; i + 1 < records.size(); ++i) {
    const Record& sent = records[i + 1];
    const bool again = records[i].op() == Op::repeated && sent.op() == Op::send &&
                       sent.channel() == channel.channel && sent.result() == Outcome::ok;
    if (!again) continue;
    repeats.push_back({sent.returned, (sent.message & ChannelIndex::sequence_mask) - side.first});
  }
  return repeats;
}

class Watcher {
 public:
  Watcher(const Subject& subject, const ChannelIndex& channel, const ConsumerSide& side)
      : subject_(subject), channel_(channel), side_(side), seen_(channel.producers.size(), 0) {
    unsigned present = 0;
    for (unsigned p = 0; p < channel.producers.size(); ++p) {
      if (channel.producers[p].present) ++present, writer_ = p;
    }
    one_writer_ = present == 1;
    if (present > 0) repeats_ = repeats_of(subject, channel, writer_);
  }

  void run(Finding& finding) {
    const auto records = subject_.history.lanes[side_.lane].records;
    for (std::uint64_t i = 0; i < records.size(); ++i) {
      const Record& r = records[i];
      if (r.op() != Op::receive || r.channel() != channel_.channel) continue;
      if (written_again_before(r)) finding.tried_at(Term::fires_on_change, 1);
      const bool taken = r.result() == Outcome::ok && r.content() == Content::intact;
      if (!taken) continue;
      const Match match = channel_.match(r);
      if (match.how != Match::How::identified) continue;
      if (last_.how == Match::How::identified) finding.tried_at(Term::never_older, 1);
      judge({side_.lane, i}, match, finding);
      seen_[match.producer] = std::max(seen_[match.producer], match.offset + 1);
      last_ = match;
      last_ref_ = {side_.lane, i};
    }
    if (one_writer_) judge_convergence(finding);
  }

 private:
  void judge(EventRef ref, const Match& match, Finding& finding) {
    const std::string value = subject_.message(channel_, match.producer, match.offset);
    const std::string who = subject_.lane(side_.lane);
    const bool same = last_.how == Match::How::identified && last_.producer == match.producer &&
                      last_.offset == match.offset;
    if (same && subject_.contract.fires_only_on_change) {
      charge(finding, Verdict::violation,
             {.symptom = "fired without change",
              .what = fmt::format("{} was given {} again, which it had seen last", who, value),
              .legal = "nothing until the content changes",
              .witness = {last_ref_, ref}});
    }
    if (match.offset + 1 < seen_[match.producer]) {
      charge(finding, Verdict::violation,
             {.symptom = "older than seen",
              .what = fmt::format(
                  "{} was given {} after the newer {}", who, value,
                  subject_.message(channel_, match.producer, seen_[match.producer] - 1)),
              .legal = "the newer value or a still newer one",
              .witness = {last_ref_, ref}});
    }
    if (one_writer_ && subject_.time.orders_lanes()) judge_stale(ref, match, value, finding);
  }

  // Was the value that this consumer saw last written again since, before `receive` returned?
  bool written_again_before(const Record& receive) {
    if (!one_writer_ || last_.how != Match::How::identified || receive.open()) return false;
    const Stamp seen = channel_.record(last_ref_).returned;
    while (repeat_ < repeats_.size() && repeats_[repeat_].written <= seen) ++repeat_;
    if (repeat_ == repeats_.size() || repeats_[repeat_].offset != last_.offset) return false;
    return repeats_[repeat_].written < receive.returned;
  }

  // The newest value whose send had returned when this receive began.
  void judge_stale(EventRef ref, const Match& match, const std::string& value, Finding& finding) {
    const auto& messages = channel_.producers[writer_].messages;
    const Stamp asked = channel_.record(ref).invoked;
    for (; written_ < messages.size(); ++written_) {
      const Record& sent = channel_.sent_record(writer_, written_);
      if (!subject_.time.before(sent.returned, asked) || sent.open()) break;
      if (messages[written_].has(SentMessage::accepted)) current_ = written_ + 1;
    }
    if (match.offset + 1 >= current_) return;
    charge(finding, Verdict::violation,
           {.symptom = "stale",
            .what = fmt::format("{} was given {} although {} had been written before it asked",
                                subject_.lane(side_.lane), value,
                                subject_.message(channel_, writer_, current_ - 1)),
            .legal = "that value or a newer one",
            .witness = {channel_.sent_ref(writer_, match.offset),
                        channel_.sent_ref(writer_, current_ - 1), ref}});
  }

  void judge_convergence(Finding& finding) {
    const auto& messages = channel_.producers[writer_].messages;
    std::uint64_t last = messages.size();
    while (last > 0 && !messages[last - 1].has(SentMessage::accepted)) --last;
    if (last == 0) return;
    if (seen_[writer_] >= last) return finding.tried_at(Term::converges, 1);
    const Stamp written = channel_.sent_record(writer_, last - 1).returned;
    const std::string value = subject_.message(channel_, writer_, last - 1);
    const EventRef sent = channel_.sent_ref(writer_, last - 1);
    if (!side_.closed.empty()) {
      const EventRef closed{side_.lane, side_.closed.back()};
      if (subject_.time.before(written, subject_.closed_says(channel_.record(closed)))) {
        charge(finding, Verdict::violation,
               {.symptom = "not converged",
                .what = fmt::format("{} was told closed and never saw {}, the last value",
                                    subject_.lane(side_.lane), value),
                .legal = "the last value is seen",
                .witness = {sent, closed}});
      }
    }
    for (const Quiet& row : quiet_rows(subject_, channel_, side_, subject_.bound())) {
      const Stamp from = std::max(row.from, written);
      if (row.to <= from || row.to - from <= subject_.bound()) continue;
      charge_delay(
          subject_, finding, from, row.to,
          {.symptom = "not converged",
           .what = fmt::format("{} listened for {} and never saw {}, the last value",
                               subject_.lane(side_.lane), subject_.duration(row.to - from), value),
           .legal = "the last value is seen",
           .witness = {sent, row.last}});
    }
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  const ConsumerSide& side_;
  std::vector<std::uint64_t> seen_;  // [producer] offset + 1 of the newest
  bool one_writer_ = false;
  unsigned writer_ = 0;
  Match last_;
  EventRef last_ref_;
  std::vector<Repeat> repeats_;  // of the one writer, in order
  std::size_t repeat_ = 0;       // those below it were written before the last receive returned
  std::uint64_t written_ = 0;    // offsets below it were written before the receive at hand
  std::uint64_t current_ = 0;    // offset + 1 of the newest accepted of them
};

}  // namespace

Finding check_latest_value(const Subject& subject) {
  Finding finding{.term = "latest value"};
  for (const ChannelIndex& channel : subject.channels) {
    for (const ConsumerSide& side : channel.consumers) {
      if (side.present) Watcher(subject, channel, side).run(finding);
    }
  }
  return finding;
}

}  // namespace ipctorture
