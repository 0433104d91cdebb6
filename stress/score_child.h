// One `ipctorture run NAME` of a score: a child of this program, which is what a user would start,
// and what its JSON lines say.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/clock.h"
#include "harness/report/tally.h"
#include "stress/campaign.h"

namespace ipctorture {

struct ChildRun {
  std::string name;  // of a transport, a bug, a mutant
  std::int64_t time_ns = 0;
  std::uint64_t seed = 0;
  FailFast fail_fast = FailFast::no;
  std::string control;  // the flag --control; empty: its default
  std::string out;      // the folder of its bundles
};

// What it came to.
struct ScoredRun {
  bool caught = false;       // a violation was reported
  bool unsupported = false;  // it could not run on this machine
  bool inconclusive = false;
  bool harness_failed = false;
  std::string harness_failure;  // why, as far as it was said
  double seconds = 0;           // until it was reported; of a run that caught nothing: in all
  // Of the first violation: "free" or "controlled", and so on.
  std::string engine, fingerprint, what, bundle;
  std::vector<std::string> fingerprints;  // of all violations
  TransportTally tally;                   // verdict, promises and counts; without measurements
};

// Hears what `run --json` says of one transport, a line at a time. Lines of no known form are
// passed over.
class RunListener {
 public:
  explicit RunListener(Instant began) : began_(began) {}
  void hear(std::string_view line, Instant now);
  // After the last line. A run that did not end in order is the harness' failure.
  ScoredRun end(Instant now);

 private:
  const Instant began_;
  ScoredRun run_;
  bool ended_ = false;  // in order
};

// Waits for it; `stop` interrupts it, and what it had found is told all the same.
ScoredRun run_child(const ChildRun& child, const std::atomic<bool>* stop);

// The promise that a fingerprint names: "delivery/delivery: exactly once/lost" -> "delivery".
std::string promise_of(const std::string& fingerprint);

}  // namespace ipctorture
