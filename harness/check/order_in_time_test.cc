// The real-time oracles against a brute-force twin: all small histories over three processes, each
// decided by trying every linearization of a FIFO queue. Whatever the oracles call a violation of
// order, or a false empty, must not be linearizable (sound). The share that they find is checked to
// be most of what there is, so that an oracle that finds nothing does not pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <limits>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

struct Operation {
  bool is_send = false;
  int value = -1;  // -1: a receive that was answered empty
  Stamp invoked = 0, returned = 0;
};

bool linearizable(const std::vector<Operation>& all, unsigned done, std::deque<int>& queue) {
  if (done == (1u << all.size()) - 1) return true;
  Stamp earliest_return = std::numeric_limits<Stamp>::max();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if ((done >> i & 1) == 0) earliest_return = std::min(earliest_return, all[i].returned);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Operation& o = all[i];
    if ((done >> i & 1) != 0 || o.invoked > earliest_return) continue;
    std::deque<int> next = queue;
    if (o.is_send) {
      next.push_back(o.value);
    } else if (o.value < 0) {
      if (!next.empty()) continue;
    } else {
      if (next.empty() || next.front() != o.value) continue;
      next.pop_front();
    }
    if (linearizable(all, done | 1u << i, next)) return true;
  }
  return false;
}

// Which process does what, in which order the 2n edges fall, who receives which value.
class Enumeration {
 public:
  // A script: for each process 's' or 'r' operations; process 0 and 1 may send, 1 and 2 receive ...
  // each process keeps to one role, since a lane is producer or consumer here.
  void run(const std::vector<std::string>& script) {
    script_ = script;
    position_.assign(script.size(), 0);
    open_.assign(script.size(), false);
    operations_.clear();
    edges_ = 0;
    for (const std::string& s : script) edges_ += 2 * s.size();
    interleave(0);
  }
  std::uint64_t histories = 0, broken = 0, flagged = 0, unsound = 0;

 private:
  struct Placed {
    std::size_t process;
    Operation operation;
  };

  void interleave(std::size_t edge) {
    if (edge == edges_) return assign(0, 0);
    for (std::size_t p = 0; p < script_.size(); ++p) {
      if (open_[p]) {
        std::size_t at = operations_.size();
        while (operations_[--at].process != p) continue;
        operations_[at].operation.returned = 10 * (edge + 1);
        open_[p] = false;
        interleave(edge + 1);
        open_[p] = true;
      } else if (position_[p] < script_[p].size()) {
        const bool send = script_[p][position_[p]++] == 's';
        operations_.push_back({p, {.is_send = send, .invoked = 10 * (edge + 1)}});
        open_[p] = true;
        interleave(edge + 1);
        open_[p] = false;
        operations_.pop_back();
        --position_[p];
      }
    }
  }

  // Sends carry 0, 1, ... in the order in which they began; receives take any value or none.
  void assign(std::size_t at, unsigned taken) {
    if (at == 0) {
      int value = 0;
      for (Placed& o : operations_) {
        if (o.operation.is_send) o.operation.value = value++;
      }
      sends_ = value;
    }
    if (at == operations_.size()) return judge();
    Operation& o = operations_[at].operation;
    if (o.is_send) return assign(at + 1, taken);
    for (int value = -1; value < sends_; ++value) {
      if (value >= 0 && (taken >> value & 1) != 0) continue;
      o.value = value;
      assign(at + 1, value < 0 ? taken : taken | 1u << value);
    }
  }

  void judge() {
    std::vector<Operation> all;
    for (const Placed& o : operations_) all.push_back(o.operation);
    std::deque<int> queue;
    const bool right = linearizable(all, 0, queue);
    ++histories;
    broken += right ? 0 : 1;
    const bool found = oracle();
    flagged += found ? 1 : 0;
    unsound += found && right ? 1 : 0;
  }

  bool oracle() const {
    unsigned producers = 0;
    std::vector<unsigned> index(script_.size());
    for (std::size_t p = 0; p < script_.size(); ++p) {
      if (script_[p][0] == 's') index[p] = producers++;
    }
    unsigned consumers = 0;
    for (std::size_t p = 0; p < script_.size(); ++p) {
      if (script_[p][0] == 'r') index[p] = consumers++;
    }
    HistoryBuilder b(producers, consumers);
    b.contract.ordering = Ordering::total;
    b.contract.exact_empty = true;
    std::array<std::pair<unsigned, std::uint64_t>, 8> name{};
    std::array<std::uint64_t, 8> next{};
    for (const auto& [process, o] : operations_) {
      if (!o.is_send) continue;
      name[static_cast<std::size_t>(o.value)] = {index[process], next[process]};
      b.send(index[process], next[process]++, o.invoked, o.returned);
    }
    for (const auto& [process, o] : operations_) {
      if (o.is_send) continue;
      if (o.value < 0) {
        b.nothing(index[process], Outcome::empty, o.invoked, o.returned, DeadlineMode::now);
      } else {
        const auto [producer, sequence] = name[static_cast<std::size_t>(o.value)];
        b.receive(index[process], producer, sequence, o.invoked, o.returned);
      }
    }
    return b.judge(Promise::order).verdict == Verdict::violation ||
           b.judge(Promise::refusal).verdict == Verdict::violation;
  }

  std::vector<std::string> script_;
  std::vector<std::size_t> position_;
  std::vector<bool> open_;
  std::vector<Placed> operations_;
  std::size_t edges_ = 0;
  int sends_ = 0;
};

// A receive that returns before its message's send began is left out: no transport can do that and
// the payload proves it, so the oracles do not look for it.
TEST(OrderInTime, IsSoundAgainstBruteForce) {
  Enumeration all;
  for (const auto& script : std::vector<std::vector<std::string>>{
           {"ss", "r"}, {"s", "rr"}, {"s", "s", "r"}, {"s", "r", "r"}, {"ss", "rr"}}) {
    all.run(script);
  }
  EXPECT_GT(all.histories, 1000u);
  EXPECT_EQ(all.unsound, 0u) << all.flagged << " flagged of " << all.histories;
  EXPECT_GT(all.flagged * 3, all.broken) << all.flagged << " of " << all.broken << " broken";
}

}  // namespace
}  // namespace ipctorture
