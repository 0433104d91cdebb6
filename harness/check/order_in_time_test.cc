// The real-time oracles against a brute-force twin: all histories of up to four operations of up to
// three processes, each decided by trying every linearization of a FIFO queue, or of one such queue
// for each producer. Whatever the oracles together call a violation must not be linearizable
// (sound), and whatever is not linearizable must be found. The same histories with repeated and
// missing messages hold the oracle of delivery to counting.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <iostream>
#include <limits>
#include <map>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

struct Operation {
  bool is_send = false;
  int value = -1;  // -1: a receive that was answered empty
  Stamp invoked = 0, returned = 0;
};

// A queue for each key: one for all, or one for each producer.
using Queues = std::map<unsigned, std::deque<int>>;
using KeyOf = std::function<unsigned(int value)>;

bool linearizable(const std::vector<Operation>& all, unsigned done, const Queues& queues,
                  const KeyOf& key_of) {
  if (done == (1u << all.size()) - 1) return true;
  Stamp earliest_return = std::numeric_limits<Stamp>::max();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if ((done >> i & 1) == 0) earliest_return = std::min(earliest_return, all[i].returned);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Operation& o = all[i];
    if ((done >> i & 1) != 0 || o.invoked > earliest_return) continue;
    Queues next = queues;
    if (o.value < 0) {
      const auto is_empty = [](const auto& one) { return one.second.empty(); };
      if (!std::all_of(next.begin(), next.end(), is_empty)) continue;
    } else if (std::deque<int>& queue = next[key_of(o.value)]; o.is_send) {
      queue.push_back(o.value);
    } else {
      if (queue.empty() || queue.front() != o.value) continue;
      queue.pop_front();
    }
    if (linearizable(all, done | 1u << i, next, key_of)) return true;
  }
  return false;
}

// Which process does what, in which order the 2n edges fall, who receives which value.
class Enumeration {
 public:
  enum class Repeats { no, yes };  // may a message be received twice?
  explicit Enumeration(Ordering ordering, Repeats repeats = Repeats::no)
      : ordering_(ordering), repeats_(repeats) {}

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
  std::uint64_t missed = 0;      // broken, not flagged
  std::uint64_t miscounted = 0;  // of delivery

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
      if (value >= 0 && (taken >> value & 1) != 0 && repeats_ == Repeats::no) continue;
      o.value = value;
      assign(at + 1, value < 0 ? taken : taken | 1u << value);
    }
  }

  void judge() {
    ++histories;
    if (repeats_ == Repeats::yes) return judge_delivery();
    std::vector<Operation> all;
    std::vector<unsigned> sender(8);
    for (const Placed& o : operations_) {
      all.push_back(o.operation);
      if (o.operation.is_send) {
        sender[static_cast<std::size_t>(o.operation.value)] = static_cast<unsigned>(o.process);
      }
    }
    const bool right = linearizable(all, 0, {}, [&](int value) {
      return ordering_ == Ordering::total ? 0 : sender[static_cast<std::size_t>(value)];
    });
    broken += right ? 0 : 1;
    const bool found = history().judge().verdict() == Verdict::violation;
    flagged += found ? 1 : 0;
    unsound += found && right ? 1 : 0;
    missed += !found && !right ? 1 : 0;
  }

  // Was a message received before its send began?
  bool out_of_time() const {
    return std::any_of(operations_.begin(), operations_.end(), [&](const Placed& receive) {
      return std::any_of(operations_.begin(), operations_.end(), [&](const Placed& send) {
        return send.operation.is_send && !receive.operation.is_send &&
               send.operation.value == receive.operation.value &&
               receive.operation.returned < send.operation.invoked;
      });
    });
  }

  // The end was seen by all, so exactly once is a matter of counting, and of what was received
  // before it was sent.
  void judge_delivery() {
    std::array<int, 8> count{};
    for (const Placed& o : operations_) {
      const bool took = !o.operation.is_send && o.operation.value >= 0;
      if (took) ++count[static_cast<std::size_t>(o.operation.value)];
    }
    const bool twice = std::any_of(count.begin(), count.end(), [](int n) { return n > 1; });
    const bool lost = std::count(count.begin(), count.begin() + sends_, 0) > 0;
    HistoryBuilder b = history();
    b.contract.reports_closed = true;
    const Stamp end = 10 * (edges_ + 1);
    for (unsigned lane = 0; lane < script_.size(); ++lane) {
      if (lane < b.scenario.producers) b.close(lane, end, end + 1);
    }
    for (unsigned c = 0; c < b.scenario.consumers; ++c) {
      b.nothing(c, Outcome::closed, end + 2, end + 3);
    }
    const bool found = b.judge(Promise::delivery).verdict == Verdict::violation;
    const bool wrong = twice || lost || out_of_time();
    broken += wrong ? 1 : 0;
    flagged += found ? 1 : 0;
    miscounted += found != wrong ? 1 : 0;
  }

  HistoryBuilder history() const {
    std::vector<unsigned> index(script_.size());
    unsigned producers = 0, consumers = 0;
    for (std::size_t p = 0; p < script_.size(); ++p) {
      index[p] = script_[p][0] == 's' ? producers++ : consumers++;
    }
    HistoryBuilder b(producers, consumers);
    b.contract.ordering = ordering_;
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
    return b;
  }

  const Ordering ordering_;
  const Repeats repeats_;
  std::vector<std::string> script_;
  std::vector<std::size_t> position_;
  std::vector<bool> open_;
  std::vector<Placed> operations_;
  std::size_t edges_ = 0;
  int sends_ = 0;
};

// Every way to share so many operations among up to three processes, each a producer or a consumer.
std::vector<std::vector<std::string>> scripts(std::size_t operations_max) {
  std::vector<std::vector<std::string>> found;
  const auto add = [&](auto&& self, std::vector<std::string> script, std::size_t left) -> void {
    const auto of_role = [&](char role) {
      return std::any_of(script.begin(), script.end(), [&](const auto& s) { return s[0] == role; });
    };
    if (of_role('s') && of_role('r')) found.push_back(script);
    if (script.size() == 3) return;
    for (std::size_t count = 1; count <= left; ++count) {
      for (const char role : {'s', 'r'}) {
        // In one order only: processes have no names.
        std::string next(count, role);
        if (!script.empty() && script.back() > next) continue;
        auto longer = script;
        longer.push_back(std::move(next));
        self(self, std::move(longer), left - count);
      }
    }
  };
  add(add, {}, operations_max);
  return found;
}

TEST(OrderInTime, IsSoundAndCompleteAgainstBruteForce) {
  for (const Ordering ordering : {Ordering::total, Ordering::per_producer}) {
    Enumeration all(ordering);
    for (const auto& script : scripts(4)) all.run(script);
    EXPECT_GT(all.histories, 10'000u);
    EXPECT_EQ(all.unsound, 0u) << to_string(ordering) << ": " << all.flagged << " flagged of "
                               << all.histories;
    EXPECT_EQ(all.missed, 0u) << "what is wrong is found";
    EXPECT_GT(all.flagged, 2000u);
    const std::string name(ordering == Ordering::total ? "total" : "per_producer");
    RecordProperty(name + "_flagged", static_cast<int>(all.flagged));
    RecordProperty(name + "_missed", static_cast<int>(all.missed));
    std::cout << name << ": " << all.histories << " histories, " << all.broken
              << " broken: " << all.flagged << " flagged, " << all.missed << " missed\n";
  }
}

TEST(OrderInTime, DeliveryIsAMatterOfCounting) {
  Enumeration all(Ordering::none, Enumeration::Repeats::yes);
  for (const auto& script : scripts(4)) all.run(script);
  EXPECT_GT(all.broken, 1000u);
  EXPECT_LT(all.broken, all.histories);
  EXPECT_EQ(all.miscounted, 0u) << all.flagged << " flagged, " << all.broken << " broken";
}

}  // namespace
}  // namespace ipctorture
