// Unites the results of the parts of one campaign: `ipctorture merge`. Pure; merge_verb.cc reads
// the folders.
//
// What must hold of all parts: the same program, seed, number of shards, transports and options;
// else UsageError. What may be missing is told as holes: shards that nobody brought, shards that
// ended early, cases that were not run. Sums are then of what is there, and nothing is a pass.
//
// A shard may be there twice. The same results, copied, count once. Results of two executions count
// once too, the graver ones, but violations of both are kept: where the kernel schedules, they may
// differ, which is told and makes the whole inconclusive; where the harness does, contradicting
// verdicts on the same schedules are a failure of the harness.
#pragma once

#include <string>
#include <vector>

#include "harness/report/results_reader.h"
#include "stress/exit_code.h"

namespace ipctorture {

struct Merged {
  // As of one run: sums, verdicts, failures of all; start.merged says which shards; exit_code is
  // set; what is missing is in `holes`.
  ResultLines lines;
  std::vector<std::string> contradictions;  // a failure of the harness
  std::vector<std::string> notes;           // what was counted once
  ExitCode code = ExitCode::pass;
};

// Not empty. Throws UsageError that names file and line of the first that does not belong.
Merged unite(const std::vector<ResultLines>& parts);

// The cases up to `runs` of a shard that are in none of the ranges: "7, 12-97 (22 cases)"; empty:
// none is missing.
std::string missing_cases(const std::vector<CaseRange>& ranges, std::uint32_t shard,
                          std::uint32_t shards, std::uint64_t runs);

// Parts of unite(), for merge_explored.cc.
ExploreTally united_explorations(const std::vector<const ExploreTally*>& parts, bool whole);
// Why two executions of the same shard cannot both be right; empty: they can.
std::string contradiction(const ExploreTally& a, const ExploreTally& b);

}  // namespace ipctorture
