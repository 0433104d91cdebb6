// From when to when each value was surely inside the object: the common ground of the checkers of
// queues and sets. Of a value only four ranks matter: between which ones it was sent and taken.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "harness/linear/contract.h"

namespace ipctorture::linear {

// Of one value. A send of unknown outcome has sent_by == open_end. Not sent, not taken: never.
struct Life {
  Rank sent_from = never, sent_by = never;
  Rank taken_from = never, taken_by = never;
  // At every moment after the first and before the second it is inside; nothing when that is empty.
  Rank inside_after() const { return std::min(sent_by, taken_by); }
  Rank inside_before() const { return std::max(sent_from, taken_from); }
  bool sent() const { return sent_from != never; }
  bool taken() const { return taken_from != never; }
  // Sent for certain and taken by nobody that is known.
  bool left_behind() const { return sent() && !taken() && sent_by != open_end; }
  // Nothing demands that it was there at all.
  bool idle() const { return !sent() || (!taken() && sent_by == open_end); }
};

struct Lives {
  std::vector<Life> of;  // by value
  // Receives of unknown outcome, by invocation, and values that were left behind, by the return of
  // their send. The n-th of the one may have taken the n-th of the other: with `lend` it did.
  std::vector<Index> unknown_receives;
  std::vector<Index> left_behind;
  bool lent = false;
};

// Fills `lives`. The answer where values alone decide: received though never sent, or before they
// were, or twice, and (inconclusive) sent twice. Linear.
std::optional<Answer> find_lives(const History& history, Lives& lives);

// Finds the two lists. Linear where there is no receive of unknown outcome; otherwise sorts.
void find_loans(const History& history, Lives& lives);

// After find_loans: lets each receive of unknown outcome take a value. Taking the n-th left behind
// with the n-th receive is best at every moment at once: a moment is free of them if and only if as
// many receives were invoked before it as sends had returned; and whoever must be taken before some
// moment for the sake of order was sent before those that need not. (Extra ones do no harm: they
// take effect at the end.) Checked against brute force.
void lend(const History& history, Lives& lives);

// Collects the operations of a witness, each once.
struct Operations {
  std::optional<Index> send, receive;
};
class WitnessMaker {
 public:
  explicit WitnessMaker(const History& history, const Lives* lives = nullptr);  // linear
  // The send of a value that took effect, or may have; the first receive of it.
  Operations of(Index value) const { return table_[value]; }
  void add(std::optional<Index> operation);
  void add_both(Index value);
  // What shows that `value` was inside: its operations; of a value that was left behind as many
  // earlier ones as receives of unknown outcome were too few. Needs the lives.
  void add_presence(Index value);
  Answer answer(Rule rule) &&;

 private:
  const Lives* lives_;
  std::vector<Operations> table_;       // by value
  std::vector<bool> listed_;            // by operation
  std::vector<std::uint32_t> earlier_;  // by value: its place among those left behind, from 1
  std::vector<Index> operations_;
};

}  // namespace ipctorture::linear
