#include "stress/worth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stress/score.h"

namespace ipctorture {
namespace {

bool new_with(const std::string& fingerprint, const Worth& worth) {
  return std::ranges::count(worth.own.fingerprints, fingerprint) == 0;
}

bool shows_it(const ScoredRun& run, const Worth& worth) {
  return std::ranges::any_of(run.fingerprints,
                             [&](const auto& one) { return new_with(one, worth); });
}

bool breaks(const MutantScore& mutant, const WorthRow& row) {
  return row.term ? mutant.aim.at(*row.term) : mutant.aim.at(row.promise);
}

void worsen(WorthRow& row, Verdict verdict, const std::string& why) {
  if (verdict > row.verdict) {
    row.verdict = verdict;
    row.why = why;
  } else if (verdict == row.verdict && verdict != Verdict::pass) {
    row.why += "; " + why;
  }
}

// Counts the mutants, and says what is lacking.
void weigh(WorthRow& row, const Worth& worth) {
  if (row.occasions == 0) {
    worsen(row, Verdict::inconclusive, "there was no occasion to break it");
  }
  for (const MutantScore& mutant : worth.mutants) {
    if (!breaks(mutant, row)) continue;
    ++row.mutants;
    if (is_caught(mutant, worth)) {
      ++row.caught;
    } else {
      worsen(row, Verdict::inconclusive,
             fmt::format("the mutant {} was {}", to_string(mutant.mutation),
                         mutant.runs.empty() ? "not run" : "not caught"));
    }
  }
}

WorthRow row_of(const PromiseTally& promise, const TermTally& term) {
  return {.promise = promise.promise,
          .term = term.term,
          .occasions = term.occasions,
          .scenarios = term.scenarios};
}

void add_promise(std::vector<WorthRow>& rows, const PromiseTally& promise, const Worth& worth) {
  WorthRow whole{.promise = promise.promise,
                 .occasions = promise.occasions,
                 .scenarios = promise.tried_scenarios};
  if (promise.verdict == Verdict::violation) whole.verdict = Verdict::violation;
  if (promise.verdict == Verdict::violation) whole.why = promise.what;
  weigh(whole, worth);
  std::vector<WorthRow> terms;
  for (const TermTally& term : promise.terms) {
    terms.push_back(row_of(promise, term));
    weigh(terms.back(), worth);
    const bool untried = term.occasions == 0 && promise.occasions > 0;
    if (untried) {
      worsen(whole, Verdict::inconclusive,
             fmt::format("{}: {}", to_string(term.term), "there was no occasion to break it"));
    }
  }
  // The run's own doubts, where nothing above says as much.
  if (promise.verdict == Verdict::inconclusive && whole.verdict == Verdict::pass) {
    worsen(whole, Verdict::inconclusive, promise.what);
  }
  rows.push_back(std::move(whole));
  if (terms.size() > 1) rows.insert(rows.end(), terms.begin(), terms.end());
}

}  // namespace

double broken_share_max(std::uint64_t scenarios) {
  if (scenarios == 0) return 1;
  return 1 - std::pow(0.05, 1 / static_cast<double>(scenarios));
}

bool is_caught(const MutantScore& mutant, const Worth& worth) {
  const auto shown = std::ranges::count_if(
      mutant.runs, [&](const ScoredRun& run) { return shows_it(run, worth); });
  return !mutant.runs.empty() && reliably(static_cast<std::uint64_t>(shown), mutant.runs.size());
}

std::vector<std::string> caught_by(const MutantScore& mutant, const Worth& worth) {
  std::vector<std::string> promises;
  for (const ScoredRun& run : mutant.runs) {
    for (const std::string& fingerprint : run.fingerprints) {
      const std::string promise = promise_of(fingerprint);
      if (!new_with(fingerprint, worth) || std::ranges::count(promises, promise) > 0) continue;
      promises.push_back(promise);
    }
  }
  return promises;
}

std::vector<WorthRow> worth_rows(const Worth& worth) {
  std::vector<WorthRow> rows;
  if (worth.own.unsupported) return rows;
  for (const PromiseTally& promise : worth.own.tally.promises) add_promise(rows, promise, worth);
  return rows;
}

unsigned harness_failures(const Worth& worth) {
  auto count = static_cast<unsigned>(worth.own.harness_failed);
  for (const MutantScore& mutant : worth.mutants) {
    count += static_cast<unsigned>(std::ranges::count_if(mutant.runs, &ScoredRun::harness_failed));
  }
  return count;
}

Verdict worth_verdict(const Worth& worth) {
  if (worth.own.unsupported) return Verdict::unsupported;
  Verdict verdict = worth.own.tally.verdict;
  // Nothing came of it: it was interrupted, or the harness failed.
  if (worth.own.tally.promises.empty()) verdict = worse(verdict, Verdict::inconclusive);
  for (const WorthRow& row : worth_rows(worth)) verdict = worse(verdict, row.verdict);
  return worth.own.caught ? Verdict::violation : verdict;
}

}  // namespace ipctorture
