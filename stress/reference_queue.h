// Tests only: what a transport may answer when operations come one after the other, none at the
// same time as another. A deque and the contract's terms; it decides nothing the contract leaves
// open. Each function answers what is wrong, and nothing when the answer is allowed.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/outcome.h"
#include "harness/transport/contract.h"

namespace ipctorture {

class ReferenceQueue {
 public:
  enum class Waiting : std::uint8_t { not_at_all, a_while };  // the deadline: now, or at

  ReferenceQueue(const Contract& contract, unsigned producers, unsigned consumers,
                 std::uint32_t capacity)
      : c_(contract), capacity_(capacity), open_(producers), seen_(consumers), last_(consumers) {}

  struct Message {
    unsigned producer = 0;
    std::uint64_t sequence = 0;
    std::uint8_t priority = 0;
    bool operator==(const Message&) const = default;
  };

  std::string sent(const Message& m, Outcome outcome, bool oversize, Waiting waiting) {
    if (oversize != (outcome == Outcome::too_large)) return "too large: " + words(outcome);
    switch (outcome) {
      case Outcome::too_large:
        return {};
      case Outcome::ok:
        if (bounded() && waiting_.size() - doubtful_ >= capacity_) {
          return fmt::format("accepted beyond the capacity of {}", capacity_);
        }
        accept(m, false);
        return {};
      case Outcome::unknown:
        accept(m, true);
        return {};
      case Outcome::timed_out:
      case Outcome::full:
        return refused(outcome, waiting);
      default:
        return "a send was answered " + words(outcome);
    }
  }

  std::string received(unsigned consumer, const Message& m, std::uint64_t missed) {
    if (latest()) return received_value(consumer, m);
    if (c_.fan_out == FanOut::broadcast) return received_broadcast(consumer, m, missed);
    if (missed > 0) return "missed messages, though nobody overwrites";
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Entry& e) { return e.message == m; });
    if (found == waiting_.end()) return "received what is not there: " + words(m);
    for (auto before = waiting_.begin(); before != waiting_.end(); ++before) {
      if (before == found || !goes_first(*before, *found, before < found)) continue;
      return fmt::format("received {} before {}", words(m), words(before->message));
    }
    if (c_.fan_out == FanOut::bound_consumer && ordered()) {
      auto& last = last_[consumer][m.producer];
      if (m.sequence < last) return fmt::format("received {} after {}", words(m), last - 1);
      last = m.sequence + 1;
    }
    if (found->doubtful) --doubtful_;
    waiting_.erase(found);
    return {};
  }

  std::string nothing_received(unsigned consumer, Outcome outcome, Waiting waiting) const {
    if (outcome == Outcome::closed) {
      if (!c_.reports_closed) return "closed, which the contract does not report";
      if (open_ > 0) return "closed, though a producer is there";
      const bool others = c_.fan_out == FanOut::bound_consumer && seen_.size() > 1;
      return owed(consumer) && !others ? "closed, though there is a message" : std::string();
    }
    if (outcome == Outcome::timed_out && waiting == Waiting::a_while) return {};
    if (outcome != Outcome::empty || waiting == Waiting::a_while) {
      return "a receive was answered " + words(outcome);
    }
    return c_.exact_empty && owed(consumer) ? "empty, though there is a message" : std::string();
  }

  void producer_closed() { --open_; }

  // Must something still come to this consumer (where any may take it: to any)?
  bool owed(unsigned consumer) const {
    if (latest()) return !log_.empty() && seen_[consumer] < log_.size();
    if (c_.fan_out == FanOut::broadcast) return held(consumer) > 0;
    if (may_lose()) return false;
    return waiting_.size() > doubtful_;
  }

 private:
  struct Entry {
    Message message;
    bool doubtful = false;  // of a send of unknown fate: may come, or not
  };

  bool latest() const { return c_.delivery == Delivery::latest_value; }
  bool ordered() const { return c_.ordering != Ordering::none; }
  bool may_lose() const {
    return c_.delivery != Delivery::exactly_once || c_.when_full == WhenFull::drops_newest;
  }
  bool bounded() const {
    return c_.capacity_max > 0 && !may_lose() &&
           (c_.when_full == WhenFull::blocks || c_.when_full == WhenFull::rejects);
  }
  static std::string words(Outcome outcome) { return std::string(to_string(outcome)); }
  static std::string words(const Message& m) {
    return fmt::format("message {} of producer {} (priority {})", m.sequence, m.producer,
                       m.priority);
  }

  void accept(const Message& m, bool doubtful) {
    if (latest() || c_.fan_out == FanOut::broadcast) {
      log_.push_back(m);
      return;
    }
    waiting_.push_back({m, doubtful});
    doubtful_ += doubtful ? 1 : 0;
  }

  std::string refused(Outcome outcome, Waiting waiting) const {
    const bool rejects = c_.when_full == WhenFull::rejects;
    if (outcome == Outcome::timed_out && (waiting == Waiting::not_at_all || rejects)) {
      return "a send was answered timed out";
    }
    if (outcome == Outcome::full && waiting == Waiting::a_while && !rejects) {
      return "a send with a deadline was answered full";
    }
    if (c_.when_full != WhenFull::blocks && !rejects) return "refused, though it makes room";
    if (c_.exact_full && waiting_.size() < capacity_) {
      return fmt::format("refused with {} of {}", waiting_.size(), capacity_);
    }
    return {};
  }

  // Must `a`, which was accepted `earlier` or later, be received before `b`?
  bool goes_first(const Entry& a, const Entry& b, bool earlier) const {
    if (a.doubtful || c_.fan_out == FanOut::bound_consumer) return false;
    switch (c_.ordering) {
      case Ordering::none:
        return false;
      case Ordering::per_producer:
        return earlier && a.message.producer == b.message.producer;
      case Ordering::total:
        return earlier;
      case Ordering::priority:
        return a.message.priority != b.message.priority ? a.message.priority > b.message.priority
                                                        : earlier;
    }
    return false;
  }

  // Position of the next in the log that this consumer must see; older ones were overwritten.
  std::size_t oldest_held() const {
    const bool overwrites = c_.when_full == WhenFull::overwrites_oldest;
    return overwrites && log_.size() > capacity_ ? log_.size() - capacity_ : 0;
  }
  std::size_t held(unsigned consumer) const {
    return log_.size() - std::max(seen_[consumer], oldest_held());
  }

  std::string received_broadcast(unsigned consumer, const Message& m, std::uint64_t missed) {
    const std::size_t next = std::max(seen_[consumer], oldest_held());
    if (next >= log_.size() || !(log_[next] == m)) return "not the next of all: " + words(m);
    if (missed != next - seen_[consumer]) {
      return fmt::format("told of {} missed, {} were", missed, next - seen_[consumer]);
    }
    seen_[consumer] = next + 1;
    return {};
  }

  std::string received_value(unsigned consumer, const Message& m) {
    const auto found = std::find(log_.begin(), log_.end(), m);
    if (found == log_.end()) return "a value that nobody wrote: " + words(m);
    const auto position = static_cast<std::size_t>(found - log_.begin()) + 1;
    const std::size_t least = seen_[consumer] + (c_.fires_only_on_change ? 1 : 0);
    if (position < least) return "no newer than what it had seen: " + words(m);
    seen_[consumer] = position;
    return {};
  }

  const Contract c_;
  const std::uint32_t capacity_;
  unsigned open_;                  // producers that have not closed
  std::vector<std::size_t> seen_;  // of each consumer: so many of the log, missed ones counted
  std::vector<std::map<unsigned, std::uint64_t>> last_;  // bound: next sequence of each producer
  std::deque<Entry> waiting_;                            // shared by the consumers
  std::size_t doubtful_ = 0;
  std::vector<Message> log_;  // broadcast, latest value: everything accepted
};

}  // namespace ipctorture
