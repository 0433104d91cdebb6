// The checkers' front door: a pure function of (history, contract, scenario). It never touches a
// process, a clock or a file. Each oracle is one file beside this one and states where it is sound.
#pragma once

#include "harness/check/verdict.h"
#include "harness/history/history.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/contract.h"

namespace ipctorture {

struct CheckInput {
  const History& history;
  const Contract& contract;
  const Scenario& scenario;
};

// Judges every promise that the contract makes. Throws std::logic_error when the history is
// malformed (a failure of the harness).
Judgement check(const CheckInput& input);

// Does the contract make this promise at all? (`order` not when ordering is none, and so on.)
bool promise_applies(Promise promise, const Contract& contract);

}  // namespace ipctorture
