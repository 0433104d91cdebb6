// A witness from a whole wrong history: values and claims are taken away as long as what is left is
// wrong (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002). What
// remains is minimal in that nothing of it can be missed, and small; it need not be the smallest.
#pragma once

#include <functional>

#include "harness/linear/contract.h"

namespace ipctorture::linear {

// `judge` must call the history wrong, and every part of a right history right. Receives of unknown
// outcome stay, for they excuse. To judge about 20 histories of the whole length, and many small.
// Inside a call of `judge` that this makes, a further call answers at once without operations.
// The rule is what `judge` says of the part that remains.
Answer smaller(const History& history, Rule rule,
               const std::function<Answer(const History&)>& judge);

}  // namespace ipctorture::linear
