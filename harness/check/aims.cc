#include "harness/check/aims.h"

#include <algorithm>

#include "harness/check/check.h"
#include "harness/check/terms.h"

namespace ipctorture {
namespace {

bool latest(const Contract& c) { return c.delivery == Delivery::latest_value; }
bool survives(const Contract& c) { return c.survives_producer_death || c.survives_consumer_death; }
bool any_overtake_is_one_too_many(const Contract& c) { return c.overtakes_max == 0; }

// What it breaks, if it is promised; whole promises are those without terms.
struct Target {
  std::vector<Term> terms;
  std::vector<Promise> whole;
  std::string_view why_not;  // said when nothing of these is promised, or `can` is false
  bool can = true;           // the mutation does something, and that is forbidden
};

Target of_messages(Mutation mutation, const Contract& c) {
  using enum Term;
  switch (mutation) {
    case Mutation::lose:
      return {{nothing_lost, losses_told, converges}, {}, "messages may be lost"};
    case Mutation::duplicate:
      return {{once}, {}, "a value that is written twice is one value", !latest(c)};
    case Mutation::reorder: {
      Target target{{producer_order, order_over_consumers, order_over_producers, higher_first,
                     never_older, converges},
                    {},
                    "no order is promised"};
      if (any_overtake_is_one_too_many(c)) target.terms.push_back(overtakes);
      return target;
    }
    case Mutation::stale:
      if (latest(c)) return {{never_older, fires_on_change}, {}, ""};
      return {{once}, {}, ""};
    case Mutation::renege:
      return {{once}, {}, "a send has no deadline", c.deadline_now || c.deadline_at};
    case Mutation::conceal:
      return {{losses_told},
              {},
              "no consumer is lapped",
              c.fan_out == FanOut::broadcast && c.when_full == WhenFull::overwrites_oldest};
    case Mutation::discard:
      return {{survives_close, nothing_lost, converges}, {}, "messages may be lost"};
    default:  // tear, shorten
      return {{content}, {}, ""};
  }
}

Target of_answers(Mutation mutation, const Contract& c) {
  using enum Term;
  const bool blocks = c.when_full == WhenFull::blocks;
  switch (mutation) {
    case Mutation::refuse: {
      Target target{{full_exact}, {}, "full may be answered when there is room"};
      if (blocks) target.whole = {Promise::deadlines};
      return target;
    }
    case Mutation::end_early:
      return {{closed_told, nothing_lost, converges}, {}, "messages may be lost"};
    case Mutation::deny:
      return {{empty_exact},
              {},
              "empty may be answered when there is a message",
              c.exact_empty && c.deadline_now};
    case Mutation::swallow:
      return {{oversize_refused}, {}, "what is too large for the contract cannot be tried"};
    case Mutation::endless:
      return {{closed_told, keeps_moving}, {}, "the end is not reported", c.reports_closed};
    case Mutation::bar:
      return {{attaches}, {}, ""};
    default:  // late
      return {{}, {Promise::deadlines}, "no deadline ahead is promised", c.deadline_at};
  }
}

Target of_waiting(Mutation mutation, const Contract& c) {
  using enum Term;
  switch (mutation) {
    case Mutation::oversleep:
      return {{wakes_consumer, keeps_moving}, {}, ""};
    case Mutation::delay:
      return {{wakes_consumer}, {}, ""};
    default:  // outwait
      return {{room_found, keeps_moving},
              {},
              "it has no capacity of its own in which a sender must find room",
              (c.when_full == WhenFull::blocks || c.when_full == WhenFull::rejects) &&
                  c.capacity_max > 0};
  }
}

Target target_of(Mutation mutation, const Contract& c) {
  using enum Term;
  constexpr std::string_view no_death = "no death is survived";
  switch (mutation) {
    case Mutation::oversleep:
    case Mutation::delay:
    case Mutation::outwait:
      return of_waiting(mutation, c);
    case Mutation::refuse:
    case Mutation::end_early:
    case Mutation::deny:
    case Mutation::swallow:
    case Mutation::endless:
    case Mutation::bar:
    case Mutation::late:
      return of_answers(mutation, c);
    case Mutation::mourn:
      return {{outlives_producer, outlives_producer_inside, outlives_consumer,
               outlives_consumer_inside},
              {},
              no_death};
    case Mutation::cling:
      return {{outlives_producer_inside, outlives_consumer_inside}, {}, no_death};
    case Mutation::revive:
      return {latest(c) ? std::vector{never_older, fires_on_change} : std::vector{once},
              {},
              no_death,
              survives(c)};
    case Mutation::fall:
      return {{}, {Promise::crash}, ""};
    case Mutation::leak:
    case Mutation::litter:
      return {{}, {Promise::leaks}, ""};
    default:
      return of_messages(mutation, c);
  }
}

}  // namespace

bool Aim::at(Promise promise) const { return std::ranges::count(promises, promise) > 0; }
bool Aim::at(Term term) const { return std::ranges::count(terms, term) > 0; }

Aim aim_of(Mutation mutation, const Contract& contract) {
  const Target target = target_of(mutation, contract);
  Aim aim;
  for (unsigned p = 0; p < promise_count && target.can; ++p) {
    const auto promise = static_cast<Promise>(p);
    if (!promise_applies(promise, contract)) continue;
    bool aimed = std::ranges::count(target.whole, promise) > 0;
    for (const Term term : promised_terms(promise, contract)) {
      if (std::ranges::count(target.terms, term) == 0) continue;
      aim.terms.push_back(term);
      aimed = true;
    }
    if (aimed) aim.promises.push_back(promise);
  }
  std::ranges::sort(aim.terms);
  if (aim.promises.empty()) aim.why_not = target.why_not;
  return aim;
}

}  // namespace ipctorture
