// The share of the controlled engine in a run: `ipctorture-explore explore NAME` as a child, a
// slice of time after the other, each going on where the one before stopped.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "stress/settings.h"

namespace ipctorture {

// A failure that the entries of known.toml cover.
struct ControlledKnown {
  std::string what;             // the first time
  std::uint64_t histories = 0;  // that showed it
};

// What one transport's slices came to until now.
struct ControlledResult {
  bool begun = false;  // a first slice was started
  bool tried = false;  // at least one ended in order
  std::uint64_t schedules = 0;
  std::string doubt;            // why its pass would claim too much; empty: it would not
  std::string harness_failure;  // empty: none
  std::map<std::string, ControlledKnown> known;  // by fingerprint
  // Of a violation; empty: none was found.
  std::string promise, fingerprint, what, bundle;
  bool failed() const { return !fingerprint.empty(); }
};

class UnderControl {
 public:
  struct Part {
    std::uint64_t seed = 0;
    unsigned jobs = 1;
    Shard shard;
  };
  // `out`: the run's folder; bundles go to a folder in it. `known`: the file of known failures, or
  // empty. `stop`: ends a slice early.
  UnderControl(std::string out, const Part& part, std::string known, const std::atomic<bool>& stop);

  // The program is there, beside this one.
  static bool available();
  // One more slice for the transport, unless it failed already. Takes a little longer than that
  // when it finds something, since it is made small.
  const ControlledResult& explore(const std::string& transport, std::int64_t time_ns);
  const ControlledResult& of(const std::string& transport) { return results_[transport]; }

 private:
  const std::string out_;
  const Part part_;
  const std::string known_;
  const std::atomic<bool>& stop_;
  std::map<std::string, ControlledResult> results_;
};

}  // namespace ipctorture
