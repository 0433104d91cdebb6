// Loss, where each message goes to one consumer: accepted, and received by nobody.
//
// A message that was not received yet is not lost. It is called lost only where a correct transport
// would have delivered it, whatever ended the traffic:
//   closed    a consumer was told `closed` (everything was received) after it was accepted;
//   overtaken a later message of its producer (and priority), or with total order any message whose
//             send began after its own returned, was received;
//   waited    a consumer that could take it listened for more than the progress bound and got
//             nothing (a delay: inconclusive on a disturbed machine).
// A message bound to one consumer may be lost with that one: there `overtaken` counts only when
// every consumer lives and received a later message of its producer, and the others only when they
// hold for every consumer that lives. Receives of unknown fate, and deaths as far as the contract
// allows, may have taken messages along: that many are not claimed, and nothing that happened after
// a death that the contract does not survive is a proof. What survived deaths account for, in all,
// is nobody's loss; of the rest, what is neither received nor provably lost makes the verdict
// inconclusive.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "harness/check/oracles.h"
#include "harness/check/quiet.h"

namespace ipctorture {
namespace {

struct Proof {
  const char* symptom = nullptr;  // null: none
  std::string how;
  EventRef event;
  Stamp to = 0;
  bool certain = false;  // no receive of unknown fate can have taken it
};

class LossJudge {
 public:
  LossJudge(const Subject& subject, const ChannelIndex& channel)
      : subject_(subject), channel_(channel), last_word_(last_word()) {
    for (const ConsumerSide& c : channel.consumers) present_ += c.present && lives(c) ? 1 : 0;
    const bool bound = subject.contract.fan_out == FanOut::bound_consumer && present_ > 1;
    needed_ = bound ? present_ : 1;
    orders_ = subject.contract.ordering != Ordering::none && !bound;
    find_unknown();
    find_closed();
    find_quiet();
    if (orders_) find_newest();
    if (bound && subject.contract.ordering == Ordering::per_producer) find_newest_of_all();
  }

  void run(Finding& finding) {
    std::uint64_t claimed = 0, certain = 0, open = 0;
    Proof proof;
    unsigned lost_producer = 0;
    std::uint64_t lost_offset = 0;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        if (!messages[offset].outstanding()) continue;
        const Proof found = prove(p, offset);
        if (found.symptom == nullptr) {
          if (open++ == 0 && claimed == 0) lost_producer = p, lost_offset = offset;
          continue;
        }
        certain += found.certain ? 1 : 0;
        if (claimed++ > 0 && (proof.certain || !found.certain)) continue;
        proof = found;
        lost_producer = p;
        lost_offset = offset;
      }
    }
    if (claimed + open == 0) return;
    if (certain > subject_.may_be_gone() || claimed > allowance())
      return convict(finding, proof, lost_producer, lost_offset, claimed);
    if (subject_.history.goes_on) return;  // it may still come
    charge(finding, Verdict::inconclusive,
           {.symptom = "unreceived",
            .what = fmt::format("{} was accepted and not received{}; {}",
                                subject_.message(channel_, lost_producer, lost_offset),
                                and_more(claimed + open), why_open()),
            .legal = "each accepted message is received once",
            .witness = {channel_.sent_ref(lost_producer, lost_offset)}});
  }

  // Messages too short to be told apart.
  void run_lookalikes(Finding& finding) {
    if (channel_.lookalikes_missing == 0) return;
    Stamp last = 0;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = messages.size(); offset-- > 0;) {
        if (!messages[offset].has(SentMessage::lookalike)) continue;
        last = std::max(last, channel_.sent_record(p, offset).returned);
        break;
      }
    }
    const Proof proof = prove(last);
    const bool lost = proof.symptom != nullptr && channel_.lookalikes_missing > allowance();
    Charge c{.symptom = lost ? "lost" : "unreceived",
             .what = fmt::format("{} accepted messages of fewer than 8 bytes were not received; {}",
                                 channel_.lookalikes_missing, lost ? proof.how : why_open()),
             .legal = "each accepted message is received once"};
    if (lost) c.witness = {proof.event};
    charge(finding, lost ? Verdict::violation : Verdict::inconclusive, std::move(c));
  }

 private:
  // When somebody died whose death is not survived.
  Stamp last_word() const {
    Stamp first = Timeline::never;
    for (const Evidence& e : subject_.history.evidence) {
      const bool death = e.fact == Fact::killed || e.fact == Fact::died;
      const bool survived = e.lane >= 0 && subject_.survived(static_cast<unsigned>(e.lane));
      if (death && !survived) first = std::min(first, began(e));
    }
    return first;
  }

  bool lives(const ConsumerSide& side) const {
    const auto& deaths = subject_.time.deaths();
    return std::none_of(deaths.begin(), deaths.end(),
                        [&](const Death& d) { return d.lane == side.lane; });
  }

  // How many messages may be gone without anybody's fault.
  std::uint64_t allowance() const {
    std::uint64_t deaths = 0;
    for (unsigned lane = 0; lane < subject_.history.lanes.size(); ++lane) {
      deaths += subject_.time.killed(lane) ? 1 : 0;
    }
    return channel_.unknown_receives + deaths * subject_.contract.lost_per_death_max;
  }

  std::string why_open() const {
    if (channel_.unknown_receives > 0) return "a receive of unknown fate may have taken it";
    const std::string cut = subject_.time.cut_short();
    if (!cut.empty()) return cut;
    return "no consumer listened long enough to call it lost";
  }

  // A receive of unknown fate that began after a later message had been received cannot have taken
  // an earlier one, or the order was broken.
  void find_unknown() {
    for (const ConsumerSide& c : channel_.consumers) {
      if (c.unknown == 0) continue;
      for (const Record& r : subject_.history.lanes[c.lane].records) {
        const bool unknown = r.op() == Op::receive && r.channel() == channel_.channel &&
                             r.result() == Outcome::unknown;
        if (unknown) first_unknown_ = std::min(first_unknown_, r.invoked);
      }
    }
  }
  bool before_unknown(const SentMessage& taken) const {
    if (first_unknown_ == Timeline::never) return true;
    if (present_ == 1) return channel_.received_record(taken).returned <= first_unknown_;
    return subject_.time.before(channel_.received_record(taken).returned, first_unknown_);
  }

  // Of each consumer the last receive answered closed; the earliest of them (bound: all are needed,
  // and the earliest is the one that holds for all).
  void find_closed() {
    unsigned count = 0;
    Stamp earliest = Timeline::never, latest = 0;
    for (const ConsumerSide& c : channel_.consumers) {
      if (c.closed.empty() || !lives(c)) continue;
      const EventRef ref{c.lane, c.closed.back()};
      const Record& r = subject_.record(ref);
      if (r.returned >= last_word_) continue;
      ++count;
      const Stamp said = subject_.closed_says(r);
      const bool better = needed_ == 1 ? said >= latest : said < earliest;
      earliest = std::min(earliest, said);
      latest = std::max(latest, said);
      if (better) closed_ref_ = ref;
    }
    if (count < needed_) return;
    closed_ = needed_ == 1 ? latest : earliest;
  }

  // What was accepted before `quiet_` and never came was waited for longer than the bound.
  void find_quiet() {
    const Stamp bound = subject_.bound();
    std::vector<std::pair<Stamp, Quiet>> ends;
    for (const ConsumerSide& c : channel_.consumers) {
      Stamp end = 0;
      Quiet best;
      for (Quiet row : quiet_rows(subject_, channel_, c, bound)) {
        row.to = std::max(row.from, std::min(row.to, last_word_));
        std::tie(row.from, row.to) = subject_.time.unheld(row.from, row.to);
        if (row.to <= row.from || row.to - row.from <= bound) continue;
        end = row.to - bound;
        best = row;
      }
      if (end > 0) ends.emplace_back(end, best);
    }
    if (ends.size() < needed_ || ends.empty()) return;
    const auto by_end = [](const auto& a, const auto& b) { return a.first < b.first; };
    const auto& chosen = needed_ == 1 ? *std::max_element(ends.begin(), ends.end(), by_end)
                                      : *std::min_element(ends.begin(), ends.end(), by_end);
    quiet_ = chosen.first;
    quiet_row_ = chosen.second;
  }

  // Per producer and priority the newest that was received; over all the latest send.
  void find_newest() {
    newest_.assign(channel_.producers.size() * 256, 0);
    const bool total =
        subject_.contract.ordering == Ordering::total && subject_.time.orders_lanes();
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = messages.size(); offset-- > 0;) {
        const SentMessage& m = messages[offset];
        if (!m.has(SentMessage::delivered)) continue;
        if (channel_.received_record(m).returned >= last_word_) continue;
        newest_[lane_of(p, m.priority)] = std::max(newest_[lane_of(p, m.priority)], offset + 1);
        const Stamp sent = channel_.sent_record(p, offset).invoked;
        if (total && sent > latest_sent_) {
          latest_sent_ = sent;
          latest_ = &m;
          latest_producer_ = p;
          latest_offset_ = offset;
        }
        if (subject_.contract.ordering != Ordering::priority) break;
      }
    }
  }
  // Bound messages: what came to every consumer after it, wherever it was bound for.
  void find_newest_of_all() {
    newest_.assign(channel_.producers.size() * 256, 0);
    const bool all_live =
        std::all_of(channel_.consumers.begin(), channel_.consumers.end(),
                    [&](const ConsumerSide& c) { return !c.present || lives(c); });
    if (!all_live || last_word_ != Timeline::never) return;
    for (unsigned p = 0; p < channel_.producers.size(); ++p) {
      std::vector<std::uint64_t> of_each(channel_.consumers.size(), 0);
      const auto& messages = channel_.producers[p].messages;
      for (std::uint64_t offset = 0; offset < messages.size(); ++offset) {
        const SentMessage& m = messages[offset];
        if (m.has(SentMessage::delivered)) of_each[m.consumer] = offset + 1;
      }
      std::uint64_t least = Timeline::never;
      for (std::size_t c = 0; c < of_each.size(); ++c) {
        if (channel_.consumers[c].present) least = std::min(least, of_each[c]);
      }
      newest_[lane_of(p, 0)] = least;
    }
  }
  std::size_t lane_of(unsigned producer, unsigned priority) const {
    return std::size_t{producer} * 256 +
           (subject_.contract.ordering == Ordering::priority ? priority : 0);
  }

  Proof prove(unsigned producer, std::uint64_t offset) const {
    const SentMessage& m = channel_.producers[producer].messages[offset];
    const Stamp accepted = channel_.sent_record(producer, offset).returned;
    if (!newest_.empty() && newest_[lane_of(producer, m.priority)] > offset + 1) {
      const std::uint64_t later = newest_[lane_of(producer, m.priority)] - 1;
      const SentMessage& taken = channel_.producers[producer].messages[later];
      return {.symptom = "lost",
              .how = fmt::format("{} received the later {}",
                                 subject_.lane(channel_.received_ref(taken).lane),
                                 subject_.message(channel_, producer, later)),
              .event = channel_.received_ref(taken),
              .certain = before_unknown(taken)};
    }
    if (latest_ != nullptr && subject_.time.before(accepted, latest_sent_)) {
      return {.symptom = "lost",
              .how = fmt::format("{} received {}, which was sent after it",
                                 subject_.lane(channel_.received_ref(*latest_).lane),
                                 subject_.message(channel_, latest_producer_, latest_offset_)),
              .event = channel_.received_ref(*latest_),
              .certain = before_unknown(*latest_)};
    }
    return prove(accepted);
  }

  // By the end of the traffic, for a message accepted then.
  Proof prove(Stamp accepted) const {
    if (closed_ > 0 && subject_.time.before(accepted, closed_)) {
      return {.symptom = "lost",
              .how = fmt::format("{} was told closed, so everything was received",
                                 subject_.lane(closed_ref_.lane)),
              .event = closed_ref_};
    }
    if (quiet_ > 0 && subject_.time.before(accepted, quiet_)) {
      return {.symptom = "lost",
              .how = fmt::format(
                  "{} listened for {} and nothing came", subject_.lane(quiet_row_.last.lane),
                  subject_.duration(quiet_row_.to - std::max(accepted, quiet_row_.from))),
              .event = quiet_row_.last,
              .to = quiet_row_.to};
    }
    return {};
  }

  void convict(Finding& finding, const Proof& proof, unsigned producer, std::uint64_t offset,
               std::uint64_t count) const {
    Charge c{.symptom = proof.symptom,
             .what = fmt::format("{} was accepted and never received{}; {}",
                                 subject_.message(channel_, producer, offset), and_more(count),
                                 proof.how),
             .legal = "each accepted message is received once",
             .witness = {channel_.sent_ref(producer, offset), proof.event}};
    if (proof.to == 0) return charge(finding, Verdict::violation, std::move(c));
    const Stamp accepted = channel_.sent_record(producer, offset).returned;
    charge_delay(subject_, finding, std::min(accepted, proof.to), proof.to, std::move(c));
  }

  const Subject& subject_;
  const ChannelIndex& channel_;
  const Stamp last_word_;
  unsigned present_ = 0, needed_ = 1;
  bool orders_ = false;
  Stamp first_unknown_ = Timeline::never;
  Stamp closed_ = 0, quiet_ = 0, latest_sent_ = 0;  // 0: no such proof
  EventRef closed_ref_;
  Quiet quiet_row_;
  std::vector<std::uint64_t> newest_;  // offset + 1
  const SentMessage* latest_ = nullptr;
  unsigned latest_producer_ = 0;
  std::uint64_t latest_offset_ = 0;
};

}  // namespace

void judge_loss(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const std::uint64_t missing = channel.outstanding + channel.lookalikes_missing;
  if (missing <= subject.may_be_gone()) return;
  LossJudge judge(subject, channel);
  judge.run(finding);
  judge.run_lookalikes(finding);
}

}  // namespace ipctorture
