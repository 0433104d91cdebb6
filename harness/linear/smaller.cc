#include "harness/linear/smaller.h"

#include <algorithm>
#include <utility>

namespace ipctorture::linear {
namespace {

// What is taken away or stays together: all operations of a value, or one claim.
class Parts {
 public:
  explicit Parts(const History& history) : history_(history) {
    std::vector<std::vector<Index>> of_value(history.values);
    for (Index i = 0; i < history.size(); ++i) {
      if (history.kind[i] == Kind::receive && history.is_unknown(i)) {
        always_.push_back(i);
      } else if (history.took_effect(i) || history.is_unknown(i)) {
        of_value[history.value[i]].push_back(i);
      } else if (history.claims_nothing_there(i)) {
        units_.push_back({i});
      }
    }
    for (auto& operations : of_value) {
      if (!operations.empty()) units_.push_back(std::move(operations));
    }
    // In order of time, so that neighbours go together.
    std::sort(units_.begin(), units_.end(), [&](const auto& a, const auto& b) {
      return history.invoked[a.front()] < history.invoked[b.front()];
    });
  }

  std::size_t count() const { return units_.size(); }

  std::vector<Index> operations(const std::vector<std::size_t>& units) const {
    std::vector<Index> all;
    for (const std::size_t unit : units) {
      all.insert(all.end(), units_[unit].begin(), units_[unit].end());
    }
    all.insert(all.end(), always_.begin(), always_.end());
    return all;
  }

  // With new ranks and values, so that judging takes as long as the part is.
  History part(const std::vector<std::size_t>& units) const {
    const std::vector<Index> kept = operations(units);
    std::vector<std::pair<Rank, Rank*>> ends;
    std::vector<Operation> all;
    all.reserve(kept.size());
    History part;
    part.memberships = history_.memberships;
    std::vector<std::pair<Index, Index*>> values;
    for (const Index i : kept) {
      Operation& operation = all.emplace_back(history_.operation(i));
      ends.emplace_back(operation.invoked, &operation.invoked);
      if (operation.returned < rank_limit)
        ends.emplace_back(operation.returned, &operation.returned);
      if (operation.value != no_value) values.emplace_back(operation.value, &operation.value);
    }
    for (Membership& membership : part.memberships)
      ends.emplace_back(membership.at, &membership.at);
    renumber(ends);
    renumber(values);
    part.reserve(all.size());
    for (const Operation& operation : all) part.add(operation);
    for (const Membership& membership : part.memberships) {
      part.events = std::max(part.events, membership.at + 1);
    }
    return part;
  }

 private:
  static void renumber(std::vector<std::pair<Index, Index*>>& numbers) {
    std::sort(numbers.begin(), numbers.end());
    Index next = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (i > 0 && numbers[i].first != numbers[i - 1].first) ++next;
      *numbers[i].second = next;
    }
  }

  const History& history_;
  std::vector<std::vector<Index>> units_;
  std::vector<Index> always_;
};

constexpr std::uint64_t most_operations_judged = 100'000'000;

}  // namespace

Answer smaller(const History& history, Rule rule,
               const std::function<Answer(const History&)>& judge) {
  static thread_local bool inside = false;
  Answer answer{.truth = Truth::violation, .rule = rule};
  if (inside) return answer;
  inside = true;
  const Parts parts(history);
  std::vector<std::size_t> kept(parts.count());
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = i;
  std::uint64_t judged = 0;
  for (std::size_t pieces = 2; !kept.empty() && judged < most_operations_judged;) {
    const std::size_t length = std::max<std::size_t>(1, (kept.size() + pieces - 1) / pieces);
    bool shorter = false;
    for (std::size_t from = 0; from < kept.size() && judged < most_operations_judged;) {
      std::vector<std::size_t> without(kept.begin(), kept.begin() + static_cast<long>(from));
      const std::size_t to = std::min(kept.size(), from + length);
      without.insert(without.end(), kept.begin() + static_cast<long>(to), kept.end());
      const History part = parts.part(without);
      judged += part.size() + 1;
      if (judge(part).truth == Truth::violation) {
        kept = std::move(without);
        shorter = true;
      } else {
        from = to;
      }
    }
    if (length == 1 && !shorter) break;
    if (!shorter) pieces = std::min(kept.size(), pieces * 2);
    pieces = std::max<std::size_t>(2, std::min(pieces, kept.size()));
  }
  const Answer last = judge(parts.part(kept));
  if (last.truth == Truth::violation) answer.rule = last.rule;
  inside = false;
  answer.operations = parts.operations(kept);
  return answer;
}

}  // namespace ipctorture::linear
