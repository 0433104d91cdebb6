// The oracles against the truth: random histories that are right, with one event altered or not
// (made_up_history.h, made_up_breaches.h), each judged by `check` and, without it, by
// agreement_truth.h. What is said must be true, of each promise; and what breaks a promise must be
// said, but for the classes that are named here.
//
// IPCTORTURE_LINEAR_HISTORIES sets how many of each sort, as for test_linear; IPCTORTURE_SEED the
// seed that a failure prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "harness/check/agreement_pairs.h"
#include "harness/check/agreement_truth.h"
#include "harness/check/made_up_breaches.h"
#include "harness/check/made_up_history.h"

namespace ipctorture {
namespace {

using agreement::Plainly;
using agreement::Truth;
using agreement::TruthSeeker;
using made_up::Breach;
using made_up::Shape;
using testing::Gt;
using testing::IsEmpty;
using testing::Le;
using testing::Lt;

std::string shown(HistoryBuilder& b) {
  std::ostringstream out;
  out << to_string(b.contract.delivery) << ", order " << to_string(b.contract.ordering) << ", "
      << to_string(b.contract.fan_out) << ", capacity " << b.scenario.capacity << ", slack "
      << b.raw().stamps.slack_ticks << "\n";
  for (unsigned lane = 0; lane < b.scenario.producers + b.scenario.consumers; ++lane) {
    for (const Record& r : b.records(lane)) {
      out << b.raw().lanes[lane].name() << " " << to_string(r.op()) << " " << to_string(r.result());
      const bool named = r.op() == Op::send || (r.op() == Op::receive && r.size > 0);
      if (named)
        out << " " << unsigned{r.id().producer} << "-" << r.id().sequence << " (" << r.size << ")";
      out << " [" << r.invoked << ", " << r.returned << "] detail " << r.detail << "\n";
    }
  }
  for (const Evidence& e : b.raw().evidence) {
    out << b.raw().lanes[static_cast<unsigned>(e.lane)].name() << " killed at " << e.from << "\n";
  }
  return out.str();
}

// What the oracles leave unsaid on purpose, and why.
enum class Gap : std::uint8_t {
  none,
  unknown_receive,  // it may have taken anything that nobody received: which, and whether out of
                    // turn, is not inferred (harness/linear lends; see loss.cc)
  unknown_send,     // it has no known end, so nothing is said to have come after it
  taken_along,      // what nobody received may be gone with the dead
  nameless,         // messages that look alike are counted; no order, no time, no empty answer
  over_capacity,    // that a send must be refused is no promise
  full_in_all,      // each full answer is possible for itself, all sends together are not
  turns,            // priorities: at every moment of a receive another message was higher
  no_order,         // a broadcast without order: what is behind a gap may have come before
  bound_to_whom,    // of what nobody received, it is not inferred for whom it was
  writers,          // of the values of several writers nothing is claimed by time
  late,             // what a consumer did or did not get that was sent while it attached
};
inline constexpr unsigned gap_count = 12;
constexpr const char* gap_names[gap_count] = {"none",
                                              "a receive of unknown fate",
                                              "a send of unknown fate",
                                              "taken along by the dead",
                                              "nameless messages",
                                              "over capacity",
                                              "full answers together",
                                              "higher ones in turn",
                                              "broadcast without order",
                                              "bound to whom",
                                              "several writers",
                                              "late consumers"};

struct Tally {
  std::uint64_t right = 0, wrong = 0, undecided = 0, open = 0;
  std::array<std::array<std::uint64_t, 2>, made_up::breach_count> by_breach{};  // right, wrong
  std::array<std::uint64_t, gap_count> missed{};
  std::string trouble;
};

// What was charged, and what was left open.
struct Said {
  std::uint32_t violated = 0, open = 0;
  std::string words;
  explicit Said(const Judgement& judgement) {
    for (const Finding& f : judgement.findings) {
      const std::uint32_t bit = 1u << static_cast<unsigned>(f.promise);
      if (f.verdict == Verdict::violation) violated |= bit;
      if (f.verdict == Verdict::inconclusive) open |= bit;
      if (f.verdict == Verdict::pass) continue;
      words += std::string(to_string(f.promise)) + " " + std::string(to_string(f.verdict)) + " (" +
               f.symptom + "): " + f.what + "\n";
    }
  }
  bool any(std::initializer_list<Promise> promises) const {
    return std::ranges::any_of(
        promises, [&](Promise p) { return (violated >> static_cast<unsigned>(p) & 1) != 0; });
  }
};

// What is charged without being broken.
std::string false_charge(const Truth& t, const Said& said) {
  const auto only_if = [&](bool broken, Promise promise) {
    return !broken && said.any({promise}) ? std::string(to_string(promise)) + " " : std::string();
  };
  const bool transfers = !t.values || !t.transfers;
  std::string wrong = only_if(!t.intact, Promise::integrity);
  if (!t.intact) return wrong;
  wrong += only_if(transfers || !t.with_closed, Promise::delivery);
  wrong += only_if(transfers, Promise::order);
  wrong += only_if(transfers, Promise::starvation);
  wrong += only_if(transfers || !t.with_empty || !t.with_full, Promise::refusal);
  wrong += only_if(transfers || !t.with_closed, Promise::end_of_stream);
  wrong += only_if(transfers || !t.with_closed || !t.changes, Promise::latest_value);
  for (const Promise p :
       {Promise::stall, Promise::deadlock, Promise::deadlines, Promise::crash, Promise::leaks}) {
    wrong += only_if(false, p);
  }
  return wrong;
}

// What is broken without being charged.
enum Miss : unsigned {
  damage = 1,
  values = 2,
  transfers = 4,
  empty = 8,
  room = 16,
  full = 32,
  closed = 64,
  changes = 128,
  overtaken = 256
};
unsigned missed_charges(const Truth& t, const Said& said, HistoryBuilder& b) {
  const auto needs = [&](bool holds, Miss what, std::initializer_list<Promise> promises) {
    return holds || said.any(promises) ? 0u : static_cast<unsigned>(what);
  };
  if (!t.intact) return needs(false, damage, {Promise::integrity});
  if (!t.values) return needs(false, values, {Promise::delivery});
  if (!t.transfers) {
    const bool passed = b.contract.overtakes_max.has_value() && Plainly(b).one_is_overtaken(false);
    return needs(false, transfers, {Promise::delivery, Promise::order, Promise::latest_value}) |
           needs(!passed, overtaken, {Promise::starvation});
  }
  return needs(t.with_empty, empty, {Promise::refusal}) |
         needs(t.with_room, room, {Promise::refusal}) |
         needs(t.with_full || !t.with_room, full, {Promise::refusal}) |
         needs(t.with_closed, closed,
               {Promise::delivery, Promise::end_of_stream, Promise::latest_value}) |
         needs(t.changes, changes, {Promise::latest_value});
}

// Which class that belongs to; none: to none.
Gap gap_of(unsigned missed, HistoryBuilder& b, const TruthSeeker& seeker, const Shape& shape) {
  const Contract& c = b.contract;
  const auto only = [&](unsigned these) { return (missed & ~these) == 0; };
  if (shape.nameless && only(values | transfers | empty | closed)) return Gap::nameless;
  if (!only(transfers | empty | full | room | closed)) return Gap::none;
  if (only(room)) return Gap::over_capacity;
  if (only(room | full)) return Plainly(b).one_full_is_false() ? Gap::none : Gap::full_in_all;
  const bool values_of_many = c.delivery == Delivery::latest_value && b.scenario.producers > 1;
  if (values_of_many) return Gap::writers;
  if (seeker.has_unknown_receive()) return Gap::unknown_receive;
  if (seeker.has_unknown_send()) return Gap::unknown_send;
  const bool dead = !b.raw().evidence.empty() && c.lost_per_death_max > 0;
  if (dead && seeker.has_unreceived()) return Gap::taken_along;
  if (shape.late && only(transfers | empty | closed)) return Gap::late;
  if (c.ordering == Ordering::priority && only(transfers)) {
    const bool stays = b.raw().evidence.empty();
    return Plainly(b).one_is_passed_over(stays) ? Gap::none : Gap::turns;
  }
  if (c.fan_out == FanOut::broadcast && c.ordering == Ordering::none && only(empty)) {
    return Gap::no_order;
  }
  const bool bound = c.fan_out == FanOut::bound_consumer;
  if (bound && seeker.has_unreceived() && only(empty | closed)) return Gap::bound_to_whom;
  return Gap::none;
}

void judge(HistoryBuilder& b, const Shape& shape, Breach breach, Tally& tally) {
  TruthSeeker seeker(b);
  const Truth truth = seeker.find();
  const Said said(b.judge());
  if (!truth.decided) {
    ++tally.undecided;
    return;
  }
  ++(truth.right() ? tally.right : tally.wrong);
  ++tally.by_breach[static_cast<unsigned>(breach)][truth.right() ? 0 : 1];
  const std::string wrongly = false_charge(truth, said);
  const unsigned missed = missed_charges(truth, said, b);
  if (breach == Breach::none && !truth.right()) tally.trouble = "what was made up is wrong";
  if (!wrongly.empty()) tally.trouble = "charged and not broken: " + wrongly;
  if (missed != 0) {
    const Gap gap = gap_of(missed, b, seeker, shape);
    ++tally.missed[static_cast<unsigned>(gap)];
    if (gap == Gap::none) tally.trouble = "broken and not charged: " + std::to_string(missed);
  } else if (said.open != 0) {
    ++tally.open;
    // Nothing is left open but whether a message is lost.
    const bool loss = said.open == 1u << static_cast<unsigned>(Promise::delivery);
    const bool may_be = !truth.intact || seeker.has_unreceived();
    if (!loss || !may_be) tally.trouble = "inconclusive without a reason";
  }
  if (!tally.trouble.empty()) {
    tally.trouble += "\nafter: " + std::string(to_string(breach)) + "\n" + shown(b) + said.words;
  }
}

std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Sort {
  const char* name;
  Shape shape;
  std::vector<Gap> gaps{};  // which may show
};

class Agreement : public testing::TestWithParam<Sort> {};

TEST_P(Agreement, OfOraclesAndTruth) {
  const auto& [name, shape, gaps] = GetParam();
  ASSERT_THAT(contract_faults(shape.contract), IsEmpty());
  const std::uint64_t seed = number("IPCTORTURE_SEED", 1);
  const std::uint64_t count = number("IPCTORTURE_LINEAR_HISTORIES", 6000);
  Tally tally;
  for (std::uint64_t i = 0; i < count; ++i) {
    Prng prng(mix64(seed) + i);
    HistoryBuilder history = made_up::Maker(prng, shape).make();
    const auto breach = static_cast<Breach>(i % made_up::breach_count);
    if (breach == Breach::false_closed && !shape.contract.reports_closed) continue;
    if (!made_up::Breaker(prng, history).apply(breach)) continue;
    judge(history, shape, breach, tally);
    ASSERT_THAT(tally.trouble, IsEmpty())
        << "IPCTORTURE_SEED=" << seed << ", history " << i << " of sort " << name;
  }
  EXPECT_THAT(tally.right, Gt(count / 5));
  EXPECT_THAT(tally.wrong, Gt(count / 5));
  EXPECT_THAT(tally.undecided, Lt(count / 20 + 1));
  for (unsigned gap = 1; gap < gap_count; ++gap) {
    const bool allowed = std::ranges::find(gaps, static_cast<Gap>(gap)) != gaps.end();
    const unsigned part = gap == static_cast<unsigned>(Gap::writers) ? 8 : 14;
    EXPECT_THAT(tally.missed[gap], Le(allowed ? tally.wrong / part : 0)) << gap_names[gap];
  }
  std::cout << name << ": " << tally.right << " right, " << tally.wrong << " wrong, "
            << tally.undecided << " undecided, " << tally.open << " left open";
  for (unsigned gap = 1; gap < gap_count; ++gap) {
    if (tally.missed[gap] > 0) std::cout << "; " << gap_names[gap] << " " << tally.missed[gap];
  }
  std::cout << "\n";
}

Contract base(Ordering ordering) {
  return {.ordering = ordering,
          .reports_closed = true,
          .exact_empty = true,
          .message_min = 0,
          .message_max = 64,
          .priorities = ordering == Ordering::priority ? 3u : 1u,
          .producers_max = 4,
          .consumers_max = 4};
}
using Change = void (*)(Contract&);
Contract with(Contract contract, std::initializer_list<Change> changes) {
  for (const Change change : changes) change(contract);
  return contract;
}
void fair(Contract& c) { c.overtakes_max = 0; }
void bounded(Contract& c) { c.exact_full = true, c.capacity_max = 8; }
void survives(Contract& c) { c.survives_producer_death = c.survives_consumer_death = true; }
void may_take_one(Contract& c) { c.lost_per_death_max = 1; }
void at_most_once(Contract& c) { c.delivery = Delivery::at_most_once; }
void drops(Contract& c) { c.when_full = WhenFull::drops_newest; }
void bound(Contract& c) { c.fan_out = FanOut::bound_consumer; }
void loose(Contract& c) { c.exact_empty = c.reports_closed = false; }
void broadcast(Contract& c) { c.fan_out = FanOut::broadcast; }
void latest(Contract& c) {
  broadcast(c);
  c.delivery = Delivery::latest_value, c.when_full = WhenFull::overwrites;
}
void on_change(Contract& c) { c.fires_only_on_change = true; }

const Contract total = base(Ordering::total), per_producer = base(Ordering::per_producer),
               priority = base(Ordering::priority), none = base(Ordering::none);
const std::vector<Gap> unknown{Gap::unknown_receive, Gap::unknown_send};
const std::vector<Gap> crowded{Gap::over_capacity, Gap::full_in_all};
const std::vector<Gap> higher{Gap::turns};

INSTANTIATE_TEST_SUITE_P(
    Sorts, Agreement,
    testing::Values(
        Sort{"Fifo", {.contract = with(total, {fair})}},
        Sort{"FifoLong", {.contract = total, .operations = 80, .length = 5}},
        Sort{"FifoSlack", {.contract = total, .slack = 9}},
        Sort{"FifoLoose", {.contract = with(total, {loose})}},
        Sort{"FifoBounded", {.contract = with(total, {bounded}), .capacity = 2}, crowded},
        Sort{"FifoTight", {.contract = with(total, {bounded}), .capacity = 1}, crowded},
        Sort{"FifoUnknown", {.contract = with(total, {survives}), .unknown_permille = 30}, unknown},
        Sort{"FifoDeaths",
             {.contract = with(total, {survives, may_take_one}), .unknown_permille = 30},
             {Gap::unknown_receive, Gap::unknown_send, Gap::taken_along}},
        Sort{"FifoLossy", {.contract = with(total, {at_most_once})}},
        Sort{"FifoDrops", {.contract = with(total, {drops})}},
        Sort{"FifoNameless", {.contract = total, .nameless = true}, {Gap::nameless}},
        Sort{"PerProducer", {.contract = per_producer}},
        Sort{"PerProducerLong", {.contract = per_producer, .operations = 80}},
        Sort{"PerProducerUnknown",
             {.contract = with(per_producer, {survives}), .unknown_permille = 30},
             unknown},
        Sort{"PerProducerBound", {.contract = with(per_producer, {bound})}, {Gap::bound_to_whom}},
        Sort{"SetBound", {.contract = with(none, {bound})}, {Gap::bound_to_whom}},
        Sort{"Set", {.contract = none}},
        Sort{"SetUnknown", {.contract = with(none, {survives}), .unknown_permille = 30}, unknown},
        Sort{"SetNameless", {.contract = none, .nameless = true}, {Gap::nameless}},
        Sort{"Priority", {.contract = priority}, higher},
        Sort{"PriorityLong", {.contract = priority, .operations = 80}, higher},
        Sort{"PriorityBounded",
             {.contract = with(priority, {bounded}), .capacity = 2},
             {Gap::turns, Gap::over_capacity, Gap::full_in_all}},
        Sort{"PriorityUnknown",
             {.contract = with(priority, {survives}), .unknown_permille = 30},
             {Gap::turns, Gap::unknown_receive, Gap::unknown_send}},
        Sort{"BroadcastTotal", {.contract = with(total, {broadcast})}},
        Sort{"BroadcastTotalLong", {.contract = with(total, {broadcast}), .operations = 60}},
        Sort{"BroadcastTotalUnknown",
             {.contract = with(total, {broadcast, survives}),
              .operations = 8,
              .unknown_permille = 30},
             unknown},
        Sort{"BroadcastTotalLate",
             {.contract = with(total, {broadcast}), .operations = 8, .late = true},
             {Gap::late}},
        Sort{"BroadcastPerProducer", {.contract = with(per_producer, {broadcast})}},
        Sort{"BroadcastPerProducerLate",
             {.contract = with(per_producer, {broadcast}), .late = true},
             {Gap::late}},
        Sort{"BroadcastNone", {.contract = with(none, {broadcast})}, {Gap::no_order}},
        Sort{"Latest", {.contract = with(per_producer, {latest, on_change}), .producers_max = 1}},
        Sort{"LatestReread", {.contract = with(per_producer, {latest}), .producers_max = 1}},
        Sort{"LatestMany", {.contract = with(per_producer, {latest})}, {Gap::writers}}),
    [](const testing::TestParamInfo<Sort>& sort) { return sort.param.name; });

}  // namespace
}  // namespace ipctorture
