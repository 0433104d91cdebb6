// The zygote: a child that the engine forks while it is small; it does nothing but fork and reap,
// so workers start with a small heap, one thread and no stray descriptors. It dies with the process
// that made it, and its workers with it.
#pragma once

#include "harness/launch/arena.h"

namespace ipctorture {

// Forks it. `socket` is its end of a SOCK_SEQPACKET pair, over which it takes commands; the lanes
// and blocks are in `memory`. Throws std::system_error. Answers its pid.
pid_t fork_zygote(const SharedMapping& memory, int socket);

}  // namespace ipctorture
