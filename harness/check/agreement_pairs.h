// Tests only: what two messages, or one answer, of a history show by themselves, by looking at all
// of them. Beside agreement_truth.h, for what must be charged even where the whole need not be
// decided.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "harness/check/history_builder.h"

namespace ipctorture::agreement {

class Plainly {
 public:
  explicit Plainly(HistoryBuilder& builder) : b_(builder), slack_(b_.raw().stamps.slack_ticks) {
    for (unsigned lane = 0; lane < lanes(); ++lane) {
      for (const Record& r : b_.records(lane)) read(r);
    }
  }

  // What two messages show by themselves: one was accepted before another was sent, and received
  // after it had been, or (with `or_never`) never.
  bool one_is_overtaken(bool or_never) const {
    return any_pair(or_never, [&](const Passage& a, const Passage& b) {
      return a.accepted + slack_ < b.sent && b.received + slack_ < a.receive;
    });
  }
  // Likewise of priorities: one was there throughout the receive of one that is lower, or, where
  // that is as high, was sent later.
  bool one_is_passed_over(bool or_never) const {
    return any_pair(or_never, [&](const Passage& a, const Passage& b) {
      const Stamp since = a.priority > b.priority ? b.receive : b.sent;
      return a.priority >= b.priority && a.accepted + slack_ < since &&
             b.received + slack_ < a.receive;
    });
  }
  // A send was answered full though at no moment of it there can have been as many as fit.
  bool one_full_is_false() const {
    std::vector<Stamp> begins, ends;
    std::vector<Record> fulls;
    for (unsigned lane = 0; lane < lanes(); ++lane) {
      for (const Record& r : b_.records(lane)) {
        const bool may = r.result() == Outcome::ok || r.result() == Outcome::unknown;
        if (r.op() == Op::send && may) begins.push_back(r.invoked);
        if (r.op() == Op::receive && r.result() == Outcome::ok) ends.push_back(r.returned);
        if (r.op() == Op::send && r.result() == Outcome::full) fulls.push_back(r);
      }
    }
    const auto inside = [&](Stamp moment) {
      return std::ranges::count_if(begins, [&](Stamp s) { return s <= moment; }) -
             std::ranges::count_if(ends, [&](Stamp s) { return s + slack_ < moment; });
    };
    const auto room = static_cast<std::ptrdiff_t>(b_.scenario.capacity);
    return std::ranges::any_of(fulls, [&](const Record& r) {
      return inside(r.invoked) < room && std::ranges::none_of(
                                             begins,
                                             [&](Stamp s) {
                                               return r.invoked <= s && s <= r.returned + slack_ &&
                                                      inside(s) >= room;
                                             });
    });
  }

 private:
  unsigned lanes() const { return b_.scenario.producers + b_.scenario.consumers; }
  // Producers' lanes come first.
  void read(const Record& r) {
    if (r.result() != Outcome::ok || r.size == 0) return;
    if (r.op() == Op::send) {
      Passage& p = passages_[r.message];
      p.sent = r.invoked, p.accepted = r.returned, p.priority = r.detail;
    } else if (const auto p = passages_.find(r.message);
               r.op() == Op::receive && p != passages_.end() && !p->second.taken()) {
      p->second.receive = r.invoked, p->second.received = r.returned;
    }
  }

  struct Passage {
    Stamp sent = 0, accepted = 0, receive = ~Stamp{0}, received = ~Stamp{0};
    unsigned priority = 0;
    bool taken() const { return received != ~Stamp{0}; }
  };
  template <typename Broken>
  bool any_pair(bool or_never, Broken broken) const {
    return std::ranges::any_of(passages_, [&](const auto& a) {
      if (!a.second.taken() && !or_never) return false;
      return std::ranges::any_of(passages_, [&](const auto& b) {
        // Of what was never received nothing can be said to come first.
        return b.second.taken() && broken(a.second, b.second);
      });
    });
  }

  HistoryBuilder& b_;
  const Stamp slack_;
  std::map<std::uint64_t, Passage> passages_;  // by name
};

}  // namespace ipctorture::agreement
