#include "harness/linear/priority.h"

#include <numeric>

#include "harness/linear/room.h"
#include "harness/linear/smaller.h"

namespace ipctorture::linear {
namespace {

// Which moments nothing covers, as ever more are covered. Moments as in queue.h.
class FreeMoments {
 public:
  explicit FreeMoments(Rank events)
      : last_(events), up_(std::size_t{events} + 2), down_(std::size_t{events} + 2) {
    std::iota(up_.begin(), up_.end(), Rank{0});
    std::iota(down_.begin(), down_.end(), Rank{0});
  }
  // The first free moment from this one on; beyond the last one if there is none.
  Rank from(Rank moment) { return find(up_, moment); }
  // The last free one up to this one; 0 if there is none (no operation takes effect in 0).
  Rank up_to(Rank moment) { return find(down_, std::min(moment, last_)); }
  Rank end() const { return last_ + 1; }
  void cover(Rank first, Rank last) {
    first = std::max(first, Rank{1});
    last = std::min(last, last_);
    for (Rank moment = from(first); moment <= last; moment = from(moment + 1)) {
      up_[moment] = moment + 1;
      down_[moment] = moment - 1;
    }
  }

 private:
  static Rank find(std::vector<Rank>& parent, Rank moment) {
    while (parent[moment] != moment) moment = parent[moment] = parent[parent[moment]];
    return moment;
  }
  Rank last_;
  std::vector<Rank> up_, down_;
};

// The values of one priority, sorted by when their sends began.
class Level {
 public:
  Level(std::vector<Life>& lives, std::vector<Index> values, FreeMoments& free)
      : lives_(lives), values_(std::move(values)), free_(free), at_(values_.size()) {}

  // Finds the earliest moments; false when some receive has none.
  bool place() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Life& life = lives_[values_[i]];
      at_[i] = life.taken() ? free_.from(life.inside_before() + 1) : never;
      if (life.taken() && life.taken_by != open_end && at_[i] > life.taken_by) return false;
    }
    return in_order();
  }

  void cover() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Life& life = lives_[values_[i]];
      if (life.sent_by < rank_limit && life.sent_by + 1 < at_[i]) {
        free_.cover(life.sent_by + 1, at_[i] == never ? never : at_[i] - 1);
      }
    }
  }

 private:
  // No value overtakes another. That whoever was sent later is then taken no earlier covers no
  // moment that what was sent before does not cover.
  bool in_order() {
    std::vector<std::size_t> ended(values_.size());
    std::iota(ended.begin(), ended.end(), std::size_t{0});
    std::sort(ended.begin(), ended.end(), [&](std::size_t a, std::size_t b) {
      return lives_[values_[a]].sent_by < lives_[values_[b]].sent_by;
    });
    Rank latest = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Life& life = lives_[values_[i]];
      for (; next < ended.size() && lives_[values_[ended[next]]].sent_by < life.sent_from; ++next) {
        latest = std::max(latest, at_[ended[next]]);
      }
      if (life.taken() && life.taken_by != open_end && free_.up_to(life.taken_by) < latest)
        return false;
    }
    return true;
  }

  std::vector<Life>& lives_;
  std::vector<Index> values_;
  FreeMoments& free_;
  std::vector<Rank> at_;
};

std::vector<std::int32_t> priorities(const History& history) {
  std::vector<std::int32_t> found(history.values);
  for (Index i = 0; i < history.size(); ++i) {
    if (history.kind[i] != Kind::send) continue;
    if (history.took_effect(i) || history.is_unknown(i)) {
      found[history.value[i]] = history.priority_of(i);
    }
  }
  return found;
}

bool fits(const History& history, Lives& lives) {
  const std::vector<std::int32_t> priority = priorities(history);
  std::vector<Index> values;
  for (Index value = 0; value < history.values; ++value) {
    if (!lives.of[value].idle()) values.push_back(value);
  }
  std::sort(values.begin(), values.end(), [&](Index a, Index b) {
    if (priority[a] != priority[b]) return priority[a] > priority[b];
    return lives.of[a].sent_from < lives.of[b].sent_from;
  });
  FreeMoments free(history.events);
  for (auto first = values.begin(); first != values.end();) {
    const auto last =
        std::find_if(first, values.end(), [&](Index v) { return priority[v] != priority[*first]; });
    Level level(lives.of, {first, last}, free);
    if (!level.place()) return false;
    level.cover();
    first = last;
  }
  for (Index i = 0; i < history.size(); ++i) {
    if (history.claims_nothing_there(i) && free.up_to(history.returned[i]) <= history.invoked[i]) {
      return false;
    }
  }
  return true;
}

// Says what a witness shows, where that is plain, and puts its operations in order for that.
Answer arranged(const History& history, Answer answer) {
  std::vector<Index> sends, claims;
  for (const Index i : answer.operations) {
    if (history.kind[i] == Kind::send) sends.push_back(i);
    if (history.claims_nothing_there(i)) claims.push_back(i);
    if (history.kind[i] == Kind::receive && history.is_unknown(i)) return answer;
  }
  const auto receive_of = [&](Index send) -> std::optional<Index> {
    for (const Index i : answer.operations) {
      if (history.kind[i] == Kind::receive && history.value[i] == history.value[send]) return i;
    }
    return std::nullopt;
  };
  if (claims.size() + sends.size() != 2 || sends.empty()) return answer;
  if (sends.size() == 1) {
    const auto receive = receive_of(sends[0]);
    answer.rule = Rule::not_empty;
    answer.operations = {claims[0], sends[0]};
    if (receive) answer.operations.push_back(*receive);
    return answer;
  }
  auto [high, low] = std::pair{sends[0], sends[1]};
  const std::int32_t first = history.priority_of(high), second = history.priority_of(low);
  if (first < second || (first == second && history.invoked[high] > history.invoked[low])) {
    std::swap(high, low);
  }
  const auto late = receive_of(high), early = receive_of(low);
  if (!early) return answer;
  if (first != second) {
    answer.rule = Rule::lower_first;
    answer.operations = {*early, high};
    if (late) answer.operations.push_back(*late);
    answer.operations.push_back(low);
  } else if (late) {
    answer.rule = Rule::overtaken;
    answer.operations = {high, low, *early, *late};
  } else {
    answer.rule = Rule::overtaken_open;
    answer.operations = {low, *early, high};
  }
  return answer;
}

}  // namespace

Answer judge_priority(const History& history, std::uint64_t capacity) {
  Lives lives;
  if (auto answer = find_lives(history, lives)) return *std::move(answer);
  find_loans(history, lives);
  const bool loans = !lives.unknown_receives.empty() && !lives.left_behind.empty();
  Lives each_taken = lives;
  if (loans) {
    for (const Index value : lives.left_behind) {
      Life& life = each_taken.of[value];
      life.taken_from = history.invoked[lives.unknown_receives.front()];
      life.taken_by = open_end;
    }
  }
  if (!fits(history, each_taken)) {
    return arranged(history, smaller(history, Rule::no_order,
                                     [](const History& part) { return judge_priority(part, 0); }));
  }
  lend(history, lives);
  if (capacity != 0) {
    if (auto answer = check_room(history, lives, Contract::priority, capacity))
      return *std::move(answer);
  }
  Answer right;
  right.exact = !loans && capacity == 0;
  return right;
}

}  // namespace ipctorture::linear
