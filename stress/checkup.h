// What a machine must have for everything to run, as a list of findings with the command that mends
// each. The probes look and never change anything; doctor.cc prints them.
#pragma once

#include <string>
#include <vector>

namespace ipctorture {

struct CheckupItem {
  enum class State : unsigned char {
    good,
    weaker,   // works, but finds less or is slower
    lacking,  // some transports or scenarios cannot run
  };
  std::string name;  // "posix message queues"
  State state = State::good;
  std::string found;  // "msgsize_max is 1024, needs 8192"
  std::string mend;   // a command, or empty
};

std::vector<CheckupItem>
check_up_limits();  // kernel version, limits of files, queues, signals, semaphores
std::vector<CheckupItem>
check_up_tools();  // ptrace, stacks, clock, cgroup, calls that a filter may refuse

}  // namespace ipctorture
