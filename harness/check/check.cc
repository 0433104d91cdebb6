// Which promises a contract makes, and the oracles that judge them, in one table.
#include "harness/check/check.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "harness/check/earlier.h"
#include "harness/check/fairness.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

constexpr std::size_t witness_max = 20;

struct Oracle {
  Promise promise;
  Finding (*judge)(const Subject&);
};
constexpr Oracle oracles[promise_count] = {
    {Promise::integrity, check_integrity}, {Promise::delivery, check_delivery},
    {Promise::order, check_order},         {Promise::stall, check_stall},
    {Promise::deadlock, check_deadlock},   {Promise::starvation, check_starvation},
    {Promise::refusal, check_refusal},     {Promise::end_of_stream, check_end_of_stream},
    {Promise::deadlines, check_deadlines}, {Promise::latest_value, check_latest_value},
    {Promise::crash, check_crash},         {Promise::leaks, check_leaks},
};

// In the order of time, each event once, and not more than a person will read.
void order_witness(const Subject& subject, Finding& finding) {
  auto& witness = finding.witness;
  const auto place = [&](const EventRef& e) {
    return std::tuple(subject.record(e).invoked, e.lane, e.record);
  };
  std::sort(witness.begin(), witness.end(),
            [&](const EventRef& a, const EventRef& b) { return place(a) < place(b); });
  witness.erase(std::unique(witness.begin(), witness.end()), witness.end());
  if (witness.size() > witness_max) witness.resize(witness_max);
}

// What was broken off shows neither that everything arrives nor, when it never began, anything at
// all: that no oracle objects is no pass then. Said of delivery, which every contract promises.
void doubt_what_was_broken_off(const Subject& subject, Finding& finding) {
  const std::string why = subject.time.broken_off();
  if (finding.promise != Promise::delivery || why.empty()) return;
  charge(finding, Verdict::inconclusive,
         {.symptom = "broken off", .what = why, .legal = "the scenario is carried through"});
}

// Those who outlived a death and wait for each other: said when nothing else is wrong, for it may
// show as something else as well.
void look_at_survivors(const Subject& subject, Judgement& judgement) {
  if (judgement.verdict() == Verdict::violation) return;
  for (Finding& finding : judgement.findings) {
    if (finding.promise != Promise::deadlock) continue;
    judge_survivors(subject, finding);
    order_witness(subject, finding);
  }
}

}  // namespace

bool promise_applies(Promise promise, const Contract& contract) {
  switch (promise) {
    case Promise::order:
      return contract.ordering != Ordering::none && contract.delivery != Delivery::latest_value;
    case Promise::starvation:
      return contract.overtakes_max.has_value();
    case Promise::end_of_stream:
      return contract.reports_closed;
    case Promise::deadlines:
      return contract.deadline_now || contract.deadline_at;
    case Promise::latest_value:
      return contract.delivery == Delivery::latest_value;
    default:
      return true;
  }
}

Judgement check(const CheckInput& input) {
  const std::vector<std::string> faults = history_faults(input.history);
  if (!faults.empty()) throw std::logic_error("history: " + faults.front());
  const Subject subject(input);
  Judgement judgement;
  for (const Oracle& oracle : oracles) {
    if (!promise_applies(oracle.promise, input.contract)) continue;
    Finding finding = oracle.judge(subject);
    finding.promise = oracle.promise;
    doubt_what_was_broken_off(subject, finding);
    order_witness(subject, finding);
    judgement.findings.push_back(std::move(finding));
  }
  look_at_survivors(subject, judgement);
  judgement.fairness = measure_fairness(subject);
  if (input.history.goes_on) leave_to_next_round(subject, judgement);
  return judgement;
}

}  // namespace ipctorture
