// The line of JSON that tells a separate program what to do (docs/worker-protocol.md): its writer
// and its reader. The worker reads it as hostile input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/scenario/scenario.h"
#include "harness/transport/transport.h"

namespace ipctorture {

inline constexpr unsigned worker_protocol_version = 1;

// {"start": {"protocol": 1, "scenario": {...}, "worker": 2, "channels": [{options}], "lanes":
// ["/path/lane-0", ...]}}. Lanes are listed for the whole scenario.
struct StartLine {
  Scenario scenario;
  unsigned worker = 0;  // a process of the scenario (lane_plan.h)
  std::vector<Options> options;
  std::vector<std::string> lanes;
};

std::string start_line(const StartLine& start);

// Throws std::invalid_argument that says what is wrong: "start line: worker: 7 is above 3". Fields
// that are not known are skipped: later programs add some.
StartLine parse_start_line(std::string_view line);

}  // namespace ipctorture
