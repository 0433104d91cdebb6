#include "stress/transport_verdict.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture {
namespace {

// Of what there was no occasion, as words: empty when there was one of everything.
std::string untried(const PromiseTally& promise, std::uint64_t scenarios) {
  std::string terms;
  for (const TermTally& term : promise.terms) {
    if (term.occasions > 0) continue;
    terms += fmt::format("{}{}", terms.empty() ? ": " : ", ", to_string(term.term));
  }
  if (promise.occasions > 0 && terms.empty()) return {};
  // One word for all of it says enough.
  if (promise.occasions == 0) terms.clear();
  return fmt::format("no occasion to break it in {} scenarios{}", scenarios, terms);
}

// A promise with nothing worse than known failures is known: neither kept, nor untried.
void mark_known(PromiseTally& promise, const std::vector<KnownTally>& all) {
  for (const KnownTally& known : all) {
    if (known.promise != promise.promise || promise.verdict != Verdict::pass) continue;
    promise.verdict = Verdict::known;
    promise.what = known.what;
    promise.fingerprint = known.fingerprint;
    promise.again = known.again;
    promise.bundle = known.bundle;
  }
}

}  // namespace

void settle(TransportTally& tally, std::uint64_t allowed_thousandths, Whole whole) {
  const auto too_many = [&](std::uint64_t inconclusive) {
    return inconclusive * 1000 > allowed_thousandths;
  };
  tally.verdict = Verdict::pass;
  if (too_many(tally.inconclusive_scenarios)) tally.verdict = Verdict::inconclusive;
  for (PromiseTally& promise : tally.promises) {
    if (promise.verdict == Verdict::inconclusive && !too_many(promise.inconclusive_scenarios)) {
      promise.verdict = Verdict::pass;  // within the share that is allowed; the count stays visible
    }
    mark_known(promise, tally.known);
    const std::string wanting = untried(promise, tally.scenarios);
    if (promise.verdict == Verdict::pass && !wanting.empty() && whole == Whole::yes) {
      promise.verdict = Verdict::inconclusive;
      promise.what = wanting;
      promise.seed.clear();
      promise.again.clear();
    }
    tally.verdict = worse(tally.verdict, promise.verdict);
  }
}

void mark_unsupported(TransportTally& tally, const std::vector<PromiseTally>& promises) {
  tally.verdict = Verdict::unsupported;
  if (tally.unsupported_reason.empty()) {
    tally.unsupported_reason = "no scenario of it was finished";
  }
  for (const PromiseTally& promise : promises) {
    tally.promises.push_back({.promise = promise.promise,
                              .verdict = Verdict::unsupported,
                              .terms = promise.terms,
                              .what = tally.unsupported_reason});
  }
}

void add_case(std::vector<CaseRange>* ranges, std::uint64_t k, std::uint64_t step) {
  const auto after = std::find_if(ranges->rbegin(), ranges->rend(), [&](const auto& one) {
                       return one.first <= k;
                     }).base();
  const auto before = after == ranges->begin() ? ranges->end() : after - 1;
  if (before != ranges->end() && k <= before->last) return;
  const bool joins_before = before != ranges->end() && before->last + step == k;
  const bool joins_after = after != ranges->end() && k + step == after->first;
  if (joins_before && joins_after) {
    before->last = after->last;
    ranges->erase(after);
  } else if (joins_before) {
    before->last = k;
  } else if (joins_after) {
    after->first = k;
  } else {
    ranges->insert(after, {k, k});
  }
}

}  // namespace ipctorture
