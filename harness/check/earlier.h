// What rounds of a soak owe each other (earlier.cc). Pure functions, as the oracles are.
#pragma once

#include "harness/check/oracles.h"

namespace ipctorture {

// What may still come in the next round, into the judgement. Only of a history that goes on.
void leave_to_next_round(const Subject& subject, Judgement& judgement);
// Exactly once: what an earlier round accepted, and this one did not bring either.
void judge_left_over(const Subject& subject, const ChannelIndex& channel, Finding& finding);

}  // namespace ipctorture
