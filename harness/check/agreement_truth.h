// Tests only: whether a history keeps its contract, decided without the oracles of this layer. What
// an operation may have done is written down as a plain history of harness/linear and tried by
// brute force (small ones) or decided by its exact checkers; what one message alone shows (damage,
// copies, messages never sent) is counted. Slow and by the definitions, so that it can be believed.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "harness/check/history_builder.h"
#include "harness/linear/brute_force.h"

namespace ipctorture::agreement {

// Which answers of an operation are held to be claims. What is received always is.
struct Claims {
  bool empty = false, full = false, closed = false;
  bool room = false;  // the capacity binds; `full` needs it
};

struct Truth {
  bool intact = true;     // content, size and priority are what was sent
  bool values = true;     // what was received was sent before, and once
  bool transfers = true;  // there is an order of sends and receives that the contract allows;
  bool with_empty = true, with_full = true, with_closed = true;  // also if these are claims
  bool with_room = true;  // also if never more are inside than there is room for
  bool changes = true;    // latest value: never twice the same, where that is promised
  bool decided = true;    // otherwise an exact checker was asked that could not say
  bool right() const {
    return intact && values && transfers && with_empty && with_full && with_closed && changes;
  }
};

class TruthSeeker {
 public:
  explicit TruthSeeker(HistoryBuilder& builder) : b_(builder), slack_(b_.raw().stamps.slack_ticks) {
    for (unsigned lane = 0; lane < lanes(); ++lane) {
      for (const Record& r : b_.records(lane)) read(lane, r);
    }
  }

  Truth find() {
    Truth truth;
    truth.intact = damage_ == 0;
    if (!truth.intact) return truth;
    truth.changes = !fired_without_change();
    truth.values = values_right();
    const Claims all{.empty = true, .full = true, .closed = true, .room = true};
    if (truth.values && right(all)) return truth.decided = decided_, truth;
    truth.transfers = truth.values && right({});
    if (truth.transfers) {
      truth.with_empty = right({.empty = true});
      truth.with_full = right({.full = true, .room = true});
      truth.with_room = truth.with_full || right({.room = true});
      truth.with_closed = right({.closed = true});
    }
    truth.decided = decided_;
    return truth;
  }

  // Somebody may have taken a message that nobody saw; messages that were accepted and received by
  // nobody.
  bool has_unknown_receive() const { return unknown_receives_ > 0; }
  bool has_unknown_send() const { return unknown_sends_ > 0; }
  bool has_unreceived() const { return !unreceived().empty(); }

 private:
  static constexpr std::size_t brute_force_max = 18;  // operations
  using Key = std::uint64_t;                          // of a message: its name
  static constexpr Key nameless = ~Key{0};

  struct Sends {
    unsigned certain = 0, possible = 0;
    Stamp earliest = ~Stamp{0};  // invocation of one that may have been accepted
    std::uint32_t size = 0;
    unsigned priority = 0;
    bool priority_known = true;
  };

  unsigned lanes() const { return b_.scenario.producers + b_.scenario.consumers; }
  bool is_producer(unsigned lane) const { return lane < b_.scenario.producers; }
  const Contract& contract() const { return b_.contract; }
  bool latest() const { return contract().delivery == Delivery::latest_value; }
  bool broadcasts() const { return contract().fan_out == FanOut::broadcast && !latest(); }
  static Key key(const Record& r) { return r.size == 0 ? nameless : r.message; }
  static bool took(const Record& r) { return r.op() == Op::receive && r.result() == Outcome::ok; }

  void read(unsigned lane, const Record& r) {
    const bool may_count = r.result() == Outcome::ok || r.result() == Outcome::unknown;
    if (r.op() == Op::close) closing_[lane] = r.invoked;
    if (r.op() == Op::receive && r.result() == Outcome::unknown) ++unknown_receives_;
    if (r.op() == Op::send && r.result() == Outcome::unknown) ++unknown_sends_;
    if (r.op() == Op::send) first_send_ = std::min(first_send_, r.invoked);
    if (r.op() == Op::send && may_count) {
      Sends& sends = sends_[key(r)];
      sends.certain += r.result() == Outcome::ok ? 1 : 0;
      ++sends.possible;
      sends.earliest = std::min(sends.earliest, r.invoked);
      sends.size = r.size;
      sends.priority = r.detail;
      // Where the answer is no ok, its detail is the error.
      sends.priority_known = r.result() == Outcome::ok || r.open();
    }
    if (took(r)) {
      taken_[key(r)].push_back({lane, r});
      damage_ += damaged(r) ? 1 : 0;
    }
  }
  // Producers' lanes come first, so every send is known by then.
  bool damaged(const Record& r) const {
    if (r.content() != Content::intact) return true;
    const auto sent = sends_.find(key(r));
    if (sent == sends_.end()) return false;
    const bool priorities = contract().ordering == Ordering::priority;
    return sent->second.size != r.size ||
           (priorities && sent->second.priority_known && sent->second.priority != r.detail >> 8);
  }

  bool fired_without_change() const {
    if (!latest() || !contract().fires_only_on_change) return false;
    for (unsigned lane = b_.scenario.producers; lane < lanes(); ++lane) {
      const Record* last = nullptr;
      for (const Record& r : b_.records(lane)) {
        if (!took(r)) continue;
        if (last != nullptr && last->message == r.message) return true;
        last = &r;
      }
    }
    return false;
  }

  // By counting. With a broadcast each consumer counts for itself.
  bool values_right() const {
    for (const auto& [name, receives] : taken_) {
      const auto sent = sends_.find(name);
      if (sent == sends_.end()) return false;
      std::map<unsigned, unsigned> count;  // by consumer; of all by 0
      for (const auto& [lane, r] : receives) {
        if (r.returned + slack_ < sent->second.earliest) return false;
        if (!latest() && ++count[broadcasts() ? lane : 0] > sent->second.possible) return false;
      }
    }
    return true;
  }

  // Names of messages that were accepted and received by nobody.
  std::vector<Key> unreceived() const {
    std::vector<Key> names;
    for (const auto& [name, sends] : sends_) {
      const auto taken = taken_.find(name);
      if (sends.certain > (taken == taken_.end() ? 0 : taken->second.size())) names.push_back(name);
    }
    return names;
  }

  // Nothing may come after a receive was answered closed: to anybody where all share, else to it.
  bool came_after_closed() const {
    for (unsigned lane = b_.scenario.producers; lane < lanes(); ++lane) {
      const Record* closed = nullptr;
      for (const Record& r : b_.records(lane)) {
        if (r.op() == Op::receive && r.result() == Outcome::closed && closed == nullptr)
          closed = &r;
        if (took(r) && closed != nullptr) return true;
      }
      if (closed == nullptr || broadcasts() || latest() || bound()) continue;
      for (const auto& [name, receives] : taken_) {
        for (const auto& [other, r] : receives) {
          if (closed->returned + slack_ < r.invoked) return true;
        }
      }
    }
    return false;
  }
  bool bound() const {
    return contract().fan_out == FanOut::bound_consumer && b_.scenario.consumers > 1;
  }

  bool right(const Claims& claims) {
    if (claims.closed && came_after_closed()) return false;
    if (latest() || (broadcasts() && contract().ordering != Ordering::total)) {
      for (unsigned c = 0; c < b_.scenario.consumers; ++c) {
        if (!plain_right(claims, static_cast<int>(b_.consumer(c)), {})) return false;
      }
      return true;
    }
    if (bound()) return bound_right(claims);
    if (may_lose()) {
      const auto lost = unreceived();
      return plain_right(claims, -1, {lost.begin(), lost.end()});
    }
    return any_gone_right(claims);
  }
  bool may_lose() const {
    return contract().delivery == Delivery::at_most_once ||
           contract().when_full == WhenFull::drops_newest;
  }

  // As many of the unreceived messages as the deaths may have taken along never came in.
  bool any_gone_right(const Claims& claims) {
    const std::vector<Key> candidates = unreceived();
    const std::size_t deaths = b_.raw().evidence.size();
    const std::size_t gone =
        std::min<std::size_t>(candidates.size(), deaths * contract().lost_per_death_max);
    std::vector<bool> chosen(candidates.size(), false);
    std::fill(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(gone), true);
    do {
      std::set<Key> absent;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        if (chosen[i]) absent.insert(candidates[i]);
      }
      if (plain_right(claims, -1, absent)) return true;
    } while (std::prev_permutation(chosen.begin(), chosen.end()));
    return false;
  }

  // Each consumer by itself; what nobody received must have been able to lie with one of them.
  bool bound_right(const Claims& claims) {
    const std::vector<Key> nobodys = unreceived();
    const std::set<Key> none(nobodys.begin(), nobodys.end());
    for (unsigned c = 0; c < b_.scenario.consumers; ++c) {
      if (!plain_right(claims, static_cast<int>(b_.consumer(c)), none)) return false;
    }
    if (may_lose()) return true;
    return std::all_of(nobodys.begin(), nobodys.end(), [&](Key name) {
      std::set<Key> others = none;
      others.erase(name);
      for (unsigned c = 0; c < b_.scenario.consumers; ++c) {
        if (plain_right(claims, static_cast<int>(b_.consumer(c)), others)) return true;
      }
      return false;
    });
  }

  // --- as a plain history
  // -----------------------------------------------------------------------

  struct Item {
    linear::Operation operation;
    Stamp invoked = 0, returned = 0;
    Stamp before_next = 0;  // until then what it does takes effect before the lane's next; 0: none
  };

  // Of one consumer, or of all (-1). What is `absent` may never have come in.
  bool plain_right(const Claims& claims, int consumer, const std::set<Key>& absent) {
    items_.clear();
    names_.clear();
    joined_.clear();
    for (unsigned lane = 0; lane < lanes(); ++lane) {
      if (!is_producer(lane) && consumer >= 0 && lane != static_cast<unsigned>(consumer)) continue;
      if (!write_lane(lane, claims, consumer, absent)) return false;
    }
    const linear::History history = ranked();
    const bool bounded = claims.room && contract().exact_full;
    const std::uint64_t capacity = bounded ? b_.scenario.capacity : 0;
    if (history.size() <= brute_force_max) {
      return linear::BruteForce(history, object(), capacity).linearizable();
    }
    const linear::Answer answer = linear::judge(history, object(), capacity);
    if (answer.truth == linear::Truth::violation) return false;
    decided_ &= answer.truth == linear::Truth::linearizable && answer.exact;
    return true;
  }

  linear::Contract object() const {
    if (latest()) return linear::Contract::latest;
    switch (contract().ordering) {
      case Ordering::total:
        return broadcasts() ? linear::Contract::broadcast : linear::Contract::fifo;
      case Ordering::per_producer:
        return linear::Contract::per_producer;
      case Ordering::priority:
        return linear::Contract::priority;
      case Ordering::none:
        break;
    }
    return linear::Contract::set;
  }

  linear::Index value_of(Key name) {
    return names_.try_emplace(name, static_cast<linear::Index>(names_.size())).first->second;
  }

  // False when that alone is wrong.
  bool write_lane(unsigned lane, const Claims& claims, int consumer, const std::set<Key>& absent) {
    last_seen_ = linear::no_value;
    const auto& records = b_.records(lane);
    for (std::size_t i = 0; i < records.size(); ++i) {
      const Record& r = records[i];
      Item item{.operation = {.process = lane}, .invoked = r.invoked, .returned = r.returned};
      const bool goes_on = i + 1 < records.size();
      if (goes_on) item.before_next = records[i + 1].invoked - slack_ - 1;
      const bool late = r.op() == Op::attach && r.returned + slack_ >= first_send_;
      if (late && broadcasts() && !is_producer(lane)) joined_.emplace_back(lane, r.returned);
      if (r.op() == Op::send && write_send(r, claims, consumer, absent, item))
        items_.push_back(item);
      if (r.op() != Op::receive) continue;
      if (r.result() == Outcome::closed && claims.closed) {
        if (!after_all_closed(item)) return false;
      }
      write_receive(r, claims, item);
      items_.push_back(item);
    }
    return true;
  }

  // False when it does not concern this consumer.
  bool write_send(const Record& r, const Claims& claims, int consumer, const std::set<Key>& absent,
                  Item& item) {
    const Key name = key(r);
    linear::Operation& o = item.operation;
    o.value = value_of(name);
    const bool matters = r.result() == Outcome::ok || r.result() == Outcome::unknown;
    if (matters && contract().ordering == Ordering::priority) o.priority = priority_of(name);
    o.outcome = linear::Outcome::fail;
    if (r.result() == Outcome::full && claims.full) o.outcome = linear::Outcome::full;
    if (r.result() == Outcome::ok) o.outcome = linear::Outcome::ok;
    // A producer's sends stay in their order whatever they are answered; of one that is answered
    // unknown and whose message came, it is certain that it took effect.
    const bool known_after_all = r.result() == Outcome::unknown && !r.open() &&
                                 taken_.contains(name) && item.before_next > 0;
    if (known_after_all) {
      o.outcome = linear::Outcome::ok;
      item.returned = item.before_next;
    } else if (r.result() == Outcome::unknown || (matters && absent.contains(name))) {
      o.outcome = linear::Outcome::unknown;
      o.returned = linear::open_end;
    }
    if (consumer < 0 || latest() || !matters) return true;
    const auto taken = taken_.find(name);
    if (broadcasts()) {
      const bool received =
          taken != taken_.end() && std::ranges::any_of(taken->second, [&](const auto& receive) {
            return receive.first == static_cast<unsigned>(consumer);
          });
      // What was sent before it had attached is owed to nobody.
      return received ||
             b_.records(static_cast<unsigned>(consumer))[0].returned + slack_ < r.invoked;
    }
    return taken == taken_.end() || taken->second.front().first == static_cast<unsigned>(consumer);
  }
  // Of a send whose own is not known: what it came with.
  std::int32_t priority_of(Key name) const {
    const Sends& sends = sends_.at(name);
    if (sends.priority_known) return static_cast<std::int32_t>(sends.priority);
    const auto taken = taken_.find(name);
    return taken == taken_.end() ? 0 : taken->second.front().second.detail >> 8;
  }

  void write_receive(const Record& r, const Claims& claims, Item& item) {
    linear::Operation& o = item.operation;
    o.kind = linear::Kind::receive;
    o.outcome = linear::Outcome::timeout;
    const bool empty = r.result() == Outcome::empty && claims.empty && contract().exact_empty;
    const bool closed = r.result() == Outcome::closed && claims.closed;
    if (r.result() == Outcome::ok) {
      o.outcome = linear::Outcome::ok;
      o.value = last_seen_ = value_of(key(r));
    } else if (r.result() == Outcome::unknown) {
      if (latest()) return;
      o.outcome = linear::Outcome::unknown;
      o.returned = linear::open_end;
    } else if (latest() && (empty || closed)) {
      // There is nothing new: what was seen last is still the value.
      const bool seen = last_seen_ != linear::no_value;
      o.outcome = seen ? linear::Outcome::ok : linear::Outcome::empty;
      o.value = last_seen_;
    } else if (empty || closed) {
      o.outcome = empty ? linear::Outcome::empty : linear::Outcome::closed;
    }
  }

  // A receive that is answered closed takes effect after every producer closed, or did whatever it
  // did last. False when that cannot be.
  bool after_all_closed(Item& closed) {
    for (unsigned p = 0; p < b_.scenario.producers; ++p) {
      Stamp until = closing_.contains(p) ? closing_[p] : 0;
      for (const Evidence& e : b_.raw().evidence) {
        if (e.lane == static_cast<int>(p)) until = e.from;
      }
      if (until == 0) {
        const Stamp last = b_.records(p).back().returned;
        if (last + slack_ < closed.returned) until = last + slack_ + 1;
        if (closed.returned + slack_ < last) return false;
      }
      if (closed.returned + slack_ < until) return false;
      closed.invoked = std::max(closed.invoked, std::min(until, closed.returned + slack_));
    }
    return true;
  }

  // Ends count later by the slack; of equal stamps an invocation is the earlier.
  linear::History ranked() {
    std::vector<std::tuple<Stamp, bool, std::size_t>> events;
    const std::size_t count = items_.size();
    for (std::size_t i = 0; i < count; ++i) {
      events.emplace_back(items_[i].invoked, false, i);
      const bool open = items_[i].operation.outcome == linear::Outcome::unknown;
      if (!open) events.emplace_back(items_[i].returned + slack_, true, i);
    }
    for (std::size_t i = 0; i < joined_.size(); ++i) {
      events.emplace_back(joined_[i].second + slack_, true, count + i);
    }
    std::sort(events.begin(), events.end());
    linear::History history;
    linear::Rank rank = 0;
    for (const auto& [stamp, is_return, index] : events) {
      if (index >= count) {
        history.memberships.push_back({joined_[index - count].first, rank, true});
      } else {
        auto& o = items_[index].operation;
        (is_return ? o.returned : o.invoked) = rank;
      }
      ++rank;
    }
    for (const Item& item : items_) history.add(item.operation);
    history.events = std::max(history.events, rank);
    return history;
  }

  HistoryBuilder& b_;
  const Stamp slack_;
  std::map<Key, Sends> sends_;
  std::map<Key, std::vector<std::pair<unsigned, Record>>> taken_;  // lane and receive
  std::map<unsigned, Stamp> closing_;
  Stamp first_send_ = ~Stamp{0};
  unsigned damage_ = 0, unknown_receives_ = 0, unknown_sends_ = 0;
  bool decided_ = true;
  // Of the plain history at hand.
  std::vector<Item> items_;
  std::map<Key, linear::Index> names_;
  std::vector<std::pair<unsigned, Stamp>> joined_;
  linear::Index last_seen_ = linear::no_value;
};

}  // namespace ipctorture::agreement
