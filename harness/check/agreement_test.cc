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

#include "harness/check/agreement_truth.h"
#include "harness/check/made_up_breaches.h"
#include "harness/check/made_up_history.h"

namespace ipctorture {
namespace {

using agreement::Truth;
using agreement::TruthSeeker;
using made_up::Breach;
using made_up::Shape;
using testing::IsEmpty;

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

struct Tally {
  std::uint64_t right = 0, wrong = 0, undecided = 0, open = 0;
  std::array<std::array<std::uint64_t, 2>, made_up::breach_count> by_breach{};  // right, wrong
  std::map<std::string, std::uint64_t> missed;                                  // by class
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
std::string missed_charge(const Truth& t, const Said& said) {
  const auto needs = [&](bool holds, const char* what, std::initializer_list<Promise> promises) {
    return holds || said.any(promises) ? std::string() : std::string(what);
  };
  if (!t.intact) return needs(false, "damage ", {Promise::integrity});
  if (!t.values) return needs(false, "copies or strangers ", {Promise::delivery});
  if (!t.transfers) {
    return needs(false, "order ", {Promise::delivery, Promise::order, Promise::latest_value});
  }
  return needs(t.with_empty, "false empty ", {Promise::refusal}) +
         needs(t.with_room, "over capacity ", {Promise::refusal}) +
         needs(t.with_full || !t.with_room, "false full ", {Promise::refusal}) +
         needs(t.with_closed, "false closed ",
               {Promise::delivery, Promise::end_of_stream, Promise::latest_value}) +
         needs(t.changes, "no change ", {Promise::latest_value});
}

void judge(HistoryBuilder& b, Breach breach, Tally& tally) {
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
  if (!wrongly.empty()) tally.trouble = "charged and not broken: " + wrongly;
  std::string missed = missed_charge(truth, said);
  if (!missed.empty()) {
    if (seeker.has_unknown_receive()) missed += "behind a receive of unknown fate ";
    if (!b.raw().evidence.empty()) missed += "after a death ";
    if (++tally.missed[missed] == 1 && std::getenv("IPCTORTURE_SHOW"))
      std::cout << "MISSED " << missed << "\n" << shown(b) << said.words << "\n";
  } else if (said.open != 0) {
    ++tally.open;
    if (truth.right() && !seeker.has_unreceived()) tally.trouble = "inconclusive without a reason";
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
};

class Agreement : public testing::TestWithParam<Sort> {};

TEST_P(Agreement, OfOraclesAndTruth) {
  const auto& [name, shape] = GetParam();
  ASSERT_THAT(contract_faults(shape.contract), IsEmpty());
  const std::uint64_t seed = number("IPCTORTURE_SEED", 1);
  const std::uint64_t count = number("IPCTORTURE_LINEAR_HISTORIES", 3000);
  Tally tally;
  for (std::uint64_t i = 0; i < count && tally.trouble.empty(); ++i) {
    Prng prng(mix64(seed) + i);
    HistoryBuilder history = made_up::Maker(prng, shape).make();
    const auto breach = static_cast<Breach>(i % made_up::breach_count);
    const bool closes = shape.contract.reports_closed;
    if (breach == Breach::false_closed && !closes) continue;
    if (!made_up::Breaker(prng, history).apply(breach)) continue;
    const std::uint64_t wrong = tally.wrong;
    judge(history, breach, tally);
    if (breach == Breach::none && tally.wrong > wrong)
      tally.trouble = "made up wrong\n" + shown(history);
    if (!tally.trouble.empty())
      tally.trouble =
          "seed " + std::to_string(seed) + ", history " + std::to_string(i) + ": " + tally.trouble;
  }
  EXPECT_THAT(tally.trouble, IsEmpty());
  std::cout << name << ": " << tally.right << " right, " << tally.wrong << " wrong, "
            << tally.undecided << " undecided, " << tally.open << " open\n";
  for (unsigned i = 0; i < made_up::breach_count; ++i) {
    std::cout << "   " << to_string(static_cast<Breach>(i)) << ": " << tally.by_breach[i][0]
              << " right, " << tally.by_breach[i][1] << " wrong\n";
  }
  for (const auto& [what, times] : tally.missed)
    std::cout << "   MISSED " << what << ": " << times << "\n";
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
template <typename Change>
Contract with(Contract contract, Change change) {
  change(contract);
  return contract;
}
const auto bounded = [](Contract& c) { c.exact_full = true, c.capacity_max = 8; };
const auto survives = [](Contract& c) {
  c.survives_producer_death = c.survives_consumer_death = true;
};
const auto broadcast = [](Contract& c) { c.fan_out = FanOut::broadcast; };
const auto latest = [](Contract& c) {
  c.delivery = Delivery::latest_value, c.fan_out = FanOut::broadcast;
  c.when_full = WhenFull::overwrites;
};

INSTANTIATE_TEST_SUITE_P(
    Sorts, Agreement,
    testing::Values(
        Sort{"Fifo",
             {.contract = with(base(Ordering::total), [](Contract& c) { c.overtakes_max = 0; })}},
        Sort{"FifoLong", {.contract = base(Ordering::total), .operations = 80, .length = 5}},
        Sort{"FifoSlack", {.contract = base(Ordering::total), .slack = 9}},
        Sort{"FifoBounded", {.contract = with(base(Ordering::total), bounded), .capacity = 2}},
        Sort{"FifoTight", {.contract = with(base(Ordering::total), bounded), .capacity = 1}},
        Sort{"FifoDeaths",
             {.contract = with(base(Ordering::total), survives), .unknown_permille = 30}},
        Sort{"FifoLossyDeaths",
             {.contract = with(with(base(Ordering::total), survives),
                               [](Contract& c) { c.lost_per_death_max = 1; }),
              .unknown_permille = 30}},
        Sort{"FifoLossy",
             {.contract = with(base(Ordering::total),
                               [](Contract& c) { c.delivery = Delivery::at_most_once; })}},
        Sort{"FifoDrops",
             {.contract = with(base(Ordering::total),
                               [](Contract& c) { c.when_full = WhenFull::drops_newest; })}},
        Sort{"FifoNameless", {.contract = base(Ordering::total), .nameless = true}},
        Sort{"PerProducer", {.contract = base(Ordering::per_producer)}},
        Sort{"PerProducerLong", {.contract = base(Ordering::per_producer), .operations = 80}},
        Sort{"PerProducerDeaths",
             {.contract = with(base(Ordering::per_producer), survives), .unknown_permille = 30}},
        Sort{"PerProducerBound",
             {.contract = with(base(Ordering::per_producer),
                               [](Contract& c) { c.fan_out = FanOut::bound_consumer; })}},
        Sort{"SetBound",
             {.contract = with(base(Ordering::none),
                               [](Contract& c) { c.fan_out = FanOut::bound_consumer; })}},
        Sort{"Set", {.contract = base(Ordering::none)}},
        Sort{"SetNameless", {.contract = base(Ordering::none), .nameless = true}},
        Sort{"Priority", {.contract = base(Ordering::priority)}},
        Sort{"PriorityLong", {.contract = base(Ordering::priority), .operations = 80}},
        Sort{"PriorityBounded",
             {.contract = with(base(Ordering::priority), bounded), .capacity = 2}},
        Sort{"PriorityDeaths",
             {.contract = with(base(Ordering::priority), survives), .unknown_permille = 30}},
        Sort{"BroadcastTotal", {.contract = with(base(Ordering::total), broadcast)}},
        Sort{"BroadcastTotalLong",
             {.contract = with(base(Ordering::total), broadcast), .operations = 60}},
        Sort{"BroadcastPerProducer", {.contract = with(base(Ordering::per_producer), broadcast)}},
        Sort{"BroadcastNone", {.contract = with(base(Ordering::none), broadcast)}},
        Sort{"Latest",
             {.contract = with(with(base(Ordering::per_producer), latest),
                               [](Contract& c) {
                                 c.fires_only_on_change = true;
                                 c.message_min = 1;
                               }),
              .producers_max = 1}},
        Sort{"LatestReread",
             {.contract = with(base(Ordering::per_producer), latest), .producers_max = 1}},
        Sort{"LatestMany", {.contract = with(base(Ordering::per_producer), latest)}}),
    [](const testing::TestParamInfo<Sort>& sort) { return sort.param.name; });

}  // namespace
}  // namespace ipctorture
