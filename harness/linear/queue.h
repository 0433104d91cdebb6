// Linearizable queues and sets, each value sent once at most, in time n log n (linear where no
// receive is of unknown outcome: the ranks of events are the sorted order).
//
// A history is right if and only if
//  (a) what is received was sent, is received once, and not before its send began;
//  (b) no value overtakes another: not send(a) before send(b) and receive(b) before receive(a),
//      where what is never received is received at the end of time [queues only; of the values of
//      one producer for per_producer];
//  (c) whoever finds nothing does so at a moment at which no value is surely inside. A value is
//      surely inside between the first return and the last invocation of its two operations.
//
// That (a) and (b) suffice without empty receives: Gibbons, Bruno, Phillips (2002), Henzinger,
// Sezgin, Vafeiadis, "Aspect-oriented linearizability proofs" (CONCUR 2013). That (c) may be
// decided for each receive alone: give each the first free moment of its interval. No value is
// surely inside then, so the history may be cut there: of every value both operations can stand on
// one side (a value that is not surely inside for any time has a moment common to both). Cutting an
// interval at a moment adds no order between operations on one side of it, so each piece is right
// by (b), begins and ends with nothing inside (what is never received is surely inside until the
// end, so it is in the last piece), and pieces follow each other. The two papers of 2025 treat the
// same problem: Abdulla, Grahn, Jonsson, Krishna, Mishra, "Efficient Linearizability Monitoring"
// (PLDI) and Lee, Mathur, "Efficient Decrease-and-Conquer Linearizability Monitoring" (OOPSLA);
// their log-linear bound is met here, by this argument and not by their constructions.
//
// Operations of unknown outcome: lives.h. Per-producer order is exact unless receives of unknown
// outcome, values left behind and empty receives all occur (Answer::exact).
//
// With a capacity two more conditions are necessary: never more values surely inside than there is
// room (where the order of a queue counts: what was taken before another was sent before it), and
// at a moment of each send that found no room as many may be inside. They are not sufficient: of
// the 25,156 wrong histories of 4 complete operations with room for one value 4 pass, and with
// `full` among them 260 of 79,495.
#pragma once

#include "harness/linear/lives.h"

namespace ipctorture::linear {

// `contract` is fifo, per_producer or set.
Answer judge_queue(const History& history, Contract contract, std::uint64_t capacity);

// Moments between events: moment g is after the event of rank g - 1 and before that of rank g. An
// operation takes effect in one of invoked + 1 ... returned. A value that is inside after s and
// before t covers s + 1 ... t.
class Moments {
 public:
  explicit Moments(Rank events) : reach_(std::size_t{events} + 1) {}
  // Before `seal`.
  void cover(Rank after, Rank before) {
    if (after < before) reach_[after] = std::max(reach_[after], before);
  }
  void seal();
  // After `seal`: whether an operation found a moment that nothing covers.
  bool free_within(Rank invoked, Rank returned) const { return last_free(returned) > invoked; }

 private:
  Rank last_free(Rank moment) const {
    return reach_[std::min<std::size_t>(moment, reach_.size() - 1)];
  }
  std::vector<Rank> reach_;  // by rank; sealed: the last free moment up to this one, or 0
};

// The fewest values that together cover all moments of an operation; `lives` by value, of those for
// which `counts` holds. Empty when they do not. n log n in the number of values.
class Covering {
 public:
  explicit Covering(Rank events) : best_(std::size_t{events} + 1, no_value) {}
  void add(Index value, const Life& life);
  std::vector<Index> of(const std::vector<Life>& lives, Rank invoked, Rank returned);

 private:
  void seal(const std::vector<Life>& lives);
  bool sealed_ = false;
  std::vector<Index> best_;  // by rank: which value inside after it reaches furthest
};

}  // namespace ipctorture::linear
