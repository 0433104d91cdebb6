// A register: a receive reads the value that was sent last; one that found nothing read the state
// before the first. Each value written once: linear, and exact.
//
// Gibbons and Korach, "Testing shared memories" (1997): the operations of one value form a cluster;
// let f be the first return and s the last invocation in it. The history is right if and only if no
// read returns before the write of its value begins, and no two clusters A and B have f(A) < s(B)
// and f(B) < s(A): each would have to be the latest before the other. (In their words: forward
// zones do not overlap and contain no backward zone.)
//
// Whether a history is right in which values are written several times is NP-complete. Such values
// are only held to have been written before they are read, the others as above: sound, not exact.
// Writes of unknown outcome count when their value was read; reads of unknown outcome never.
#pragma once

#include "harness/linear/contract.h"

namespace ipctorture::linear {

Answer judge_latest(const History& history);

}  // namespace ipctorture::linear
