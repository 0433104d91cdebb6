// Tests only: one event of a made-up history altered. Whether the history is still right afterwards
// is for others to say (agreement_truth.h): the alteration may be one that nobody can notice.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "harness/base/prng.h"
#include "harness/check/history_builder.h"

namespace ipctorture::made_up {

enum class Breach : std::uint8_t {
  none,
  lose,          // a message that was received was not
  duplicate,     // it is received once more, by whomever
  swap,          // two receives got each other's message
  corrupt,       // torn, foreign, of another size or priority
  delay,         // an operation began or ended at another time
  invent,        // a message that nobody sent is received
  disown,        // a send is answered full or timed out, though what it sent was accepted
  false_empty,   // a receive is answered empty instead
  false_full,    // a send is answered full instead, or there is one more that is
  false_closed,  // a receive is answered closed instead
};
inline constexpr unsigned breach_count = 11;
constexpr std::string_view to_string(Breach b) {
  constexpr std::string_view names[breach_count] = {
      "none",   "lose",   "duplicate",   "swap",       "corrupt",     "delay",
      "invent", "disown", "false empty", "false full", "false closed"};
  return names[static_cast<unsigned>(b) % breach_count];
}

class Breaker {
 public:
  Breaker(Prng& prng, HistoryBuilder& history) : prng_(prng), b_(history) {}

  // False when the history has nothing of the kind.
  bool apply(Breach breach) {
    switch (breach) {
      case Breach::none:
        return true;
      case Breach::lose:
        return lose();
      case Breach::duplicate:
        return duplicate();
      case Breach::swap:
        return swap();
      case Breach::corrupt:
        return corrupt();
      case Breach::delay:
        return delay();
      case Breach::invent:
        return invent();
      case Breach::disown:
        return disown();
      case Breach::false_empty:
        return answer_instead(Outcome::empty, DeadlineMode::now);
      case Breach::false_full:
        return false_full();
      case Breach::false_closed:
        return answer_instead(Outcome::closed, DeadlineMode::never);
    }
    return false;
  }

 private:
  struct Place {
    unsigned lane = 0;
    std::size_t record = 0;
  };
  unsigned lanes() const { return b_.scenario.producers + b_.scenario.consumers; }
  Record& at(Place place) { return b_.records(place.lane)[place.record]; }
  Stamp slack() { return b_.raw().stamps.slack_ticks; }

  template <typename Fits>
  std::optional<Place> any(Fits fits) {
    std::optional<Place> chosen;
    std::uint64_t count = 0;
    for (unsigned lane = 0; lane < lanes(); ++lane) {
      for (std::size_t i = 0; i < b_.records(lane).size(); ++i) {
        if (fits(b_.records(lane)[i]) && prng_.below(++count) == 0) chosen = {lane, i};
      }
    }
    return chosen;
  }
  static bool took(const Record& r) { return r.op() == Op::receive && r.result() == Outcome::ok; }
  static bool nothing(const Record& r) {
    return r.op() == Op::receive &&
           (r.result() == Outcome::empty || r.result() == Outcome::timed_out);
  }
  static void answer(Record& r, Outcome outcome, DeadlineMode mode) {
    r.what = Record::encode(r.op(), 0, mode);
    r.outcome = static_cast<std::uint8_t>(outcome);
    r.detail = 0;
    if (r.op() == Op::receive && outcome != Outcome::ok) r.message = r.size = 0;
  }

  // Room for one more operation after a record of the lane: it may begin and end within.
  std::optional<std::pair<Stamp, Stamp>> gap_after(Place place) {
    const auto& records = b_.records(place.lane);
    const Record& before = records[place.record];
    if (before.open() || before.op() == Op::close || before.result() == Outcome::closed) return {};
    const Stamp from = before.returned + slack() + 1;
    const bool last = place.record + 1 == records.size();
    const Stamp to = last ? from + 40 : records[place.record + 1].invoked - slack();
    if (to < from + 2) return {};
    return std::pair{from, to - 1};
  }
  Record* insert(unsigned lane_of_place, std::size_t after, Op op) {
    const auto gap = gap_after({lane_of_place, after});
    if (!gap) return nullptr;
    Record record{.what = Record::encode(op, 0, DeadlineMode::never)};
    record.invoked = prng_.between(gap->first, gap->second - 1);
    record.returned = prng_.between(record.invoked + 1, gap->second);
    auto& records = b_.records(lane_of_place);
    return &*records.insert(records.begin() + static_cast<std::ptrdiff_t>(after) + 1, record);
  }
  // A receive that could bring something more: one that brought nothing, or a new one.
  Record* spare_receive() {
    if (prng_.below(2) == 0) {
      const auto place = any(nothing);
      if (place) return &at(*place);
    }
    const auto lane = static_cast<unsigned>(
        b_.consumer(static_cast<unsigned>(prng_.below(b_.scenario.consumers))));
    if (b_.records(lane).empty()) return nullptr;
    return insert(lane, prng_.below(b_.records(lane).size()), Op::receive);
  }
  static void give(Record& receive, const Record& like) {
    answer(receive, Outcome::ok, receive.mode());
    receive.message = like.message;
    receive.size = like.size;
    receive.detail = like.op() == Op::receive
                         ? like.detail
                         : static_cast<std::uint16_t>((like.detail & 255) << 8);
  }

  bool lose() {
    const auto place = any(took);
    if (!place) return false;
    if (prng_.below(2) == 0) {
      answer(at(*place), Outcome::timed_out, DeadlineMode::at);
    } else {
      auto& records = b_.records(place->lane);
      records.erase(records.begin() + static_cast<std::ptrdiff_t>(place->record));
    }
    return true;
  }

  bool duplicate() {
    const auto place = any(took);
    if (!place) return false;
    const Record like = at(*place);
    Record* const again = spare_receive();
    if (again == nullptr) return false;
    give(*again, like);
    return true;
  }

  bool swap() {
    const auto first = any(took), second = any(took);
    if (!first || at(*first).message == at(*second).message) return false;
    Record &a = at(*first), &b = at(*second);
    std::swap(a.message, b.message);
    std::swap(a.size, b.size);
    std::swap(a.detail, b.detail);
    return true;
  }

  bool corrupt() {
    const auto place = any([](const Record& r) { return took(r) && r.size >= 8; });
    if (!place) return false;
    Record& r = at(*place);
    switch (prng_.below(b_.contract.ordering == Ordering::priority ? 4 : 3)) {
      case 0:
        r.detail = static_cast<std::uint16_t>(r.detail | static_cast<unsigned>(Content::torn));
        break;
      case 1:
        r.detail = static_cast<std::uint16_t>(r.detail | static_cast<unsigned>(Content::foreign));
        break;
      case 2:
        r.size += prng_.below(2) == 0 ? 1 : -1u;
        break;
      default:
        r.detail = static_cast<std::uint16_t>(r.detail ^ 0x100);
    }
    return true;
  }

  bool delay() {
    const auto place = any([](const Record& r) {
      return !r.open() && (r.op() == Op::send || r.op() == Op::receive || r.op() == Op::close);
    });
    if (!place) return false;
    auto& records = b_.records(place->lane);
    Record& r = records[place->record];
    if (prng_.below(2) == 0) {
      const Stamp low = place->record == 0 ? 1 : records[place->record - 1].returned + slack() + 1;
      r.invoked = prng_.between(low, r.returned - 1);
    } else {
      const bool last = place->record + 1 == records.size();
      const Stamp high = last ? r.returned + 80 : records[place->record + 1].invoked - slack() - 1;
      r.returned = prng_.between(r.invoked + 1, high);
    }
    return true;
  }

  bool invent() {
    Record* const receive = spare_receive();
    if (receive == nullptr) return false;
    const auto producer = static_cast<unsigned>(prng_.below(b_.scenario.producers + 1));
    Record like{.what = Record::encode(Op::receive, 0, DeadlineMode::never)};
    like.message = HistoryBuilder::id(producer, 1000 + prng_.below(3));
    like.size = 16;
    give(*receive, like);
    return true;
  }

  bool disown() {
    if (prng_.below(2) == 0) {
      const auto refused = any([](const Record& r) {
        return r.op() == Op::send &&
               (r.result() == Outcome::full || r.result() == Outcome::timed_out);
      });
      if (!refused) return false;
      const Record like = at(*refused);
      Record* const receive = spare_receive();
      if (receive == nullptr) return false;
      give(*receive, like);
      return true;
    }
    const auto place =
        any([](const Record& r) { return r.op() == Op::send && r.result() == Outcome::ok; });
    if (!place) return false;
    const bool full = prng_.below(2) == 0;
    answer(at(*place), full ? Outcome::full : Outcome::timed_out,
           full ? DeadlineMode::now : DeadlineMode::at);
    return true;
  }

  bool answer_instead(Outcome outcome, DeadlineMode mode) {
    Record* receive = nullptr;
    if (prng_.below(3) == 0) {
      const auto place = any(took);
      if (place) receive = &at(*place);
    } else {
      receive = spare_receive();
    }
    if (receive == nullptr) return false;
    answer(*receive, outcome, mode);
    return true;
  }

  bool false_full() {
    const auto place = any([](const Record& r) { return r.op() == Op::send && !r.open(); });
    if (!place || place->record == 0) return false;
    const Record like = at(*place);
    if (prng_.below(3) == 0) {
      if (like.result() != Outcome::timed_out) return false;
      answer(at(*place), Outcome::full, DeadlineMode::now);
      return true;
    }
    Record* const attempt = insert(place->lane, place->record - 1, Op::send);
    if (attempt == nullptr) return false;
    answer(*attempt, Outcome::full, DeadlineMode::now);
    attempt->message = like.message;
    attempt->size = like.size;
    return true;
  }

  Prng& prng_;
  HistoryBuilder& b_;
};

}  // namespace ipctorture::made_up
