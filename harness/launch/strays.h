// Processes that a transport started in a worker and left alone. Found as living children of the
// zygote, to which the kernel gives the orphans of its descendants (PR_SET_CHILD_SUBREAPER), and of
// the workers that live on in the pool. Exact up to what /proc/PID/task/PID/children shows (needs
// CONFIG_PROC_CHILDREN, else nothing is found): children of a worker's main thread, and of threads
// that ended.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

namespace ipctorture {

// Living children of this process that are no workers.
std::vector<pid_t> find_orphans(std::span<const pid_t> workers);
// Those, and living children of the workers. The symbolizer that a sanitizer keeps is none of them.
std::vector<pid_t> find_strays(std::span<const pid_t> workers);
std::string process_name(pid_t pid);  // empty when it is gone, or waits to be reaped

}  // namespace ipctorture
