// What the session sees of its worker processes from outside, in /proc and by waitpid(2).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace ipctorture::schedule {

// A worker process that ended, and was not told to.
struct ProcessExit {
  unsigned process = 0;
  int status = 0;  // of waitpid(2)
};

// Descriptors that a worker process has open beyond what it began with.
struct Leak {
  unsigned process = 0;
  std::size_t descriptors = 0;
};
// What was seen of the worker processes from outside.
struct Outside {
  std::vector<ProcessExit> exits;
  std::vector<Leak> leaks;
};

// Of a process that is ours; empty when it is gone.
std::set<int> open_descriptors(pid_t process);
// It sleeps, and neither waits for a core nor is stopped by a debugger: proc_pid_stat(5).
bool is_asleep(pid_t process);
// " (system call 0, pipe_read)", of a process that sleeps: proc_pid_syscall(5), proc_pid_wchan(5).
std::string waits_where(pid_t process);

// It ended, whether or not somebody has waited for it: its descriptors are closed, its locks given
// back.
bool is_gone(pid_t process);
// Returns when it is; gives up after ten seconds.
void wait_until_gone(pid_t process);
// As waitpid(2) would say it of a process that nobody has waited for yet.
int status_of_gone(pid_t process);
// What the kernel does about a signal that it has not delivered yet: the process ends.
bool ends_by(pid_t process, int signal);

}  // namespace ipctorture::schedule
