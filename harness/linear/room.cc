#include "harness/linear/room.h"

#include <cstdint>

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

Answer over_capacity(const History& history, const Lives& lives, std::uint64_t capacity,
                     Rank moment) {
  WitnessMaker witness(history, &lives);
  std::uint64_t listed = 0;
  for (Index value = 0; value < history.values && listed <= capacity; ++value) {
    const Life& life = lives.of[value];
    if (life.idle() || life.sent_by >= moment || life.taken_from < moment) continue;
    ++listed;
    witness.add_presence(value);
  }
  return std::move(witness).answer(Rule::over_capacity);
}

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

}  // namespace

std::optional<Answer> check_room(const History& history, const Lives& lives,
                                 std::uint64_t capacity) {
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
      return over_capacity(history, lives, capacity, moment);
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
