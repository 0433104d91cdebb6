// Histories for the tests of the checkers: all small ones, and random ones that are right, with one
// thing altered or not.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#include "harness/base/prng.h"
#include "harness/linear/contract.h"

namespace ipctorture::linear::made_up {

// --- all small histories
// ---------------------------------------------------------------------------

struct Interval {
  Rank invoked = 0, returned = 0;
};

// Every way in which `count` intervals, named by the order of their invocations, may lie in time
// with at most `width` open at once.
inline void each_shape(unsigned count, unsigned width,
                       const std::function<void(const std::vector<Interval>&)>& use) {
  std::vector<Interval> shape;
  std::vector<Index> open;
  const std::function<void(Rank)> next = [&](Rank now) {
    if (shape.size() == count && open.empty()) return use(shape);
    if (shape.size() < count && open.size() < width) {
      open.push_back(static_cast<Index>(shape.size()));
      shape.push_back({now, 0});
      next(now + 1);
      shape.pop_back();
      open.pop_back();
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      const Index ended = open[i];
      shape[ended].returned = now;
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
      next(now + 1);
      open.insert(open.begin() + static_cast<std::ptrdiff_t>(i), ended);
    }
  };
  next(0);
}

// Every assignment of the intervals to processes that have one operation open at a time. Of those
// that differ in the numbers of the processes only, one.
inline void each_assignment(const std::vector<Interval>& shape, unsigned processes,
                            const std::function<void(const std::vector<Index>&)>& use) {
  std::vector<Index> owner;
  const std::function<void(Index)> next = [&](Index used) {
    if (owner.size() == shape.size()) return use(owner);
    for (Index process = 0; process < std::min(used + 1, processes); ++process) {
      bool busy = false;
      for (std::size_t i = 0; i < owner.size(); ++i) {
        busy |= owner[i] == process && shape[i].returned > shape[owner.size()].invoked;
      }
      if (busy) continue;
      owner.push_back(process);
      next(std::max(used, process + 1));
      owner.pop_back();
    }
  };
  next(0);
}

// --- random histories
// ------------------------------------------------------------------------------

struct Shape {
  unsigned processes = 3;
  unsigned operations = 9;
  std::uint64_t capacity = 0;
  unsigned priorities = 1;
  unsigned unknown_permille = 0;  // of the operations
  unsigned length = 4;            // how far operations overlap
  bool go_on = false;             // after an operation of unknown outcome
  bool join = false;              // of a broadcast: all but the first process join and leave
};

// A right history: operations take effect at random moments inside their intervals.
class Maker {
 public:
  Maker(Prng& prng, Contract contract, const Shape& shape)
      : prng_(prng), contract_(contract), shape_(shape) {}

  History make() {
    struct Open {
      Operation operation;
      bool effective = false, open = false;
    };
    std::vector<Open> open(shape_.processes);
    std::vector<bool> dead(shape_.processes);
    cursors_.assign(shape_.processes, 0);
    unsigned begun = 0;
    for (Rank now = 0;;) {
      const auto who = static_cast<Index>(prng_.below(shape_.processes));
      Open& mine = open[who];
      if (!mine.open && begun == shape_.operations) {
        if (std::none_of(open.begin(), open.end(), [](const Open& o) { return o.open; })) break;
        continue;
      }
      if (!mine.open && shape_.join && who > 0 && (now == 0 || prng_.below(6) == 0)) {
        if (joined(who)) history_.memberships.push_back({who, now++, false});
        history_.memberships.push_back({who, now++, true});
        cursors_[who] = inside_.size();
        continue;
      }
      if (!mine.open && shape_.join && who > 0 && !joined(who)) continue;
      if (!mine.open) {
        if (dead[who]) {
          if (std::all_of(dead.begin(), dead.end(), [](bool d) { return d; }))
            begun = shape_.operations;
          continue;
        }
        ++begun;
        mine = {.operation = begin(who, now++), .open = true};
      } else if (!mine.effective && prng_.below(shape_.length) == 0) {
        take_effect(mine.operation);
        mine.effective = true;
      } else if (prng_.chance(shape_.unknown_permille)) {
        mine.operation.outcome = Outcome::unknown;
        mine.operation.returned = open_end;
        if (mine.operation.kind == Kind::receive) mine.operation.value = no_value;
        history_.add(mine.operation);
        mine.open = false;
        dead[who] = !shape_.go_on;
      } else if (mine.effective && prng_.below(shape_.length) == 0) {
        mine.operation.returned = now++;
        history_.add(mine.operation);
        mine.open = false;
      }
    }
    return std::move(history_);
  }

 private:
  bool joined(Index who) const {
    return std::any_of(history_.memberships.begin(), history_.memberships.end(),
                       [&](const Membership& m) { return m.process == who; });
  }

  Operation begin(Index who, Rank now) {
    Operation operation{.process = who, .invoked = now};
    operation.kind = prng_.below(2) == 0 ? Kind::send : Kind::receive;
    if (operation.kind == Kind::send) {
      operation.value = next_value_++;
      operation.priority = static_cast<std::int32_t>(prng_.below(shape_.priorities));
    }
    return operation;
  }

  void take_effect(Operation& operation) {
    if (operation.kind == Kind::send) {
      if (shape_.capacity != 0 && inside_.size() >= shape_.capacity) {
        operation.outcome = Outcome::full;
      } else {
        if (contract_ == Contract::latest) inside_.clear();
        inside_.push_back(operation);
      }
      return;
    }
    std::size_t which = 0;
    if (contract_ == Contract::broadcast) which = cursors_[operation.process];
    if (which >= inside_.size()) {
      operation.outcome = Outcome::empty;
      return;
    }
    if (contract_ == Contract::broadcast) {
      operation.value = inside_[cursors_[operation.process]++].value;
      return;
    }
    if (contract_ == Contract::set) which = prng_.below(inside_.size());
    if (contract_ == Contract::per_producer) {
      const Index producer = inside_[prng_.below(inside_.size())].process;
      while (inside_[which].process != producer) ++which;
    }
    if (contract_ == Contract::priority) {
      for (std::size_t i = 0; i < inside_.size(); ++i) {
        if (inside_[i].priority > inside_[which].priority) which = i;
      }
    }
    operation.value = inside_[which].value;
    if (contract_ != Contract::latest) {
      inside_.erase(inside_.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }

  Prng& prng_;
  Contract contract_;
  Shape shape_;
  History history_;
  std::deque<Operation> inside_;
  std::vector<std::size_t> cursors_;
  Index next_value_ = 0;
};

// One thing altered: a value received instead of another, nothing received, something received
// instead of nothing, two values exchanged, or two neighbouring events of different processes.
inline void alter(History& history, Prng& prng) {
  if (history.size() == 0) return;
  const auto any = [&] { return static_cast<Index>(prng.below(history.size())); };
  const Index first = any(), second = any();
  switch (prng.below(5)) {
    case 0:
      if (history.kind[first] == Kind::receive && !history.is_unknown(first) && history.values) {
        history.outcome[first] = Outcome::ok;
        history.value[first] = static_cast<Index>(prng.below(history.values));
      }
      break;
    case 1:
      if (history.kind[first] == Kind::receive && !history.is_unknown(first)) {
        history.outcome[first] = Outcome::empty;
        history.value[first] = no_value;
      }
      break;
    case 2:
      if (history.kind[first] == history.kind[second] &&
          history.outcome[first] == history.outcome[second]) {
        std::swap(history.value[first], history.value[second]);
      }
      break;
    case 3:
      if (history.kind[first] == Kind::send && history.outcome[first] == Outcome::ok) {
        history.outcome[first] = Outcome::fail;
      }
      break;
    default: {
      Rank& moved = prng.below(2) == 0 ? history.invoked[first] : history.returned[first];
      for (Index i = 0; i < history.size(); ++i) {
        if (i == first || history.process[i] == history.process[first]) continue;
        for (Rank* other : {&history.invoked[i], &history.returned[i]}) {
          if (*other == moved + 1 && *other < rank_limit) return std::swap(*other, moved);
        }
      }
    }
  }
}

}  // namespace ipctorture::linear::made_up
