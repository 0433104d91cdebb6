// When a consumer was listening and nothing came: what "nothing arrived for the progress bound" and
// "it slept while a message waited" are decided by.
#pragma once

#include <vector>

#include "harness/check/oracles.h"

namespace ipctorture {

// A consumer's unbroken row of receives that brought nothing.
struct Quiet {
  EventRef first, last;
  Stamp from = 0, to = 0;
};
// The consumer's rows longer than `at_least`; those with an open receive last until its lane ended.
std::vector<Quiet> quiet_rows(const Subject& subject, const ChannelIndex& channel,
                              const ConsumerSide& consumer, Stamp at_least);

}  // namespace ipctorture
