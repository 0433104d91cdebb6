// Which promises of a contract a mutant (harness/transport/mutant.h) breaks: what it must be caught
// for, and which mutants cannot matter. Decided by the contract alone.
#pragma once

#include <string>
#include <vector>

#include "harness/check/verdict.h"
#include "harness/transport/contract.h"
#include "harness/transport/mutant.h"

namespace ipctorture {

struct Aim {
  std::vector<Promise> promises;  // that it breaks, in Promise order
  std::vector<Term> terms;        // of these, where they have terms; in Term order
  // Why it breaks nothing that the contract promises; empty: it does.
  std::string why_not;

  bool at(Promise promise) const;
  bool at(Term term) const;
};

// `mutation` is not none.
Aim aim_of(Mutation mutation, const Contract& contract);

}  // namespace ipctorture
