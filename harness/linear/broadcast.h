// Broadcast: one common order of all values (a log), in an order that time allows. Each process
// receives all of it: from the beginning, or, where the history says that it joined, from some
// moment before that was done. A receive that finds nothing found the end of the log.
//
// Linear. Receives that follow each other in one process name neighbours in the log; with the
// processes that get everything from the beginning these make one chain that is the start of the
// log. Its values take effect as early as can be, each between the bounds that the invocation and
// return of its send, of its receives, and of the receives that found the end before and after it
// set. What nobody received comes after the chain. This is the argument of a total-order broadcast
// (Defago, Schiper, Urban, "Total order broadcast and multicast algorithms", 2004) with real time.
//
// Exact where every process gets everything from the beginning and does not go on after a receive
// of unknown outcome; otherwise sound. That a transport overwrites what a slow process did not read
// cannot be said in a plain history.
#pragma once

#include "harness/linear/contract.h"

namespace ipctorture::linear {

Answer judge_broadcast(const History& history);

}  // namespace ipctorture::linear
