// What each mutant must be caught for, and where it cannot matter.
#include "harness/check/aims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/check/check.h"
#include "harness/check/terms.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Promises = std::vector<Promise>;
using Terms = std::vector<Term>;

const Contract queue{.ordering = Ordering::priority,
                     .reports_closed = true,
                     .exact_empty = true,
                     .exact_full = true,
                     .capacity_max = 8,
                     .message_max = 64,
                     .priorities = 2,
                     .producers_max = 2,
                     .consumers_max = 2,
                     .overtakes_max = 0,
                     .accepted_survives_close = true,
                     .survives_producer_death = true,
                     .survives_consumer_death = true};
const Contract broadcast{.ordering = Ordering::total,
                         .fan_out = FanOut::broadcast,
                         .when_full = WhenFull::overwrites_oldest,
                         .message_max = 64,
                         .consumers_max = 2};
const Contract value{.delivery = Delivery::latest_value,
                     .fan_out = FanOut::broadcast,
                     .when_full = WhenFull::overwrites,
                     .message_max = 64,
                     .fires_only_on_change = true};
// Promises as little as can be.
const Contract datagrams{.delivery = Delivery::at_most_once,
                         .when_full = WhenFull::drops_newest,
                         .message_max = 4u << 20,
                         .deadline_now = false,
                         .deadline_at = false};

Promises promises_of(Mutation mutation, const Contract& contract) {
  return aim_of(mutation, contract).promises;
}
Terms terms_of(Mutation mutation, const Contract& contract) {
  return aim_of(mutation, contract).terms;
}

TEST(Aims, AreWhatTheContractPromises) {
  EXPECT_EQ(promises_of(Mutation::lose, queue), Promises{Promise::delivery});
  EXPECT_EQ(terms_of(Mutation::lose, queue), Terms{Term::nothing_lost});
  EXPECT_EQ(terms_of(Mutation::lose, broadcast), (Terms{Term::nothing_lost, Term::losses_told}));
  EXPECT_EQ(promises_of(Mutation::lose, value), Promises{Promise::latest_value});
  EXPECT_EQ(promises_of(Mutation::reorder, queue), (Promises{Promise::order, Promise::starvation}));
  Contract patient = queue;
  patient.overtakes_max = 1;
  EXPECT_EQ(promises_of(Mutation::reorder, patient), Promises{Promise::order})
      << "one message may overtake";
  EXPECT_EQ(promises_of(Mutation::refuse, queue), (Promises{Promise::refusal, Promise::deadlines}));
  EXPECT_EQ(promises_of(Mutation::oversleep, queue), (Promises{Promise::stall, Promise::deadlock}));
  EXPECT_EQ(promises_of(Mutation::stale, queue), Promises{Promise::delivery});
  EXPECT_EQ(promises_of(Mutation::stale, value), Promises{Promise::latest_value});
  EXPECT_EQ(promises_of(Mutation::fall, datagrams), Promises{Promise::crash});
}

TEST(Aims, WhatIsAllowedIsNone) {
  const auto reason = [](Mutation mutation, const Contract& contract) {
    const Aim aim = aim_of(mutation, contract);
    EXPECT_EQ(aim.why_not.empty(), !aim.promises.empty());
    EXPECT_EQ(aim.terms.empty() || !aim.promises.empty(), true);
    return aim.why_not;
  };
  EXPECT_EQ(reason(Mutation::lose, datagrams), "messages may be lost");
  EXPECT_EQ(reason(Mutation::discard, datagrams), "messages may be lost");
  EXPECT_EQ(reason(Mutation::reorder, datagrams), "no order is promised");
  EXPECT_EQ(reason(Mutation::duplicate, value), "a value that is written twice is one value");
  EXPECT_EQ(reason(Mutation::duplicate, datagrams), "") << "each at most once";
  EXPECT_EQ(reason(Mutation::mourn, datagrams), "no death is survived");
  EXPECT_EQ(reason(Mutation::cling, broadcast), "no death is survived");
  EXPECT_EQ(reason(Mutation::revive, broadcast), "no death is survived");
  EXPECT_EQ(reason(Mutation::conceal, queue), "no consumer is lapped");
  EXPECT_EQ(reason(Mutation::conceal, broadcast), "");
  EXPECT_EQ(reason(Mutation::endless, broadcast), "the end is not reported");
  EXPECT_EQ(reason(Mutation::deny, broadcast), "empty may be answered when there is a message");
  EXPECT_EQ(reason(Mutation::refuse, broadcast), "full may be answered when there is room");
  EXPECT_EQ(reason(Mutation::late, datagrams), "no deadline ahead is promised");
  EXPECT_EQ(reason(Mutation::swallow, datagrams),
            "what is too large for the contract cannot be tried");
  EXPECT_EQ(reason(Mutation::renege, datagrams), "a send has no deadline");
  EXPECT_EQ(reason(Mutation::oversleep, datagrams), "");
}

TEST(Aims, OfDeathsAreEachRolesOwn) {
  EXPECT_EQ(terms_of(Mutation::mourn, queue),
            (Terms{Term::outlives_producer, Term::outlives_producer_inside, Term::outlives_consumer,
                   Term::outlives_consumer_inside}));
  EXPECT_EQ(terms_of(Mutation::cling, queue),
            (Terms{Term::outlives_producer_inside, Term::outlives_consumer_inside}));
  Contract producers = queue;
  producers.survives_consumer_death = false;
  EXPECT_EQ(terms_of(Mutation::cling, producers), Terms{Term::outlives_producer_inside});
  EXPECT_EQ(promises_of(Mutation::revive, producers), Promises{Promise::delivery});
}

// A mutant that broke no promise of any contract would prove nothing; a promise that no mutant
// breaks would be taken on trust.
TEST(Aims, EveryMutationAndEveryTermHasOne) {
  const std::vector<const Contract*> contracts{&queue, &broadcast, &value};
  for (unsigned i = 1; i < mutation_count; ++i) {
    const auto mutation = static_cast<Mutation>(i);
    EXPECT_TRUE(std::ranges::any_of(contracts, [&](const Contract* contract) {
      return aim_of(mutation, *contract).why_not.empty();
    })) << to_string(mutation);
  }
  for (const Contract* contract : contracts) {
    for (unsigned p = 0; p < promise_count; ++p) {
      const auto promise = static_cast<Promise>(p);
      if (!promise_applies(promise, *contract)) continue;
      const auto any = [&](const auto& part) {
        for (unsigned i = 1; i < mutation_count; ++i) {
          if (aim_of(static_cast<Mutation>(i), *contract).at(part)) return true;
        }
        return false;
      };
      EXPECT_TRUE(any(promise)) << to_string(promise);
      for (const Term term : promised_terms(promise, *contract)) {
        EXPECT_TRUE(any(term)) << to_string(term);
      }
    }
  }
}

}  // namespace
}  // namespace ipctorture
