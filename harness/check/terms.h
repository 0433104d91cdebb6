// Which terms make up a promise of a contract: each must have had an occasion to be broken before a
// campaign may say that the promise was kept.
#pragma once

#include <vector>

#include "harness/check/verdict.h"
#include "harness/transport/contract.h"

namespace ipctorture {

// In Term order. Empty where the promise is counted as a whole (Finding::occasions alone). Terms
// that no scenario can try yet (what a hostile peer can do) are not among them.
std::vector<Term> promised_terms(Promise promise, const Contract& contract);

}  // namespace ipctorture
