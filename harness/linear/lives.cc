#include "harness/linear/lives.h"

namespace ipctorture::linear {
namespace {

Answer received_twice(const History& history, Index second) {
  WitnessMaker witness(history);
  const Index value = history.value[second];
  witness.add(witness.of(value).receive);
  witness.add(second);
  witness.add(witness.of(value).send);
  return std::move(witness).answer(Rule::twice);
}

// What is received was sent, and not later: the worst breach, with the fewest operations.
std::optional<Answer> check_values(const History& history, const Lives& lives) {
  Index early = no_value;
  for (Index value = 0; value < history.values; ++value) {
    const Life& life = lives.of[value];
    if (!life.taken() || life.sent_from < life.taken_by) continue;
    early = value;
    if (!life.sent()) break;
  }
  if (early == no_value) return std::nullopt;
  WitnessMaker witness(history);
  witness.add_both(early);
  return std::move(witness).answer(lives.of[early].sent() ? Rule::before_sent : Rule::never_sent);
}

}  // namespace

std::optional<Answer> find_lives(const History& history, Lives& lives) {
  lives.of.assign(history.values, {});
  const auto count = static_cast<Index>(history.size());
  Index second = no_value;
  for (Index i = 0; i < count; ++i) {
    const Outcome outcome = history.outcome[i];
    const Index value = history.value[i];
    if (value == no_value) continue;
    Life& life = lives.of[value];
    if (history.kind[i] == Kind::send) {
      if (outcome != Outcome::ok && outcome != Outcome::unknown) continue;
      if (life.sent()) {
        return Answer{.truth = Truth::inconclusive,
                      .operations = {i},
                      .why = "a value is sent twice: only a register is judged then"};
      }
      life.sent_from = history.invoked[i];
      life.sent_by = outcome == Outcome::ok ? history.returned[i] : open_end;
    } else if (outcome == Outcome::ok) {
      if (life.taken()) {
        if (second == no_value) second = i;
        continue;
      }
      life.taken_from = history.invoked[i];
      life.taken_by = history.returned[i];
    }
  }
  if (auto answer = check_values(history, lives)) return answer;
  if (second != no_value) return received_twice(history, second);
  return std::nullopt;
}

void find_loans(const History& history, Lives& lives) {
  const auto count = static_cast<Index>(history.size());
  for (Index i = 0; i < count; ++i) {
    if (history.is_unknown(i) && history.kind[i] == Kind::receive) {
      lives.unknown_receives.push_back(i);
    }
  }
  for (Index value = 0; value < history.values; ++value) {
    if (lives.of[value].left_behind()) lives.left_behind.push_back(value);
  }
  const auto invoked_earlier = [&](Index a, Index b) {
    return history.invoked[a] < history.invoked[b];
  };
  const auto sent_earlier = [&](Index a, Index b) {
    return lives.of[a].sent_by < lives.of[b].sent_by;
  };
  std::sort(lives.unknown_receives.begin(), lives.unknown_receives.end(), invoked_earlier);
  std::sort(lives.left_behind.begin(), lives.left_behind.end(), sent_earlier);
}

void lend(const History& history, Lives& lives) {
  lives.lent = true;
  const std::size_t loans = std::min(lives.unknown_receives.size(), lives.left_behind.size());
  for (std::size_t i = 0; i < loans; ++i) {
    Life& life = lives.of[lives.left_behind[i]];
    life.taken_from = history.invoked[lives.unknown_receives[i]];
    life.taken_by = open_end;
  }
}

WitnessMaker::WitnessMaker(const History& history, const Lives* lives)
    : lives_(lives), table_(history.values), listed_(history.size()) {
  for (Index i = 0; i < history.size(); ++i) {
    if (history.value[i] == no_value) continue;
    Operations& here = table_[history.value[i]];
    const bool effective = history.took_effect(i);
    if (history.kind[i] == Kind::send && (effective || history.is_unknown(i))) here.send = i;
    if (history.kind[i] == Kind::receive && effective && !here.receive) here.receive = i;
  }
  if (lives == nullptr) return;
  earlier_.resize(history.values);
  std::uint32_t place = 0;
  for (const Index value : lives->left_behind) earlier_[value] = ++place;
}

void WitnessMaker::add(std::optional<Index> operation) {
  if (!operation || listed_[*operation]) return;
  listed_[*operation] = true;
  operations_.push_back(*operation);
}

void WitnessMaker::add_both(Index value) {
  add(of(value).send);
  add(of(value).receive);
}

void WitnessMaker::add_presence(Index value) {
  if (earlier_[value] == 0) return add_both(value);
  for (std::uint32_t i = earlier_[value]; i-- > 0;) add(of(lives_->left_behind[i]).send);
  const std::size_t takers =
      std::min<std::size_t>(earlier_[value] - 1, lives_->unknown_receives.size());
  for (std::size_t i = 0; i < takers; ++i) add(lives_->unknown_receives[i]);
}

Answer WitnessMaker::answer(Rule rule) && {
  return {.truth = Truth::violation, .rule = rule, .operations = std::move(operations_)};
}

}  // namespace ipctorture::linear
