#include "harness/launch/failing_calls.h"

#include <pthread.h>

#include <cstring>

#include "harness/base/clock.h"
#include "harness/launch/calls/taken_over.h"

namespace ipctorture {
namespace {

// An attach is tried again until it succeeds: not for ever, and something is left for what follows.
constexpr unsigned failures_of_attach = lane_failures_max / 4;

// A child of a transport's own is no lane.
[[gnu::constructor]] void leave_children_alone() {
  ::pthread_atfork(nullptr, nullptr, [] { calls::inside = nullptr; });
}

}  // namespace

namespace calls {
constinit thread_local FailingCalls* inside = nullptr;
}

bool calls_can_fail() {
#ifdef IPCTORTURE_CALLS_TAKEN_OVER
  return calls::input_taken_over() && calls::objects_taken_over() && calls::waits_taken_over();
#else
  return false;
#endif
}

FailingCalls::FailingCalls(const Faults& faults, std::uint64_t seed, unsigned lane_number,
                           const Lane& lane)
    : prng_(mix64(seed ^ mix64(lane_number + 0x63616c6cu))),  // not what the workload draws
      lane_(lane),
      failing_(calls_can_fail() ? faults.failing_calls : 0),
      short_(calls_can_fail() ? faults.short_calls : 0) {}

void FailingCalls::enter(Op op) {
  failures_allowed_ = op == Op::attach ? failures_of_attach : lane_failures_max;
  calls::inside = this;
}

void FailingCalls::leave() { calls::inside = nullptr; }

int FailingCalls::fail(const char* call, const PossibleErrors& errors) {
  const LaneHeader& header = lane_.header();
  CallFailure& noted = lane_.failures()[failed_++];
  noted.error = errors.error[prng_.below(errors.count())];
  std::strncpy(noted.call, call, sizeof noted.call - 1);
  noted.at = stamp_end(header.stamp_source);
  count(lane_.header().calls_failed);
  spared_ = true;
  return noted.error;
}

int FailingCalls::interrupt() {
  count(lane_.header().calls_interrupted);
  spared_ = true;
  return EINTR;
}

std::size_t FailingCalls::shorter_than(std::size_t possible) {
  switch (prng_.below(4)) {
    case 0:
      return 1;
    case 1:
      return possible / 2;
    case 2:
      return possible - 1;
    default:
      return prng_.between(1, possible - 1);
  }
}

}  // namespace ipctorture
