// The twin of the checkers, for tests: tries every order in which the operations may have taken
// effect (Wing and Gong, "Testing and verifying concurrent objects", 1993), with a memory of the
// states it has been in. Slow, and simple enough to be believed. At most 30 operations.
#pragma once

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "harness/linear/contract.h"

namespace ipctorture::linear {

class BruteForce {
 public:
  BruteForce(const History& history, Contract contract, std::uint64_t capacity)
      : history_(history), contract_(contract), capacity_(capacity) {
    for (Index i = 0; i < history.size(); ++i) {
      const Outcome outcome = history.outcome[i];
      if (outcome == Outcome::timeout || outcome == Outcome::fail) continue;
      if (outcome == Outcome::closed && history.kind[i] == Kind::send) continue;
      steps_.push_back({.operation = i,
                        .invoked = history.invoked[i],
                        .returned = history.is_unknown(i) ? open_end : history.returned[i],
                        .certain = !history.is_unknown(i)});
    }
    Index processes = 0;
    for (const Index process : history.process) processes = std::max(processes, process + 1);
    add_joins(processes);
    if (contract_ == Contract::broadcast) start_.cursors.assign(processes, '\0');
  }

  bool linearizable() { return search(0, start_); }

 private:
  struct Step {
    Index operation = 0;
    Rank invoked = 0, returned = 0;
    bool certain = true;
    bool join = false;
    Index process = 0;  // of a join
  };
  // Sends that are inside, oldest first; of a broadcast all of them, and how many each process got.
  struct State {
    std::string inside, cursors;
  };

  // Joining takes effect at any moment between what the process did before and when the history
  // says that it is done.
  void add_joins(Index& processes) {
    for (std::size_t i = 0; i < history_.memberships.size(); ++i) {
      const Membership& joined = history_.memberships[i];
      processes = std::max(processes, joined.process + 1);
      if (!joined.joined || contract_ != Contract::broadcast) continue;
      Step step{.invoked = 0, .returned = joined.at, .join = true, .process = joined.process};
      const auto after = [&](Index other, Rank rank) {
        if (other == joined.process && rank < joined.at)
          step.invoked = std::max(step.invoked, rank);
      };
      for (const Membership& before : history_.memberships) after(before.process, before.at);
      for (Index j = 0; j < history_.size(); ++j) after(history_.process[j], history_.returned[j]);
      steps_.push_back(step);
    }
  }

  bool search(std::uint64_t done, const State& state) {
    bool finished = true;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!(done >> i & 1) && steps_[i].certain) finished = false;
    }
    if (finished) return true;
    std::string key(reinterpret_cast<const char*>(&done), sizeof done);
    key += state.inside + '\x7f' + state.cursors;
    if (!seen_.insert(std::move(key)).second) return false;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (done >> i & 1 || !may_be_next(done, steps_[i])) continue;
      for (const State& next : after(state, steps_[i])) {
        if (search(done | std::uint64_t{1} << i, next)) return true;
      }
    }
    return false;
  }

  bool may_be_next(std::uint64_t done, const Step& step) const {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!(done >> i & 1) && steps_[i].certain && steps_[i].returned < step.invoked) return false;
    }
    return true;
  }

  std::vector<State> after(const State& state, const Step& step) const {
    if (step.join) {
      State next = state;
      next.cursors[step.process] = static_cast<char>(state.inside.size());
      return {next};
    }
    if (history_.kind[step.operation] == Kind::send) return after_send(state, step.operation);
    switch (contract_) {
      case Contract::latest:
        return after_read(state, step.operation);
      case Contract::broadcast:
        return after_next(state, step.operation);
      default:
        return after_take(state, step.operation);
    }
  }

  std::vector<State> after_send(State state, Index send) const {
    const bool full = capacity_ != 0 && state.inside.size() >= capacity_ &&
                      contract_ != Contract::latest && contract_ != Contract::broadcast;
    if (history_.outcome[send] == Outcome::full) {
      if (capacity_ != 0 && !full) return {};
      return {state};
    }
    if (full) return {};
    if (contract_ == Contract::latest) state.inside.clear();
    state.inside += static_cast<char>(send);
    if (contract_ == Contract::set) std::sort(state.inside.begin(), state.inside.end());
    return {state};
  }

  std::vector<State> after_take(const State& state, Index receive) const {
    if (history_.claims_nothing_there(receive)) {
      return state.inside.empty() ? std::vector{state} : std::vector<State>{};
    }
    std::vector<State> nexts;
    for (std::size_t i = 0; i < state.inside.size(); ++i) {
      if (!may_be_taken(state.inside, i)) continue;
      const Index send = static_cast<unsigned char>(state.inside[i]);
      if (!history_.is_unknown(receive) && history_.value[send] != history_.value[receive])
        continue;
      nexts.push_back(state);
      nexts.back().inside.erase(i, 1);
    }
    return nexts;
  }

  bool may_be_taken(const std::string& inside, std::size_t which) const {
    const Index send = static_cast<unsigned char>(inside[which]);
    for (std::size_t i = 0; i < inside.size(); ++i) {
      const Index other = static_cast<unsigned char>(inside[i]);
      const bool older = i < which;
      switch (contract_) {
        case Contract::fifo:
          if (older) return false;
          break;
        case Contract::per_producer:
          if (older && history_.process[other] == history_.process[send]) return false;
          break;
        case Contract::priority:
          if (history_.priority_of(other) > history_.priority_of(send)) return false;
          if (older && history_.priority_of(other) == history_.priority_of(send)) return false;
          break;
        default:
          break;
      }
    }
    return true;
  }

  std::vector<State> after_read(const State& state, Index receive) const {
    if (history_.is_unknown(receive)) return {};
    const bool nothing = state.inside.empty();
    if (history_.outcome[receive] == Outcome::closed) return {state};
    if (history_.claims_nothing_there(receive)) {
      return nothing ? std::vector{state} : std::vector<State>{};
    }
    if (nothing) return {};
    const Index send = static_cast<unsigned char>(state.inside.back());
    if (history_.value[send] != history_.value[receive]) return {};
    return {state};
  }

  std::vector<State> after_next(const State& state, Index receive) const {
    const Index process = history_.process[receive];
    const auto cursor = static_cast<unsigned char>(state.cursors[process]);
    const bool at_end = cursor == state.inside.size();
    if (history_.claims_nothing_there(receive)) {
      return at_end ? std::vector{state} : std::vector<State>{};
    }
    if (at_end) return {};
    const Index send = static_cast<unsigned char>(state.inside[cursor]);
    if (!history_.is_unknown(receive) && history_.value[send] != history_.value[receive]) return {};
    State next = state;
    next.cursors[process] = static_cast<char>(cursor + 1);
    return {next};
  }

  const History& history_;
  Contract contract_;
  std::uint64_t capacity_;
  std::vector<Step> steps_;
  State start_;
  std::unordered_set<std::string> seen_;
};

}  // namespace ipctorture::linear
