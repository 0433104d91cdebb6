// Which terms a contract has, and that the oracles count exactly what was an occasion of each.
#include "harness/check/terms.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

TEST(Terms, FollowFromTheContract) {
  using Terms = std::vector<Term>;
  Contract c{.ordering = Ordering::total, .message_max = 64};
  EXPECT_EQ(promised_terms(Promise::order, c), Terms{Term::producer_order});
  c.producers_max = c.consumers_max = 2;
  c.capacity_max = 4;
  EXPECT_EQ(promised_terms(Promise::order, c),
            (Terms{Term::producer_order, Term::order_over_consumers, Term::order_over_producers}));
  EXPECT_EQ(promised_terms(Promise::refusal, c),
            (Terms{Term::attaches, Term::oversize_refused, Term::room_found}));
  c.capacity_max = 0;
  c.exact_empty = true;
  EXPECT_EQ(promised_terms(Promise::refusal, c),
            (Terms{Term::attaches, Term::oversize_refused, Term::empty_exact}))
      << "the kernel decides what fits";
  EXPECT_EQ(promised_terms(Promise::delivery, c), (Terms{Term::once, Term::nothing_lost}));
  c.accepted_survives_close = true;
  c.when_full = WhenFull::drops_newest;
  EXPECT_EQ(promised_terms(Promise::delivery, c), Terms{Term::once});
  EXPECT_TRUE(promised_terms(Promise::crash, c).empty());
  EXPECT_EQ(promised_terms(Promise::deadlock, c), Terms{Term::keeps_moving});
  c.survives_producer_death = c.survives_consumer_death = true;
  EXPECT_EQ(promised_terms(Promise::deadlock, c).size(), 5u);
  c.consumers_max = 1;
  EXPECT_EQ(promised_terms(Promise::deadlock, c),
            (Terms{Term::keeps_moving, Term::outlives_producer, Term::outlives_producer_inside}))
      << "the only consumer, which nobody can succeed, is spared";
}

// Whoever names a term in an oracle must promise it for some contract, or nobody would look at it.
TEST(Terms, EachBelongsToOnePromise) {
  Contract shared{.ordering = Ordering::priority,
                  .exact_empty = true,
                  .exact_full = true,
                  .capacity_max = 8,
                  .message_max = 64,
                  .priorities = 2,
                  .producers_max = 2,
                  .consumers_max = 2,
                  .accepted_survives_close = true,
                  .survives_producer_death = true,
                  .survives_consumer_death = true};
  Contract broadcast{.fan_out = FanOut::broadcast, .when_full = WhenFull::overwrites_oldest};
  Contract latest{.delivery = Delivery::latest_value, .fires_only_on_change = true};
  std::array<unsigned, term_count> promises{};
  for (unsigned p = 0; p < promise_count; ++p) {
    std::vector<Term> terms;
    for (const Contract* c : {&shared, &broadcast, &latest}) {
      const auto of = promised_terms(static_cast<Promise>(p), *c);
      EXPECT_TRUE(std::is_sorted(of.begin(), of.end()));
      terms.insert(terms.end(), of.begin(), of.end());
    }
    std::sort(terms.begin(), terms.end());
    terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
    for (const Term term : terms) ++promises[static_cast<unsigned>(term)];
  }
  for (unsigned t = 0; t < term_count; ++t) {
    EXPECT_EQ(promises[t], 1u) << to_string(static_cast<Term>(t));
  }
}

HistoryBuilder two_messages() {
  HistoryBuilder b(1, 1);
  b.contract.exact_empty = b.contract.exact_full = true;
  b.contract.capacity_max = 8;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 0, 50, 60);
  b.receive(0, 0, 1, 70, 80);
  return b;
}

TEST(Terms, ASendIsNoOccasionOfARefusal) {
  HistoryBuilder b = two_messages();
  Finding finding = b.judge(Promise::refusal);
  EXPECT_EQ(finding.occasions, 2u);
  EXPECT_EQ(finding.tried_of(Term::attaches), 2u);
  b.send(0, 2, 90, 100, Outcome::too_large, 4097);
  b.send(0, 3, 110, 120, Outcome::timed_out);
  b.records(0).back().what = Record::encode(Op::send, 0, DeadlineMode::at);
  b.nothing(0, Outcome::empty, 130, 140, DeadlineMode::now);
  finding = b.judge(Promise::refusal);
  EXPECT_EQ(finding.tried_of(Term::oversize_refused), 1u);
  EXPECT_EQ(finding.tried_of(Term::room_found), 1u);
  EXPECT_EQ(finding.tried_of(Term::empty_exact), 1u);
  EXPECT_EQ(finding.tried_of(Term::full_exact), 0u);
  EXPECT_EQ(finding.occasions, 5u);
}

TEST(Terms, OrderNeedsTwoToBeCompared) {
  HistoryBuilder b = two_messages();
  EXPECT_EQ(b.judge(Promise::order).tried_of(Term::producer_order), 1u);
  EXPECT_EQ(b.judge(Promise::order).tried_of(Term::order_over_consumers), 0u);
}

TEST(Terms, SurvivingAProducerNeedsAMessageOnItsWay) {
  HistoryBuilder b = two_messages();
  b.close(0, 41, 45);
  EXPECT_EQ(b.judge(Promise::delivery).tried_of(Term::survives_close), 2u);
  b.records(0).back().returned = 65;
  EXPECT_EQ(b.judge(Promise::delivery).tried_of(Term::survives_close), 1u);
  b.records(0).back().returned = 80;
  EXPECT_EQ(b.judge(Promise::delivery).tried_of(Term::survives_close), 0u);
}

// A lower priority that waits while a higher one, sent later, is taken.
TEST(Terms, PriorityNeedsALowerOneThatWaits) {
  HistoryBuilder b(1, 1);
  b.contract.ordering = Ordering::priority;
  b.contract.priorities = 2;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40).detail = 1;
  b.receive(0, 0, 1, 50, 60).detail = 1 << 8;
  b.receive(0, 0, 0, 70, 80);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::pass);
  EXPECT_EQ(b.judge(Promise::order).tried_of(Term::higher_first), 1u);
  b.records(1)[1].invoked = 25;
  EXPECT_EQ(b.judge(Promise::order).tried_of(Term::higher_first), 1u) << "sent during the receive";
  b.records(1)[1].invoked = 15;
  EXPECT_EQ(b.judge(Promise::order).tried_of(Term::higher_first), 0u) << "it may have been first";
}

TEST(Terms, OnlyASleepThatAMessageEndedIsAWakeUp) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.nothing(0, Outcome::timed_out, 10_ms, 300_ms);
  b.evidence(Fact::asleep, 1, 20_ms, 290_ms);
  EXPECT_EQ(b.judge(Promise::stall).occasions, 0u);
  b.send(0, 0, 500_ms, 501_ms);
  b.receive(0, 0, 0, 310_ms, 502_ms);
  b.evidence(Fact::asleep, 1, 320_ms, 490_ms);
  EXPECT_EQ(b.judge(Promise::stall).tried_of(Term::wakes_consumer), 1u);
}

}  // namespace
}  // namespace ipctorture
