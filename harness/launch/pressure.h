// What the kernel does to this process for want of memory or processor time: its counters of
// out-of-memory kills and of throttling, in control groups of version 1 and 2. Without them a
// worker that the kernel killed looks like one that crashed, and a throttled one like one that
// hangs.
//
// Kills are counted where the victim was: in this process's own group, and over the whole machine.
// Throttling is counted in the group whose limit was met, which may be any above ours as far as the
// mount shows them; the times of several processors add up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/history/history.h"

namespace ipctorture {

struct PressureCounts {
  std::uint64_t group_kills = 0;  // processes of our control group, for want of memory
  std::uint64_t machine_kills = 0;
  std::uint64_t throttled = 0;  // periods
  std::uint64_t throttled_ns = 0;
};

// Where the counters of this process are; found once. What is missing counts 0 for ever. Copyable.
class PressureGauge {
 public:
  // `root` stands before /proc and before the mount points that it names: another one for tests.
  explicit PressureGauge(std::string root = {});
  PressureCounts read() const;  // about 0.1 ms

 private:
  std::string root_;
  std::vector<std::string> memory_files_, cpu_files_;
};

// What grew within `ns`: Fact::pressure for kills, Fact::machine_stalled for throttling that took a
// few milliseconds. Their times are the caller's to fill in.
std::vector<Evidence> pressure_between(const PressureCounts& before, const PressureCounts& after,
                                       std::int64_t ns);

}  // namespace ipctorture
