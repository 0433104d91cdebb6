#include "harness/schedule/session_children.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/base/descriptor.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

bool is_over(unsigned lane) {
  const Waiting waiting = control->lane[lane].waiting;
  return waiting == Waiting::finished || waiting == Waiting::dead;
}

// Calls `what` with each lane that leads a process.
template <typename What>
void for_each_leader(What what) {
  const Control& c = *control;
  for (unsigned lane = c.workload_lanes; lane < c.lanes; ++lane) {
    if (c.auxiliary[lane].leads_process && c.auxiliary[lane].pid > 0) what(lane);
  }
}

}  // namespace

void adopt_orphans() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw_system_error("prctl", "child subreaper");
}

pid_t child_of_worker(unsigned process) {
  pid_t found = 0;
  for_each_leader([&](unsigned lane) {
    if (control->lane[lane].process == process) found = control->auxiliary[lane].pid;
  });
  return found;
}

std::optional<ProcessExit> dead_child() {
  const Control& c = *control;
  std::optional<ProcessExit> found;
  for_each_leader([&](unsigned lane) {
    const pid_t pid = c.auxiliary[lane].pid;
    if (found || is_over(lane) || c.auxiliary[lane].collected || !is_gone(pid)) return;
    unsigned root = lane;
    while (root >= c.workload_lanes) root = c.auxiliary[root].creator;
    found = ProcessExit{.process = c.lane[root].process, .status = status_of_gone(pid)};
  });
  return found;
}

void end_children(std::vector<pid_t>& left) {
  for_each_leader([&](unsigned lane) {
    const AuxiliaryLane& child = control->auxiliary[lane];
    if (child.collected) return;
    ::kill(child.pid, SIGKILL);
    wait_until_gone(child.pid);
    left.push_back(child.pid);
  });
}

void reap(std::vector<pid_t>& left) {
  for (const pid_t pid : left) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  left.clear();
}

void tell_parents(std::uint32_t lanes) {
  for_each_leader([&](unsigned lane) {
    if ((lanes >> lane & 1) == 0) return;
    const unsigned creator = control->auxiliary[lane].creator;
    wake(children_key(control->lane[creator].process), lanes_max, nullptr);
  });
}

}  // namespace ipctorture::schedule
