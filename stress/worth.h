// `ipctorture score --transport NAME`: what is a pass on one transport worth? The transport is run
// as a user would run it, and so are its mutants (harness/transport/mutant.h). Per promise of its
// contract: how often there was an occasion to break it, which mutants break it and how many of
// them were caught, and how often it may still be broken although no scenario showed it. Values and
// texts; worth_verb.cc runs it all.
//
// Verdicts. violation: a run of the transport itself shows one. inconclusive: a promise, or a term
// of it, had no occasion, or a mutant that breaks it was not caught, or the run says so itself.
// pass: otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/check/aims.h"
#include "harness/check/verdict.h"
#include "stress/score_child.h"

namespace ipctorture {

struct MutantScore {
  Mutation mutation = Mutation::none;
  Aim aim;
  std::vector<ScoredRun> runs;  // one per seed; none: it does not apply, or nobody had the time
  bool applies() const { return aim.why_not.empty(); }
};

struct Worth {
  std::string transport;
  std::string version, machine, date;
  std::int64_t time_ns = 0, mutant_time_ns = 0;
  ScoredRun own;                     // of the transport itself
  std::vector<MutantScore> mutants;  // of every mutation, in its order
};

// A promise, or one of its terms.
struct WorthRow {
  Promise promise{};
  std::optional<Term> term;     // nothing: the promise as a whole
  std::uint64_t occasions = 0;  // to break it, in runs of the transport
  std::uint64_t scenarios = 0;  // in which there was one
  unsigned mutants = 0;         // that break it
  unsigned caught = 0;          // of these
  Verdict verdict = Verdict::pass;
  std::string why;  // when it is no pass
};

// What n scenarios that kept a promise leave open: with 95 % confidence at most this share of such
// scenarios breaks it. 1 - 0.05^(1/n), which is about 3/n (the rule of three); of none: 1.
double broken_share_max(std::uint64_t scenarios);

// By a violation that the transport itself does not show, on at least four of five seeds.
bool is_caught(const MutantScore& mutant, const Worth& worth);
// The promises by which, in the order they were told, each once; of all its runs.
std::vector<std::string> caught_by(const MutantScore& mutant, const Worth& worth);

// A promise with several terms is followed by these. Empty when it could not run at all.
std::vector<WorthRow> worth_rows(const Worth& worth);
Verdict worth_verdict(const Worth& worth);
unsigned harness_failures(const Worth& worth);  // in how many runs

// For the terminal (no line of the tables wider than `width`), the page of --page, and JSON lines.
std::string worth_tables(const Worth& worth, std::size_t width);
std::string worth_totals(const Worth& worth, std::size_t width);
std::string worth_page(const Worth& worth);
std::string mutant_json(const MutantScore& mutant, const Worth& worth);
std::string worth_json(const Worth& worth);  // a line for each promise, and one of the transport

}  // namespace ipctorture
