// For tests: the checkers against their twin, over all small histories and many random ones.
#pragma once

#include <cstdlib>
#include <set>
#include <sstream>

#include "harness/linear/brute_force.h"
#include "harness/linear/made_up.h"

namespace ipctorture::linear {

inline std::string shown(const History& history) {
  std::ostringstream out;
  for (Index i = 0; i < history.size(); ++i) {
    const Operation o = history.operation(i);
    constexpr const char* outcomes[] = {"ok",      "full", "empty",  "closed",
                                        "timeout", "fail", "unknown"};
    out << "p" << o.process << (o.kind == Kind::send ? " send " : " receive ")
        << static_cast<int>(o.value) << " " << outcomes[static_cast<int>(o.outcome)] << " ["
        << o.invoked << ", " << static_cast<int>(o.returned) << "] priority " << o.priority << "\n";
  }
  for (const Membership& m : history.memberships) {
    out << "p" << m.process << (m.joined ? " joins " : " leaves ") << m.at << "\n";
  }
  return out.str();
}

// The operations of a witness alone.
inline History restricted(const History& history, const std::vector<Index>& operations) {
  History part;
  part.memberships = history.memberships;
  for (const Index i : operations) part.add(history.operation(i));
  part.values = history.values;
  part.events = history.events;
  return part;
}

// The fewest operations that violate the contract, where a receive comes with the send of its
// value. 0 where there are none. At most 8 operations.
inline std::size_t fewest_operations(const History& history, Contract contract,
                                     std::uint64_t capacity) {
  std::size_t fewest = 0;
  for (unsigned chosen = 1; chosen < 1u << history.size(); ++chosen) {
    std::vector<Index> operations;
    for (Index i = 0; i < history.size(); ++i) {
      if (chosen >> i & 1) operations.push_back(i);
    }
    bool closed = true;
    for (Index i = 0; i < history.size(); ++i) {
      for (const Index j : operations) {
        closed &=
            chosen >> i & 1 || history.value[i] == no_value || history.value[j] != history.value[i];
      }
    }
    if (!closed || (fewest != 0 && operations.size() >= fewest)) continue;
    if (!BruteForce(restricted(history, operations), contract, capacity).linearizable()) {
      fewest = operations.size();
    }
  }
  return fewest;
}

struct Tally {
  std::uint64_t right = 0, wrong = 0, undecided = 0, missed = 0;
  std::string trouble;  // the first disagreement
};

// What is said must be true; what is said to be exact, complete; a witness must alone be wrong.
// False after the first disagreement, which is shown.
inline bool agrees(const History& history, Contract contract, std::uint64_t capacity,
                   Tally& tally) {
  const Answer answer = judge(history, contract, capacity);
  const bool right = BruteForce(history, contract, capacity).linearizable();
  ++(right ? tally.right : tally.wrong);
  std::string trouble;
  if (answer.truth == Truth::inconclusive) {
    ++tally.undecided;
  } else if (answer.truth == Truth::violation && right) {
    trouble = "a right history is called wrong";
  } else if (answer.truth == Truth::linearizable && !right) {
    ++tally.missed;
    if (answer.exact) trouble = "a wrong history is called right";
  }
  if (answer.truth == Truth::violation && !right && trouble.empty()) {
    const History part = restricted(history, answer.operations);
    if (BruteForce(part, contract, capacity).linearizable()) {
      trouble = "the witness proves nothing:\n" + shown(part);
    }
    bool unknown = false;
    for (Index i = 0; i < history.size(); ++i) unknown |= history.is_unknown(i);
    // A value that was received twice is told as just that.
    const bool smallest = contract == Contract::fifo || contract == Contract::set ||
                          contract == Contract::per_producer;
    if (smallest && history.size() <= 5 && !unknown && capacity == 0 &&
        answer.rule != Rule::twice &&
        answer.operations.size() > fewest_operations(history, contract, capacity)) {
      trouble = "the witness is not the smallest:\n" + shown(part);
    }
  }
  if (trouble.empty()) return true;
  tally.trouble = std::string(to_string(contract)) + ", capacity " + std::to_string(capacity) +
                  ": " + trouble + ", rule " + std::to_string(static_cast<int>(answer.rule)) +
                  "\n" + shown(history);
  return false;
}

// What an operation of a small history may be.
struct Choices {
  bool unknown = true, full = false;
  int priorities = 1;
  bool processes_matter = false;
  bool repeated = false;  // values may be sent again
};

inline std::vector<Operation> small_operations(unsigned count, const Choices& choices) {
  std::vector<Operation> all;
  for (int priority = 0; priority < choices.priorities; ++priority) {
    all.push_back({.kind = Kind::send, .priority = priority});
    if (choices.unknown) {
      all.push_back({.kind = Kind::send, .outcome = Outcome::unknown, .priority = priority});
    }
  }
  if (choices.full) all.push_back({.kind = Kind::send, .outcome = Outcome::full});
  for (Index value = 0; value < count; ++value) {
    all.push_back({.kind = Kind::receive, .value = value});
  }
  all.push_back({.kind = Kind::receive, .outcome = Outcome::empty});
  if (choices.unknown) all.push_back({.kind = Kind::receive, .outcome = Outcome::unknown});
  return all;
}

// Every history of `count` operations of up to three processes. The i-th operation, if a send,
// sends value i; receives take any value of a send, or one that nobody sends.
inline Tally every_small_history(unsigned count, Contract contract, std::uint64_t capacity,
                                 const Choices& choices) {
  Tally tally;
  const std::vector<Operation> menu = small_operations(count, choices);
  bool agreed = true;
  const auto one_shape = [&](const std::vector<made_up::Interval>& shape,
                             const std::vector<Index>& owner) {
    std::vector<std::size_t> chosen(count);
    for (std::size_t carry = 0; carry < count && agreed;) {
      History history;
      bool useful = true;
      unsigned foreign = 0;
      for (Index i = 0; i < count; ++i) {
        Operation operation = menu[chosen[i]];
        operation.process = owner[i];
        operation.invoked = shape[i].invoked;
        operation.returned = operation.outcome == Outcome::unknown ? open_end : shape[i].returned;
        if (operation.kind == Kind::send) operation.value = i;
        if (operation.outcome == Outcome::ok && operation.kind == Kind::receive) {
          foreign += menu[chosen[operation.value]].kind != Kind::send;
        }
        history.add(operation);
      }
      history.events = 2 * count;
      useful = foreign <= 1;
      if (useful) agreed = agrees(history, contract, capacity, tally);
      for (carry = 0; carry < count && ++chosen[carry] == menu.size(); ++carry) chosen[carry] = 0;
    }
  };
  made_up::each_shape(count, 3, [&](const std::vector<made_up::Interval>& shape) {
    bool first = true;
    made_up::each_assignment(shape, 3, [&](const std::vector<Index>& owner) {
      if (first || choices.processes_matter) one_shape(shape, owner);
      first = false;
    });
  });
  return tally;
}

// A thousandth of what the nightly run does: IPCTORTURE_LINEAR_HISTORIES sets the number.
inline std::uint64_t random_histories() {
  const char* number = std::getenv("IPCTORTURE_LINEAR_HISTORIES");
  return number ? std::strtoull(number, nullptr, 10) : 20000;
}

inline Tally random_histories_agree(Contract contract, const made_up::Shape& shape,
                                    std::uint64_t seed) {
  Tally tally;
  Prng prng(seed);
  for (std::uint64_t i = 0; i < random_histories(); ++i) {
    History history = made_up::Maker(prng, contract, shape).make();
    if (i % 4 != 0) made_up::alter(history, prng);
    if (!agrees(history, contract, shape.capacity, tally)) break;
  }
  return tally;
}

}  // namespace ipctorture::linear
