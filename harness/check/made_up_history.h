// Tests only: random histories that are right, with the contract that they keep. A simulated object
// takes each operation's effect at a random moment between its invocation and its response, so
// whatever a checker calls wrong in one is the checker's fault. made_up_breaches.h breaks them.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "harness/base/prng.h"
#include "harness/check/history_builder.h"

namespace ipctorture::made_up {

// What histories of one sort have in common.
struct Shape {
  Contract contract;
  unsigned producers_max = 3, consumers_max = 3;
  unsigned operations = 10;       // about so many sends and receives, and what ends the traffic
  unsigned length = 3;            // how far operations overlap
  std::uint32_t capacity = 0;     // 0: nothing is ever full
  unsigned unknown_permille = 0;  // of the steps of an open operation: it is cut by a kill, or
                                  // answered unknown
  bool nameless = false;          // some messages have no bytes and so no name
  bool late = false;              // of a broadcast: consumers attach at any time
  Stamp slack = 0;                // stamps of different lanes may be closer than that
};

class Maker {
 public:
  Maker(Prng& prng, const Shape& shape) : prng_(prng), shape_(shape) {}

  HistoryBuilder make() {
    producers_ = 1 + static_cast<unsigned>(prng_.below(shape_.producers_max));
    consumers_ = 1 + static_cast<unsigned>(prng_.below(shape_.consumers_max));
    HistoryBuilder b(producers_, consumers_);
    b.contract = shape_.contract;
    b.scenario.capacity = shape_.capacity;
    b.raw().stamps.slack_ticks = shape_.slack;
    lanes_.resize(producers_ + consumers_);
    own_.resize(consumers_);
    seen_.assign(consumers_, 0);
    listens_.assign(consumers_, false);
    ends_closed_ = shape_.contract.reports_closed && prng_.below(3) != 0;
    for (unsigned lane = 0; lane < lanes_.size(); ++lane) {
      lanes_[lane].index = is_producer(lane) ? lane : lane - producers_;
      if (!shape_.late || is_producer(lane) || prng_.below(2) == 0) attach(b, lane);
    }
    for (unsigned idle = 0; idle < give_up_after;) {
      const auto lane = static_cast<unsigned>(prng_.below(lanes_.size()));
      idle = step(b, lane) ? 0 : idle + 1;
    }
    for (unsigned lane = 0; lane < lanes_.size(); ++lane) cut_at_the_end(b, lane);
    return b;
  }

 private:
  static constexpr unsigned give_up_after = 60;  // steps in which nothing happened

  struct Message {
    unsigned producer = 0;
    std::uint64_t sequence = 0;
    std::uint32_t size = 0;
    std::uint8_t priority = 0;
    unsigned bound_to = 0;
  };
  struct Lane {
    unsigned index = 0;
    bool attached = false, open = false, effective = false, done = false, told = false;
    Record record;
    std::uint64_t next = 0;  // sequence number of a producer
    std::optional<Message> again;
    Message message;
    Stamp last = 0;
  };

  bool is_producer(unsigned lane) const { return lane < producers_; }
  bool broadcasts() const { return shape_.contract.fan_out == FanOut::broadcast; }
  bool latest() const { return shape_.contract.delivery == Delivery::latest_value; }
  bool one_in(std::uint64_t n) { return prng_.below(n) == 0; }

  // Later than anything before, and in the lane by more than the slack.
  Stamp tick(Lane& lane) {
    now_ += 4 * (1 + prng_.below(3));
    if (now_ <= lane.last + shape_.slack) now_ = lane.last + shape_.slack + 1 + prng_.below(4);
    return lane.last = now_;
  }

  void attach(HistoryBuilder& b, unsigned number) {
    Lane& lane = lanes_[number];
    const Stamp from = tick(lane);
    if (!is_producer(number)) listens_[lane.index] = true;
    lane.attached = true;
    now_ = std::max(now_, from);
    b.add(number, Op::attach, Outcome::ok, from, tick(lane));
  }

  // True when something happened.
  bool step(HistoryBuilder& b, unsigned number) {
    Lane& lane = lanes_[number];
    if (lane.done) return false;
    if (!lane.open) return lane.attached ? begin(number) : (attach(b, number), true);
    if (prng_.chance(shape_.unknown_permille) && lane.record.op() != Op::close) {
      return lose_sight(b, number);
    }
    if (!lane.effective) {
      if (!one_in(shape_.length)) return true;
      return lane.effective = take_effect(number);
    }
    if (one_in(shape_.length)) finish(b, number);
    return true;
  }

  bool begin(unsigned number) {
    Lane& lane = lanes_[number];
    Op op = is_producer(number) ? Op::send : Op::receive;
    if (begun_ >= shape_.operations) {
      if (!ends_closed_ || lane.told) return lane.done = true, false;
      if (is_producer(number)) op = Op::close;
    }
    ++begun_;
    lane.record = {.invoked = tick(lane), .what = Record::encode(op, 0, DeadlineMode::never)};
    lane.open = true;
    lane.effective = false;
    if (op == Op::send) choose_message(lane);
    return true;
  }

  void choose_message(Lane& lane) {
    if (lane.again && one_in(2)) {
      lane.message = *lane.again;
    } else {
      lane.message = {.producer = lane.index, .sequence = lane.next++};
      lane.message.size = 16 + static_cast<std::uint32_t>(prng_.below(3));
      if (shape_.nameless && one_in(2)) lane.message.size = 0;
      lane.message.priority = static_cast<std::uint8_t>(prng_.below(shape_.contract.priorities));
      lane.message.bound_to = static_cast<unsigned>(prng_.below(consumers_));
    }
    lane.again.reset();
    lane.record.message = HistoryBuilder::id(lane.message.producer, lane.message.sequence);
    lane.record.size = lane.message.size;
    lane.record.detail = lane.message.priority;
  }

  // False where it must wait.
  bool take_effect(unsigned number) {
    Lane& lane = lanes_[number];
    switch (lane.record.op()) {
      case Op::close:
        answer(lane, Outcome::ok);
        return true;
      case Op::send:
        return send(lane);
      default:
        return receive(lane);
    }
  }

  void answer(Lane& lane, Outcome outcome) {
    DeadlineMode mode = static_cast<DeadlineMode>(prng_.below(3));
    if (outcome == Outcome::empty || outcome == Outcome::full) mode = DeadlineMode::now;
    if (outcome == Outcome::timed_out) mode = DeadlineMode::at;
    lane.record.what = Record::encode(lane.record.op(), 0, mode);
    lane.record.outcome = static_cast<std::uint8_t>(outcome);
  }
  bool refuse(Lane& lane, Outcome outcome) {
    answer(lane, outcome);
    lane.again = lane.message;
    return true;
  }

  bool send(Lane& lane) {
    const bool room = shape_.capacity == 0 || inside_.size() < shape_.capacity;
    if (!room && one_in(3)) return refuse(lane, Outcome::full);
    if (one_in(room ? 15 : 6)) return refuse(lane, Outcome::timed_out);
    if (!shape_.contract.exact_full && one_in(12)) return refuse(lane, Outcome::full);
    if (!room) return false;
    answer(lane, Outcome::ok);
    const bool may_lose = shape_.contract.delivery == Delivery::at_most_once ||
                          shape_.contract.when_full == WhenFull::drops_newest;
    if (may_lose && one_in(6)) return true;
    if (latest()) {
      value_ = lane.message;
      ++version_;
    } else if (broadcasts()) {
      for (unsigned c = 0; c < consumers_; ++c) {
        if (listens_[c]) own_[c].push_back(lane.message);
      }
    } else {
      inside_.push_back(lane.message);
    }
    return true;
  }

  bool receive(Lane& lane) {
    if (one_in(15)) return answer(lane, Outcome::timed_out), true;
    if (!shape_.contract.exact_empty && one_in(12)) return answer(lane, Outcome::empty), true;
    if (const std::optional<Message> message = take(lane.index)) {
      answer(lane, Outcome::ok);
      lane.record.message = HistoryBuilder::id(message->producer, message->sequence);
      if (message->size == 0) lane.record.message = 0;
      lane.record.size = message->size;
      lane.record.detail = static_cast<std::uint16_t>(message->priority << 8);
      return true;
    }
    if (ends_closed_ && everybody_closed()) {
      answer(lane, Outcome::closed);
      lane.told = true;
      return true;
    }
    if (one_in(3)) return answer(lane, Outcome::empty), true;
    if (one_in(3)) return answer(lane, Outcome::timed_out), true;
    return false;
  }

  bool everybody_closed() const {
    for (unsigned p = 0; p < producers_; ++p) {
      const Lane& lane = lanes_[p];
      const bool closes = lane.record.op() == Op::close && (lane.effective || !lane.open);
      if (!closes && !lane.done) return false;
    }
    return true;
  }

  std::optional<Message> take(unsigned consumer) {
    if (latest()) {
      const bool news_only = shape_.contract.fires_only_on_change || begun_ >= shape_.operations;
      const bool again = seen_[consumer] == version_ && news_only;
      if (version_ == 0 || again) return std::nullopt;
      seen_[consumer] = version_;
      return value_;
    }
    std::deque<Message>& from = broadcasts() ? own_[consumer] : inside_;
    std::vector<std::size_t> choices;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (may_be_taken(from, i, consumer)) choices.push_back(i);
    }
    if (choices.empty()) return std::nullopt;
    const std::size_t which = choices[prng_.below(choices.size())];
    const Message message = from[which];
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
    return message;
  }

  bool may_be_taken(const std::deque<Message>& from, std::size_t which, unsigned consumer) const {
    const Message& m = from[which];
    const bool bound = shape_.contract.fan_out == FanOut::bound_consumer;
    if (bound && m.bound_to != consumer) return false;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const Message& other = from[i];
      if (bound && other.bound_to != consumer) continue;
      switch (shape_.contract.ordering) {
        case Ordering::total:
          if (i < which) return false;
          break;
        case Ordering::per_producer:
          if (i < which && other.producer == m.producer) return false;
          break;
        case Ordering::priority:
          if (other.priority > m.priority) return false;
          if (i < which && other.priority == m.priority) return false;
          break;
        case Ordering::none:
          break;
      }
    }
    return true;
  }

  void finish(HistoryBuilder& b, unsigned number) {
    Lane& lane = lanes_[number];
    lane.record.returned = tick(lane);
    if (lane.record.result() != Outcome::ok && lane.record.op() == Op::send) lane.record.detail = 0;
    b.add(number, lane.record);
    lane.open = false;
    lane.done = lane.told || lane.record.op() == Op::close;
  }

  // The lane is killed in the middle of it, or it is answered unknown.
  bool lose_sight(HistoryBuilder& b, unsigned number) {
    Lane& lane = lanes_[number];
    const auto of_role = [&](unsigned other) { return is_producer(other) == is_producer(number); };
    unsigned others = 0;
    for (unsigned i = 0; i < lanes_.size(); ++i) {
      others += i != number && of_role(i) && !lanes_[i].done ? 1 : 0;
    }
    const bool dies = others > 0 && one_in(2);
    const Stamp at = tick(lane);
    if (lane.told) return finish(b, number), true;
    lane.again.reset();
    lane.open = false;
    lane.record.outcome = static_cast<std::uint8_t>(Outcome::unknown);
    if (lane.record.op() == Op::receive) lane.record.message = lane.record.size = 0;
    if (dies) {
      lane.done = true;
      b.evidence(Fact::killed, static_cast<int>(number), at, at, killed_as_fault);
      const bool loses = shape_.contract.lost_per_death_max > 0 && one_in(2) && !inside_.empty();
      if (loses)
        inside_.erase(inside_.begin() + static_cast<std::ptrdiff_t>(prng_.below(inside_.size())));
    } else {
      lane.record.returned = at;
      lane.record.detail = 4;  // EINTR
    }
    b.add(number, lane.record);
    return true;
  }

  // Nothing moves any more: whoever waits has waited long enough.
  void cut_at_the_end(HistoryBuilder& b, unsigned number) {
    Lane& lane = lanes_[number];
    if (!lane.open) return;
    if (!lane.effective)
      answer(lane, lane.record.op() == Op::close ? Outcome::ok : Outcome::timed_out);
    finish(b, number);
  }

  Prng& prng_;
  const Shape& shape_;
  unsigned producers_ = 0, consumers_ = 0, begun_ = 0;
  bool ends_closed_ = false;
  Stamp now_ = 0;
  std::vector<Lane> lanes_;
  std::deque<Message> inside_;
  std::vector<std::deque<Message>> own_;  // of a broadcast, by consumer
  std::vector<bool> listens_;
  std::optional<Message> value_;  // the latest
  std::uint64_t version_ = 0;
  std::vector<std::uint64_t> seen_;
};

}  // namespace ipctorture::made_up
