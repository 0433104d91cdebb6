// A soak: one scenario's traffic again and again over the same endpoints, for hours, in rounds that
// are judged one by one, so that memory is bounded.
//
// A round ends when everything accepted was received (or what may be lost had its time), each
// consumer took a mark, and nobody is inside an operation. So an edge between rounds cuts through
// no operation and, as a rule, leaves no message on its way; messages that may still come are
// carried over by name (History::unreceived). Whoever takes the round does so while its
// workers rest and no clock of liveness runs.
#pragma once

#include <cstdint>

#include "harness/base/clock.h"

namespace ipctorture {

struct Round {
  std::uint64_t number = 1;
  std::uint64_t messages = 0;  // of each producer
  std::int64_t flowed_ns = 0;  // from the order to run until everything was received
  bool last = false;           // no further round follows: the end of the scenario is in it
};

struct Soak {
  Instant until = 0;                      // no round begins after it
  std::int64_t round_ns = 1'000'000'000;  // the length that rounds are made for, at most
  std::uint64_t records = 1u << 22;       // of all journals together, 32 bytes each
};

}  // namespace ipctorture
