// The program on the other side of Launch::exec: `ipctorture worker`. It is told everything in one
// line of JSON on standard input and then talks through its lane's header
// (docs/worker-protocol.md).
#pragma once

#include <string>

#include "harness/scenario/scenario.h"
#include "harness/transport/transport.h"

namespace ipctorture {

inline constexpr unsigned worker_protocol_version = 1;

// The line that starts a worker: {"start": {"protocol": 1, "scenario": {...}, "worker": 2,
// "channels": [{options}], "lanes": ["/path/lane-0", ...]}}. Lanes are listed for the whole
// scenario.
struct StartLine {
  Scenario scenario;
  unsigned worker = 0;
  std::vector<Options> options;
  std::vector<std::string> lanes;
};
std::string start_line(const StartLine& start);
// Throws std::invalid_argument that says what is wrong. Reads hostile input within bounds.
StartLine parse_start_line(const std::string& line);

// Reads the line, works, returns the exit code: 0, 64 for a bad line, 69 for an unknown transport.
int run_exec_worker();

}  // namespace ipctorture
