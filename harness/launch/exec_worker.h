// The program on the other side of Launch::exec: `ipctorture worker`. It is told everything in one
// line of JSON on standard input (start_line.h) and then talks through its lane's header
// (docs/worker-protocol.md).
#pragma once

namespace ipctorture {

// Reads the line, works, returns the exit code: 0, 64 for a bad line, 69 for an unknown transport.
int run_exec_worker();

}  // namespace ipctorture
