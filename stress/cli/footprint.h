// What a run has outside of its processes: its directory below TMPDIR, and the names it noted there
// of what exists in the whole system (queues, shared memory). Read without the help of the run.
#pragma once

#include <string>
#include <vector>

#include "stress/cli/child.h"

namespace ipctorture {

// Each run's directory that is there, dead or alive.
std::vector<std::string> run_directories(const Scratch& scratch);

// Names outside the runs' directories that the runs noted and that exist: "queue /ipct-...". Steady
// only while nobody works on them.
struct SystemName {
  enum class Kind { shared_memory, queue, system_v_queue, system_v_memory, system_v_semaphores };
  Kind kind;
  std::string name;
  int key = 0;  // System V
};
std::vector<SystemName> system_names(const Scratch& scratch);

bool exists(const SystemName& name);
std::string to_string(const SystemName& name);
// Those that exist, in words.
std::vector<std::string> remaining(const std::vector<SystemName>& names);

// Stops the child at a moment at which it has such names, and answers them; empty when patience
// ended.
std::vector<SystemName> freeze_with_names(Child& child, const Scratch& scratch);

// Every file below a directory with its size and time of change: equal texts, nothing was written.
std::string inventory(const std::string& directory);

}  // namespace ipctorture
