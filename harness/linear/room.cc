#include "harness/linear/room.h"

#include <cstdint>

#include "harness/linear/smaller.h"

namespace ipctorture::linear {
namespace {

// The difference of how many values are surely inside, and may be, at each moment; summed up.
struct Counts {
  std::vector<std::int32_t> sure, possible;
  explicit Counts(Rank events) : sure(std::size_t{events} + 2), possible(std::size_t{events} + 2) {}
  static void add(std::vector<std::int32_t>& counts, Rank after, Rank last) {
    ++counts[after + 1];
    if (last + std::size_t{1} < counts.size()) --counts[last + 1];
  }
  void sum() {
    for (std::size_t i = 1; i < sure.size(); ++i) {
      sure[i] += sure[i - 1];
      possible[i] += possible[i - 1];
    }
  }
};

Answer not_full(const History& history, const Lives& lives, Index send) {
  WitnessMaker witness(history, &lives);
  witness.add(send);
  for (Index value = 0; value < history.values; ++value) {
    const Life& life = lives.of[value];
    const bool overlaps = life.sent() && life.sent_from < history.returned[send] &&
                          life.taken_by > history.invoked[send];
    if (overlaps) witness.add_both(value);
  }
  return std::move(witness).answer(Rule::not_full);
}

// What the order of a queue adds: who was taken before another was sent before it, and who was sent
// before another is taken before it.
void tighten(const History& history, Lives& lives) {
  const bool unknown = !lives.unknown_receives.empty();
  const Rank first_unknown = unknown ? history.invoked[lives.unknown_receives.front()] : never;
  std::vector<bool> left(unknown ? history.values : 0);
  if (unknown) {
    for (const Index value : lives.left_behind) left[value] = true;
  }
  const auto is_left = [&](Index value) { return unknown && left[value]; };
  std::vector<Rank> sent_by(std::size_t{history.events} + 1, never);  // by when taken
  std::vector<Rank> taken_from(std::size_t{history.events} + 1);      // by when sent
  for (Index value = 0; value < history.values; ++value) {
    const Life& life = lives.of[value];
    if (life.idle()) continue;
    const Rank earliest = is_left(value) ? first_unknown : life.taken_from;
    Rank& sent = sent_by[std::min(earliest, history.events)];
    sent = std::min(sent, life.sent_by);
    if (!is_left(value) && life.sent_by < rank_limit) taken_from[life.sent_by] = life.taken_from;
  }
  for (std::size_t i = sent_by.size() - 1; i-- > 0;)
    sent_by[i] = std::min(sent_by[i], sent_by[i + 1]);
  for (std::size_t i = 1; i < taken_from.size(); ++i) {
    taken_from[i] = std::max(taken_from[i], taken_from[i - 1]);
  }
  for (Index value = 0; value < history.values; ++value) {
    Life& life = lives.of[value];
    if (life.idle()) continue;
    life.taken_from = std::max(life.taken_from, taken_from[life.sent_from]);
    if (life.taken_by < rank_limit) life.sent_by = std::min(life.sent_by, sent_by[life.taken_by]);
  }
}

}  // namespace

std::optional<Answer> check_room(const History& history, Lives lives, Contract contract,
                                 std::uint64_t capacity) {
  if (contract == Contract::fifo) tighten(history, lives);
  Counts counts(history.events);
  for (const Life& life : lives.of) {
    if (!life.sent()) continue;
    Counts::add(counts.possible, life.sent_from, life.taken_by);
    if (life.sent_by < life.taken_from && life.sent_by < rank_limit) {
      Counts::add(counts.sure, life.sent_by, life.taken_from);
    }
  }
  counts.sum();
  std::vector<Rank> last_full(std::size_t{history.events} + 1);
  Rank latest = 0;
  for (Rank moment = 0; moment <= history.events; ++moment) {
    if (static_cast<std::uint64_t>(std::max(counts.sure[moment], 0)) > capacity) {
      return smaller(history, Rule::over_capacity,
                     [&](const History& part) { return judge(part, contract, capacity); });
    }
    if (static_cast<std::uint64_t>(std::max(counts.possible[moment], 0)) >= capacity) {
      latest = moment;
    }
    last_full[moment] = latest;
  }
  for (Index i = 0; i < history.size(); ++i) {
    if (history.kind[i] != Kind::send || history.outcome[i] != Outcome::full) continue;
    if (last_full[history.returned[i]] <= history.invoked[i]) return not_full(history, lives, i);
  }
  return std::nullopt;
}

}  // namespace ipctorture::linear
