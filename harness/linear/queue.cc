#include "harness/linear/queue.h"

#include "harness/linear/room.h"

namespace ipctorture::linear {

void Moments::seal() {
  Rank covered = 0, last_free = 0;
  for (Rank moment = 0; moment < reach_.size(); ++moment) {
    if (covered < moment) last_free = moment;
    covered = std::max(covered, reach_[moment]);
    reach_[moment] = last_free;
  }
}

void Covering::add(Index value, const Life& life) {
  if (!life.idle() && life.inside_after() < life.inside_before()) {
    best_[life.inside_after()] = value;
  }
}

void Covering::seal(const std::vector<Life>& lives) {
  Index furthest = no_value;
  for (Index& here : best_) {
    if (here != no_value &&
        (furthest == no_value || lives[here].inside_before() > lives[furthest].inside_before())) {
      furthest = here;
    }
    here = furthest;
  }
  sealed_ = true;
}

std::vector<Index> Covering::of(const std::vector<Life>& lives, Rank invoked, Rank returned) {
  if (!sealed_) seal(lives);
  std::vector<Index> chain;
  for (Rank moment = invoked + 1; moment <= returned;) {
    const Index value = best_[moment - 1];
    if (value == no_value || lives[value].inside_before() < moment) return {};
    chain.push_back(value);
    if (lives[value].inside_before() >= returned) break;
    moment = lives[value].inside_before() + 1;
  }
  return chain;
}

namespace {

// How many receives that found nothing are compared for the smallest witness.
constexpr unsigned witnesses_compared = 1000;

// Of the receives that found nothing although something was there, the one with the fewest values.
std::optional<Answer> not_empty(const History& history, const Lives& lives,
                                const Moments& moments) {
  Covering covering(history.events);
  for (Index value = 0; value < history.values; ++value) covering.add(value, lives.of[value]);
  Index receive = 0;
  std::vector<Index> fewest;
  std::size_t fewest_operations = SIZE_MAX;
  unsigned compared = 0;
  for (Index i = 0; i < history.size() && compared < witnesses_compared; ++i) {
    if (!history.claims_nothing_there(i)) continue;
    if (moments.free_within(history.invoked[i], history.returned[i])) continue;
    ++compared;
    auto chain = covering.of(lives.of, history.invoked[i], history.returned[i]);
    // What nobody received is the last of a chain, and one operation less.
    const std::size_t operations = 2 * chain.size() - !lives.of[chain.back()].taken();
    if (operations >= fewest_operations) continue;
    fewest_operations = operations;
    fewest = std::move(chain);
    receive = i;
  }
  if (fewest.empty()) return std::nullopt;
  WitnessMaker witness(history, &lives);
  witness.add(receive);
  for (const Index value : fewest) witness.add_presence(value);
  return std::move(witness).answer(Rule::not_empty);
}

std::optional<Answer> check_empty(const History& history, const Lives& lives) {
  bool any = false;
  const auto count = static_cast<Index>(history.size());
  for (Index i = 0; i < count && !any; ++i) any = history.claims_nothing_there(i);
  if (!any) return std::nullopt;
  Moments moments(history.events);
  for (const Life& life : lives.of) {
    if (!life.idle()) moments.cover(life.inside_after(), life.inside_before());
  }
  moments.seal();
  for (Index i = 0; i < count; ++i) {
    if (history.claims_nothing_there(i) &&
        !moments.free_within(history.invoked[i], history.returned[i])) {
      return not_empty(history, lives, moments);
    }
  }
  return std::nullopt;
}

// Who sent which value; of a queue all count as one producer.
class Producers {
 public:
  Producers(const History& history, Contract contract) {
    if (contract != Contract::per_producer) return;
    of_.assign(history.values, 0);
    for (Index i = 0; i < history.size(); ++i) {
      if (history.kind[i] != Kind::send) continue;
      if (history.took_effect(i) || history.is_unknown(i)) {
        of_[history.value[i]] = history.process[i];
        count_ = std::max(count_, history.process[i] + 1);
      }
    }
  }
  Index count() const { return count_; }
  Index of(Index value) const { return of_.empty() ? 0 : of_[value]; }

 private:
  std::vector<Index> of_;
  Index count_ = 1;
};

// The witness of (b), the fewest operations: b is received although too few receives could have
// taken what was sent before it.
Answer overtaken(const History& history, const Lives& lives, const Producers& producers, Index b) {
  const Life& late = lives.of[b];
  const auto before = [&](Index a) {
    return !lives.of[a].idle() && lives.of[a].sent_by < late.sent_from &&
           producers.of(a) == producers.of(b);
  };
  Index furthest = no_value;
  for (Index a = 0; a < history.values; ++a) {
    // Before `lend` a receive of unknown outcome may have taken what was left behind.
    if (!before(a) || (!lives.of[a].taken() && !lives.lent && !lives.unknown_receives.empty())) {
      continue;
    }
    if (furthest == no_value || lives.of[furthest].taken_from < lives.of[a].taken_from)
      furthest = a;
  }
  WitnessMaker witness(history, &lives);
  const Operations first = witness.of(furthest);
  if (first.receive) {
    witness.add(first.send);
    witness.add_both(b);
    witness.add(first.receive);
    return std::move(witness).answer(Rule::overtaken);
  }
  std::size_t takers = 0;
  while (takers < lives.unknown_receives.size() &&
         history.invoked[lives.unknown_receives[takers]] < late.taken_by) {
    ++takers;
  }
  witness.add_both(b);
  std::size_t listed = 0;
  for (const Index a : lives.left_behind) {
    if (before(a) && listed++ <= takers) witness.add(witness.of(a).send);
  }
  for (std::size_t i = 0; i < takers; ++i) witness.add(lives.unknown_receives[i]);
  return std::move(witness).answer(Rule::overtaken_open);
}

std::optional<Index> find_overtaker(const History& history, const std::vector<Life>& lives) {
  // By rank of a send's return the invocation of the receive; then the latest until there.
  std::vector<Rank> awaited(history.events);
  for (const Life& life : lives) {
    if (life.sent_by < rank_limit) awaited[life.sent_by] = life.taken_from;
  }
  Rank latest = 0;
  for (Rank& rank : awaited) rank = latest = std::max(latest, rank);
  std::optional<Index> found;
  for (Index value = 0; value < lives.size(); ++value) {
    const Life& life = lives[value];
    if (!life.taken() || awaited[life.sent_from] <= life.taken_by) continue;
    if (!found) found = value;
    if (awaited[life.sent_from] == never) return value;  // three operations show it
  }
  return found;
}

// Calls begin(value) and end(value) for the sends of values that count, in order of time.
template <class Begin, class End>
void in_order_of_sends(const History& history, const std::vector<Life>& lives, Begin begin,
                       End end) {
  std::vector<Index> at(history.events, no_value);  // 2 value, + 1 for the return
  std::vector<bool> returns(history.events);
  for (Index value = 0; value < lives.size(); ++value) {
    const Life& life = lives[value];
    if (life.idle()) continue;
    at[life.sent_from] = value;
    if (life.sent_by >= rank_limit) continue;
    at[life.sent_by] = value;
    returns[life.sent_by] = true;
  }
  for (Rank rank = 0; rank < history.events; ++rank) {
    if (at[rank] == no_value) continue;
    if (returns[rank]) {
      end(at[rank]);
    } else {
      begin(at[rank]);
    }
  }
}

// Of the order of each producer. Values left behind count here only where nothing may have taken
// them: with receives of unknown outcome, check_loans decides.
std::optional<Index> find_overtaker_of_producer(const History& history, const Lives& lives,
                                                const Producers& producers) {
  std::vector<Rank> awaited(producers.count());
  std::optional<Index> found;
  bool for_ever = false;  // three operations show it
  in_order_of_sends(
      history, lives.of,
      [&](Index value) {
        const Life& life = lives.of[value];
        const Rank rank = awaited[producers.of(value)];
        if (!life.taken() || rank <= life.taken_by) return;
        if (!found || (rank == never && !for_ever)) found = value;
        for_ever |= rank == never;
      },
      [&](Index value) {
        const Life& life = lives.of[value];
        if (!life.taken() && !lives.unknown_receives.empty()) return;
        Rank& rank = awaited[producers.of(value)];
        rank = std::max(rank, life.taken_from);
      });
  return found;
}

// Per-producer order with receives of unknown outcome: what was left behind must have been taken
// before the first receive of a later value of its producer returned. Earliest deadline first.
std::optional<Answer> check_loans(const History& history, const Lives& lives,
                                  const Producers& producers) {
  struct Deadline {
    Rank at = never;
    Index value = 0, because_of = 0;
  };
  std::vector<Deadline> deadlines;
  std::vector<Deadline> first(producers.count());  // over later values
  std::vector<std::pair<Index, bool>> events;
  in_order_of_sends(
      history, lives.of, [&](Index value) { events.emplace_back(value, false); },
      [&](Index value) { events.emplace_back(value, true); });
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const auto [value, returned] = *event;
    const Life& life = lives.of[value];
    Deadline& later = first[producers.of(value)];
    if (returned && !life.taken() && later.at != never) {
      deadlines.push_back({later.at, value, later.because_of});
    }
    if (!returned && life.taken() && life.taken_by < later.at) later = {life.taken_by, 0, value};
  }
  std::sort(deadlines.begin(), deadlines.end(),
            [](const Deadline& a, const Deadline& b) { return a.at < b.at; });
  for (std::size_t i = 0; i < deadlines.size(); ++i) {
    const bool served = i < lives.unknown_receives.size() &&
                        history.invoked[lives.unknown_receives[i]] < deadlines[i].at;
    if (served) continue;
    WitnessMaker witness(history, &lives);
    for (std::size_t j = i + 1; j-- > 0;) {
      witness.add_both(deadlines[j].because_of);
      witness.add_both(deadlines[j].value);
    }
    for (std::size_t j = 0; j < std::min(i, lives.unknown_receives.size()); ++j) {
      witness.add(lives.unknown_receives[j]);
    }
    return std::move(witness).answer(Rule::overtaken_open);
  }
  return std::nullopt;
}

// (b), and lends.
std::optional<Answer> check_order(const History& history, Contract contract, Lives& lives) {
  const Producers producers(history, contract);
  std::optional<Answer> answer;
  if (contract == Contract::per_producer) {
    if (const auto b = find_overtaker_of_producer(history, lives, producers)) {
      answer = overtaken(history, lives, producers, *b);
    } else if (!lives.unknown_receives.empty()) {
      answer = check_loans(history, lives, producers);
    }
  }
  lend(history, lives);
  if (contract == Contract::fifo) {
    const auto b = find_overtaker(history, lives.of);
    if (b) answer = overtaken(history, lives, producers, *b);
  }
  return answer;
}

}  // namespace

Answer judge_queue(const History& history, Contract contract, std::uint64_t capacity) {
  Lives lives;
  if (auto answer = find_lives(history, lives)) return *std::move(answer);
  std::optional<Answer> fewest;
  const auto take = [&](std::optional<Answer> answer) {
    if (!answer) return;
    if (!fewest || answer->operations.size() < fewest->operations.size()) fewest = answer;
  };
  find_loans(history, lives);
  take(check_order(history, contract, lives));
  take(check_empty(history, lives));
  if (capacity != 0 && !fewest) take(check_room(history, lives, contract, capacity));
  if (fewest) return *std::move(fewest);
  Answer right;
  right.exact = capacity == 0;
  if (contract == Contract::per_producer && !lives.unknown_receives.empty() &&
      !lives.left_behind.empty()) {
    for (Index i = 0; i < history.size() && right.exact; ++i) {
      right.exact = !history.claims_nothing_there(i);
    }
  }
  return right;
}

}  // namespace ipctorture::linear
