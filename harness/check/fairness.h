// How evenly a channel serves: overtakes, waits and shares. Measured of every scenario, whatever
// the contract promises; starvation.cc convicts where it promises something.
#pragma once

#include "harness/check/oracles.h"

namespace ipctorture {

// A message that is received by one consumer, from its send to its receive.
struct Passage {
  unsigned producer = 0;
  std::uint64_t offset = 0;
  Stamp sent = 0, accepted = 0;     // the send
  Stamp receive = 0, received = 0;  // the receive
};
// The first of a channel (131,072 at most), by the beginning of the send.
std::vector<Passage> passages(const ChannelIndex& channel);

struct Overtakes {
  std::uint64_t occasions = 0;  // messages that waited while a later one was there
  std::uint64_t most = 0;       // of one message
  Passage worst;                // that message, when `most` is not 0
};
// A message is overtaken by another that was certainly sent after it was accepted and certainly
// received before its own receive began: sound, and exact for each message. Linear in the number of
// messages when none is overtaken, else n log n.
Overtakes count_overtakes(const Timeline& time, const std::vector<Passage>& all);

// Over all channels on which consumers share.
Fairness measure_fairness(const Subject& subject);

}  // namespace ipctorture
