// The pass over one consumer's records: matches every received message to its sending and notes
// what is wrong with it. One look at each record; see channel_index.h.
#include "harness/check/channel_index.h"
#include "harness/check/lookalikes.h"

namespace ipctorture {
namespace {

constexpr unsigned priorities_max = 256;
constexpr std::size_t ahead = 16;  // records

struct Newest {
  std::uint64_t end = 0;  // offset + 1; 0: nothing yet
  std::uint64_t record = 0;
};

}  // namespace

class ConsumerPass {
 public:
  ConsumerPass(ChannelIndex& index, unsigned consumer, LookalikeCounts& counts)
      : index_(index),
        counts_(counts),
        consumer_(consumer),
        side_(index.consumers[consumer]),
        records_(index.history_->lanes[side_.lane].records),
        by_priority_(index.ordering_ == Ordering::priority),
        values_(index.delivery_ == Delivery::latest_value),
        track_order_(index.ordering_ != Ordering::none && !values_),
        track_seen_(!index.shared && !values_),
        by_time_(index.history_->serialised),
        slack_(index.history_->stamps.slack_ticks),
        newest_(index.producers.size() * (by_priority_ ? priorities_max : 1)),
        seen_(track_seen_ ? index.producers.size() : 0) {
    for (const ProducerSide& p : index.producers) {
      sends_.push_back(p.present ? index.history_->lanes[p.lane].records.data() : nullptr);
    }
    for (std::size_t p = 0; p < seen_.size(); ++p) {
      seen_[p].assign(index.producers[p].messages.size() / 64 + 1, 0);
    }
  }

  void run() {
    const std::uint8_t receive = Record::encode(Op::receive, index_.channel, DeadlineMode::never);
    const std::uint8_t missed = Record::encode(Op::missed, index_.channel, DeadlineMode::never);
    for (std::uint32_t i = 0; i < records_.size(); ++i) {
      const Record& r = records_[i];
      if (index_.producers.size() > 1) fetch_ahead(i);
      const auto what = static_cast<std::uint8_t>(r.what & 0x3f);
      if (what != receive) [[unlikely]] {
        if (what == missed) side_.missed += r.message;
        read_aside(side_, i, r, index_.channel);
        continue;
      }
      side_.timed += r.mode() != DeadlineMode::never ? 1 : 0;
      if (r.result() == Outcome::ok) [[likely]] {
        ++side_.received;
        take(i, r);
      } else {
        took_nothing(i, r);
      }
    }
  }

 private:
  // With several producers their messages come in no order that the processor could guess. As a
  // rule a lane's records are its attach and its sends.
  void fetch_ahead(std::size_t i) const {
    if (i + ahead >= records_.size() || records_[i + ahead].size < ChannelIndex::named_bytes)
      return;
    const Match match = index_.match(records_[i + ahead]);
    if (match.how != Match::How::identified) return;
    __builtin_prefetch(&index_.producers[match.producer].messages[match.offset], 1);
    __builtin_prefetch(sends_[match.producer] + match.offset + 1);
  }

  void took_nothing(std::uint32_t i, const Record& r) {
    const auto list = [i](std::vector<std::uint32_t>& to) {
      if (to.size() < Side::listed_max) to.push_back(i);
    };
    switch (r.result()) {
      case Outcome::closed:
        side_.closed.push_back(i);
        break;
      case Outcome::unknown:
        ++side_.unknown;
        break;
      case Outcome::empty:
        ++side_.empty;
        if (r.mode() != DeadlineMode::now) list(side_.impatient);
        break;
      case Outcome::timed_out:
        if (r.mode() == DeadlineMode::never) list(side_.impatient);
        break;
      default:
        list(side_.errors);
    }
  }

  void take(std::size_t i, const Record& r) {
    if (r.content() != Content::intact) [[unlikely]]
      return take_damaged(i, r);
    Match match = index_.match(r);
    if (match.how == Match::How::lookalike) [[unlikely]]
      match = index_.count_in_class(r, counts_);
    if (match.how == Match::How::lookalike) [[unlikely]]
      return;
    if (match.how == Match::How::none) [[unlikely]] {
      if (!index_.take_earlier(r)) report(Anomaly::phantom, i);
      return;
    }
    ++index_.identified;
    SentMessage& m = index_.producers[match.producer].messages[match.offset];
    if (!m.has(SentMessage::accepted | SentMessage::uncertain)) [[unlikely]] {
      return report(Anomaly::phantom, i, match);
    }
    const Record& sent = sends_[match.producer][m.sent];
    if (by_time_ && r.returned + slack_ < sent.invoked) [[unlikely]]
      look_at_attempts(i, r, match);
    compare(i, r, m, match);
    bool again = false;
    if (index_.shared) {
      again = m.has(SentMessage::delivered);
      deliver(i, m, match);
    } else if (track_seen_) {
      again = see(i, match);
    }
    if (track_order_ && !again) {
      Newest& newest =
          newest_[by_priority_ ? match.producer * priorities_max + m.priority : match.producer];
      if (match.offset + 1 < newest.end) [[unlikely]] {
        report(Anomaly::inversion, i, match, {side_.lane, newest.record});
      } else {
        newest = {match.offset + 1, i};
      }
    }
  }

  void take_damaged(std::size_t i, const Record& r) {
    const bool torn = r.content() == Content::torn;
    const Match match = torn ? index_.match(r) : Match{};
    if (match.how == Match::How::identified) {
      index_.producers[match.producer].messages[match.offset].flags |= SentMessage::mangled;
      return report(Anomaly::torn, i, match);
    }
    report(torn ? Anomaly::torn : Anomaly::foreign, i);
  }

  [[gnu::noinline, gnu::cold]] void look_at_attempts(std::size_t i, const Record& r,
                                                     const Match& match) {
    const Stamp began = index_.first_attempt(match.producer, match.offset);
    if (r.returned + slack_ < began) report(Anomaly::premature, i, match);
  }

  // Is it what was sent? An attempt of unknown fate may have had another size than a later one.
  void compare(std::size_t i, const Record& r, SentMessage& m, const Match& match) {
    constexpr std::uint8_t both = SentMessage::accepted | SentMessage::uncertain;
    const bool certain = (m.flags & both) != both;
    if (r.size != m.size && certain) [[unlikely]]
      report(Anomaly::resized, i, match);
    if (r.size >= ChannelIndex::named_bytes) [[likely]] {
      if (((r.message >> 54) & 3) != m.kind) [[unlikely]]
        report(Anomaly::renamed, i, match);
      side_.saw_mark |= m.kind == static_cast<std::uint8_t>(MessageKind::mark);
    }
    if (by_priority_ && r.detail >> 8 != m.priority && certain) [[unlikely]]
      look_at_priority(i, r, m, match);
  }

  // A send that was answered unknown has its error where else the priority stands.
  [[gnu::noinline, gnu::cold]] void look_at_priority(std::size_t i, const Record& r, SentMessage& m,
                                                     const Match& match) {
    const Record& sent = sends_[match.producer][m.sent];
    if (sent.result() != Outcome::unknown || sent.open()) {
      return report(Anomaly::reprioritised, i, match);
    }
    m.priority = static_cast<std::uint8_t>(r.detail >> 8);
  }

  void deliver(std::size_t i, SentMessage& m, const Match& match) {
    if (!m.has(SentMessage::delivered)) [[likely]] {
      m.flags |= SentMessage::delivered;
      m.received = static_cast<std::uint32_t>(i);
      m.consumer = static_cast<std::uint8_t>(consumer_);
      index_.delivered += m.has(SentMessage::accepted) ? 1 : 0;
      return;
    }
    constexpr std::uint8_t both = SentMessage::accepted | SentMessage::uncertain;
    const bool may_come_twice = (m.flags & both) == both && !m.has(SentMessage::delivered_again);
    m.flags |= SentMessage::delivered_again;
    if (!may_come_twice) report(Anomaly::duplicate, i, match, index_.received_ref(m));
  }

  // Broadcast: did this consumer see it before?
  bool see(std::size_t i, const Match& match) {
    std::uint64_t& word = seen_[match.producer][match.offset / 64];
    const std::uint64_t bit = std::uint64_t{1} << (match.offset % 64);
    const bool again = (word & bit) != 0;
    word |= bit;
    if (again) [[unlikely]] {
      const bool wanted = index_.count(Anomaly::duplicate) < ChannelIndex::sightings_max;
      report(Anomaly::duplicate, i, match, {side_.lane, wanted ? earlier_receive(match, i) : i});
    }
    return again;
  }

  std::uint64_t earlier_receive(const Match& match, std::uint64_t before) const {
    for (std::uint64_t i = 0; i < before; ++i) {
      const Record& r = records_[i];
      const bool intact = r.op() == Op::receive && r.channel() == index_.channel &&
                          r.result() == Outcome::ok && r.content() == Content::intact;
      if (!intact) continue;
      const Match other = index_.match(r);
      const bool same = other.how == Match::How::identified && other.producer == match.producer &&
                        other.offset == match.offset;
      if (same) return i;
    }
    return before;
  }

  void report(Anomaly anomaly, std::uint64_t i, const Match& match = {}) {
    report(anomaly, i, match, {side_.lane, i});
  }
  void report(Anomaly anomaly, std::uint64_t i, const Match& match, EventRef earlier) {
    index_.note({.anomaly = anomaly,
                 .receive = {side_.lane, i},
                 .earlier = earlier,
                 .producer = match.producer,
                 .offset = match.offset,
                 .identified = match.how == Match::How::identified});
  }

  ChannelIndex& index_;
  LookalikeCounts& counts_;
  const unsigned consumer_;
  ConsumerSide& side_;
  const std::span<const Record> records_;
  const bool by_priority_;
  const bool values_;
  const bool track_order_;
  const bool track_seen_;
  const bool by_time_;
  const Stamp slack_;
  std::vector<const Record*> sends_;              // [producer] its lane's records
  std::vector<Newest> newest_;                    // [producer (and priority)]
  std::vector<std::vector<std::uint64_t>> seen_;  // [producer], a bit per message
};

void ChannelIndex::read_consumer(unsigned index, LookalikeCounts& counts) {
  const ConsumerSide& side = consumers[index];
  if (!side.present) return;
  ConsumerPass(*this, index, counts).run();
  received += side.received;
  empty += side.empty;
  unknown_receives += side.unknown;
}

}  // namespace ipctorture
