// Calls that fail, are short or are interrupted, in the free engine: what a scenario's
// Faults::failing_calls and short_calls do.
//
// The executable defines the C library's functions itself (calls/), so that transports and the
// libraries they use bind to ours. Each looks at one variable of its thread: null, as it is outside
// a transport's operations and where a scenario wants none of this, and the library's own function
// is called. Else the FailingCalls of the lane is asked. What it answers comes from base/
// call_errors.h, as under control. How often is drawn from the scenario's seed and the lane; which
// call of which operation that meets, the machine decides.
//
// It is never twice in a row that a call of a lane fails or is interrupted: whoever tries again
// gets on, whatever the rates. Each failure is noted in the lane for the checkers; when the notes
// are full there are no more failures. What is short or interrupted is only counted: it excuses
// nothing.
//
// Where it stops: threads that a transport starts itself are left alone; so are calls that the C
// library makes within itself (fopen), and system calls made without it (liburing). In builds with
// a sanitizer there is none of this: its runtime has the same names.
#pragma once

#include <cstddef>
#include <cstdint>

#include "harness/base/call_errors.h"
#include "harness/base/prng.h"
#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

// Of this build.
bool calls_can_fail();

// One per lane, on its thread; not thread-safe. The lane outlives it.
class FailingCalls {
 public:
  FailingCalls(const Faults& faults, std::uint64_t seed, unsigned lane_number, const Lane& lane);
  ~FailingCalls() { leave(); }
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;

  bool any() const { return failing_ + short_ > 0; }
  // The calling thread goes into an operation of the transport, and comes out.
  void enter(Op op);
  void leave();
  // How many were made to fail.
  unsigned failed() const { return failed_; }

  // What a call may answer, found out only when one of these is drawn.
  struct May {
    PossibleErrors fail;
    bool be_interrupted = false;
  };
  // The errno that the call is to answer without being made; 0: it is made. `may` answers a May.
  template <typename Asked>
  int refuse(const char* call, Asked may) {
    if (spared_) {
      spared_ = false;
      return 0;
    }
    const bool fails = drawn(failing_), interrupts = drawn(short_);
    if (!fails && !interrupts) return 0;
    const May what = may();
    if (fails && what.fail.count() > 0 && failed_ < failures_allowed_) return fail(call, what.fail);
    return interrupts && what.be_interrupted ? interrupt() : 0;
  }
  // How much of `possible` bytes is asked for; `possible` itself when it is not drawn. Call it only
  // where less may be done, and tell short_now() when less was.
  bool shortens() { return !spared_ && drawn(short_); }
  std::size_t shorter_than(std::size_t possible);
  void note_shortened() { count(lane_.header().calls_shortened); }

 private:
  bool drawn(std::uint32_t rate) { return rate > 0 && prng_.below(rates_of) < rate; }
  int fail(const char* call, const PossibleErrors& errors);
  int interrupt();
  static void count(std::atomic<std::uint32_t>& number) {
    number.store(number.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  static constexpr std::uint32_t rates_of = 10'000;

  Prng prng_;
  const Lane lane_;
  std::uint32_t failing_, short_;
  unsigned failed_ = 0, failures_allowed_ = 0;
  bool spared_ = false;  // the next call is let through
};

}  // namespace ipctorture
