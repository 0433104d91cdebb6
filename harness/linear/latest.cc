#include "harness/linear/latest.h"

#include <algorithm>
#include <optional>

namespace ipctorture::linear {
namespace {

// All operations of one value. Ranks are one higher than in the history: the state before the first
// write was written at 0.
struct Cluster {
  Rank written_from = never;  // the earliest write
  Rank first_return = never, last_invocation = 0;
  Rank read_by = never;  // the earliest return of a read
  std::uint8_t writes = 0;
  bool forward() const { return first_return < last_invocation; }
  bool counts() const { return writes == 1 && (first_return < rank_limit); }
};

class Clusters {
 public:
  explicit Clusters(const History& history)
      : history_(history), all_(std::size_t{history.values} + 1) {
    initial().written_from = initial().first_return = 0;
    initial().writes = 1;
    for (Index i = 0; i < history.size(); ++i) add(i);
  }

  Answer judge() const {
    if (auto answer = unwritten()) return *std::move(answer);
    if (auto answer = conflict()) return *std::move(answer);
    Answer right;
    right.exact = std::none_of(all_.begin(), all_.end(),
                               [](const Cluster& cluster) { return cluster.writes > 1; });
    return right;
  }

 private:
  Cluster& initial() { return all_.back(); }

  std::optional<std::size_t> cluster_of(Index i) const {
    if (history_.kind[i] == Kind::send) {
      if (!history_.took_effect(i) && !history_.is_unknown(i)) return std::nullopt;
      return history_.value[i];
    }
    if (history_.outcome[i] == Outcome::empty) return all_.size() - 1;
    if (!history_.took_effect(i)) return std::nullopt;
    return history_.value[i];
  }

  void add(Index i) {
    const auto which = cluster_of(i);
    if (!which) return;
    Cluster& cluster = all_[*which];
    const Rank invoked = history_.invoked[i] + 1;
    const Rank returned = history_.is_unknown(i) ? open_end : history_.returned[i] + 1;
    if (history_.kind[i] == Kind::send) {
      cluster.written_from = std::min(cluster.written_from, invoked);
      if (cluster.writes < 2) ++cluster.writes;
    } else {
      cluster.read_by = std::min(cluster.read_by, returned);
    }
    cluster.first_return = std::min(cluster.first_return, returned);
    cluster.last_invocation = std::max(cluster.last_invocation, invoked);
  }

  std::optional<Answer> unwritten() const {
    std::optional<std::size_t> worst;
    for (std::size_t which = 0; which < all_.size(); ++which) {
      const Cluster& cluster = all_[which];
      if (cluster.read_by == never || cluster.written_from < cluster.read_by) continue;
      worst = which;
      if (cluster.writes == 0) break;
    }
    if (!worst) return std::nullopt;
    Answer answer{.truth = Truth::violation};
    answer.rule = all_[*worst].writes == 0 ? Rule::never_sent : Rule::before_sent;
    Index read = 0;
    for (Index i = 0; i < history_.size(); ++i) {
      if (cluster_of(i) != worst) continue;
      if (history_.kind[i] == Kind::send) answer.operations.push_back(i);
      if (history_.returned[i] + 1 == all_[*worst].read_by) read = i;
    }
    answer.operations.push_back(read);
    return answer;
  }

  std::optional<Answer> conflict() const {
    // By rank of the first return, which forward cluster reaches furthest.
    std::vector<Index> furthest(std::size_t{history_.events} + 2, no_value);
    for (std::size_t which = 0; which < all_.size(); ++which) {
      if (all_[which].counts() && all_[which].forward()) {
        furthest[all_[which].first_return] = static_cast<Index>(which);
      }
    }
    Index best = no_value;
    for (Index& here : furthest) {
      if (here != no_value && best != no_value &&
          all_[here].first_return < all_[best].last_invocation) {
        return contradiction(best, here);
      }
      if (here != no_value) best = here;
      here = best;
    }
    for (std::size_t which = 0; which < all_.size(); ++which) {
      const Cluster& cluster = all_[which];
      if (!cluster.counts() || cluster.forward()) continue;
      const Index around = furthest[cluster.last_invocation];
      if (around != no_value && all_[around].last_invocation > cluster.first_return) {
        return contradiction(around, static_cast<Index>(which));
      }
    }
    return std::nullopt;
  }

  // Of each cluster the first to return and the last to begin, and the write.
  Answer contradiction(Index a, Index b) const {
    Answer answer{.truth = Truth::violation, .rule = Rule::stale};
    std::vector<std::optional<Index>> found(4);
    std::vector<Index> writes;
    for (Index i = 0; i < history_.size(); ++i) {
      const auto which = cluster_of(i);
      for (std::size_t side = 0; side < 2; ++side) {
        if (which != (side == 0 ? a : b)) continue;
        const Cluster& cluster = all_[*which];
        if (history_.returned[i] + 1 == cluster.first_return) found[3 * side] = i;
        if (history_.invoked[i] + 1 == cluster.last_invocation) found[1 + side] = i;
        if (history_.kind[i] == Kind::send) writes.push_back(i);
      }
    }
    // a returned before b was invoked; b returned before a was invoked again.
    for (const auto& operation : {found[0], found[2], found[3], found[1]}) {
      if (operation) answer.operations.push_back(*operation);
    }
    for (const Index write : writes) {
      if (std::find(answer.operations.begin(), answer.operations.end(), write) ==
          answer.operations.end()) {
        answer.operations.push_back(write);
      }
    }
    auto& all = answer.operations;
    for (std::size_t i = 0; i < all.size(); ++i) {
      all.erase(std::remove(all.begin() + static_cast<long>(i) + 1, all.end(), all[i]), all.end());
    }
    return answer;
  }

  const History& history_;
  std::vector<Cluster> all_;  // by value; the last: before the first write
};

}  // namespace

Answer judge_latest(const History& history) { return Clusters(history).judge(); }

}  // namespace ipctorture::linear
