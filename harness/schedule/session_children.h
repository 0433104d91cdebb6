// What is left for the session to do about processes that the transport itself started: it is their
// subreaper, not their parent. Internal to session.cc.
#pragma once

#include <optional>
#include <vector>

#include "harness/schedule/control.h"
#include "harness/schedule/outside.h"

namespace ipctorture::schedule {

// Orphans come to this process.
void adopt_orphans();
// The process of a lane of the schedule; 0: it is a worker's.
pid_t child_of_worker(unsigned process);
// A running one that died, in its turn, as an exit of the worker it belongs to.
std::optional<ProcessExit> dead_child();
// Ends all that the schedule left, and adds those that nobody waited for to `left`.
void end_children(std::vector<pid_t>& left);
// When their parents are gone.
void reap(std::vector<pid_t>& left);
// Their parents have one less.
void tell_parents(std::uint32_t lanes);

}  // namespace ipctorture::schedule
