// Processes that a transport starts by fork(2): the child's first thread is a lane, in a process of
// its own, and waits for its turn in fork(2). It ends when its turn says so, and only then do
// others go on: what the kernel closes and gives back with it is done by then.
//
// Where it stops: only where workers are processes; vfork, posix_spawn, exec and their like end the
// schedule. A child dies with the worker that started it. Handlers of atexit(3) do not run in it.
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdarg>
#include <cstdlib>

#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/own_tasks.h"
#include "harness/schedule/calls/virtual_pid.h"
#include "harness/schedule/lane_process.h"
#include "harness/schedule/outside.h"

namespace ipctorture::schedule {
namespace {

unsigned my_process() { return control->lane[current_lane].process; }

bool is_over(unsigned lane) {
  const Waiting waiting = control->lane[lane].waiting;
  return waiting == Waiting::finished || waiting == Waiting::dead;
}

[[noreturn]] void starts_uncontrolled(const char* call) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "%s: what it starts is not controlled", call);
}

// --- children of this process

// `wanted` as waitpid(2) takes it, but a real id. Groups count as anybody.
struct Children {
  bool exist = false;
  int ended = -1;  // the lane of one that has
};
Children children(pid_t wanted) {
  const Control& c = *control;
  Children found;
  for (unsigned lane = c.workload_lanes; lane < c.lanes; ++lane) {
    const AuxiliaryLane& child = c.auxiliary[lane];
    if (!child.leads_process || child.collected) continue;
    if (c.lane[child.creator].process != my_process()) continue;
    if (wanted > 0 && child.pid != wanted) continue;
    found.exist = true;
    if (found.ended < 0 && is_over(lane)) found.ended = static_cast<int>(lane);
  }
  return found;
}

// The lane of a child that ended; -1: none has, or will (`exist` says which).
int wait_for_child(pid_t wanted, bool waits, bool& exist, const void* pc) {
  point(Point::process, 0, pc);
  for (;;) {
    const Children found = children(wanted);
    exist = found.exist;
    if (found.ended >= 0) {
      learn_from(control->memory, static_cast<unsigned>(found.ended));
      return found.ended;
    }
    if (!exist || !waits) return -1;
    wait_for_key(Point::process, children_key(my_process()), 0, pc);
  }
}

pid_t wait_and_reap(pid_t process, int* status, int options, rusage* usage, const void* pc) {
  const pid_t wanted = to_real(process);
  bool exist = false;
  const int lane = wait_for_child(wanted, (options & WNOHANG) == 0, exist, pc);
  if (lane < 0 && exist) return 0;
  // None of ours: what the kernel says, which does not wait.
  const pid_t which = lane < 0 ? wanted : control->auxiliary[lane].pid;
  const long result = raw_call(SYS_wait4, which, word(status), options | WNOHANG, word(usage));
  if (lane >= 0 && result > 0) control->auxiliary[lane].collected = true;
  note_kernel_call();
  return to_virtual(static_cast<pid_t>(answer(result)));
}

int wait_by_id(idtype_t kind, id_t id, siginfo_t* info, int options, const void* pc) {
  if (kind == P_PIDFD) starts_uncontrolled("waitid of a pidfd");
  const pid_t wanted = kind == P_PID ? to_real(static_cast<pid_t>(id)) : -1;
  bool exist = false;
  const int lane = wait_for_child(wanted, (options & WNOHANG) == 0, exist, pc);
  if (lane < 0 && exist) {
    if (info != nullptr) *info = {};
    return 0;
  }
  const pid_t which = lane < 0 ? wanted : control->auxiliary[lane].pid;
  const long result = raw_call(SYS_waitid, which > 0 ? P_PID : P_ALL, which > 0 ? which : 0,
                               word(info), options | WNOHANG, 0);
  const bool stays = (options & WNOWAIT) != 0;
  if (lane >= 0 && result == 0 && !stays) control->auxiliary[lane].collected = true;
  if (result == 0 && info != nullptr) show_virtual_pid(*info);
  note_kernel_call();
  return static_cast<int>(answer(result));
}

// exit(2) of a process that the transport started.
[[noreturn]] void end_child(int status, const void* pc) {
  point(Point::end, 0, pc);
  leave_process(status);
}

bool in_child() { return controlled() && crew.is_child; }

}  // namespace

std::uint32_t lanes_going_with(unsigned process) {
  const Control& c = *control;
  std::uint32_t lanes = 0;
  // A child comes after its creator, so one look at each is enough.
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    const bool is_child = lane >= c.workload_lanes && c.auxiliary[lane].leads_process;
    const bool goes_with = is_child && (lanes >> c.auxiliary[lane].creator & 1) != 0;
    const bool leader_goes = [&] {
      for (unsigned other = 0; other < lane; ++other) {
        const bool same = c.lane[other].process == c.lane[lane].process;
        if (same && (lanes >> other & 1) != 0) return true;
      }
      return false;
    }();
    if (c.lane[lane].process == process || goes_with || leader_goes) lanes |= 1u << lane;
  }
  return lanes;
}

void bury_if_killed(pid_t process, int signal) {
  Control& c = *control;
  const pid_t sent_to = to_real(process);
  for (unsigned lane = c.workload_lanes; lane < c.lanes; ++lane) {
    const AuxiliaryLane& child = c.auxiliary[lane];
    if (!child.leads_process || child.pid != sent_to || is_over(lane)) continue;
    {
      const Uncontrolled uncontrolled;
      if (lane == static_cast<unsigned>(c.current) || !ends_by(child.pid, signal)) return;
      wait_until_gone(child.pid);
    }
    const std::uint32_t lanes = lanes_going_with(c.lane[lane].process);
    bury(lanes);
    wake(children_key(c.lane[child.creator].process), lanes_max, nullptr);
  }
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

pid_t fork() noexcept {
  static const auto call = real<pid_t (*)()>(__func__);
  if (!controlled()) return call();
  const void* pc = __builtin_return_address(0);
  Control& c = *control;
  point(Point::process, c.lanes, pc);
  if (!crew.forked) starts_uncontrolled(__func__);
  if (const int error = shortage(Point::process, errors_of::process, pc); error != 0) {
    return static_cast<pid_t>(answer(-error));
  }
  note_kernel_call();
  const unsigned process = c.processes, lane = add_lane(process);
  ++c.processes;
  c.auxiliary[lane].leads_process = true;
  c.baton[process].word.store(0);
  const auto parent = static_cast<pid_t>(raw_call(SYS_getpid));
  const pid_t child = [] {
    const Uncontrolled uncontrolled;
    return call();
  }();
  if (child == 0) {
    live_as_child(lane, process, parent);
    return 0;
  }
  if (child < 0) {
    c.runnable &= ~(1u << lane);
    --c.lanes;
    --c.processes;
    return -1;
  }
  c.auxiliary[lane].pid = child;
  c.real_pid[process] = child;
  effect(effect_process);
  return virtual_pid(process);
}

pid_t waitpid(pid_t process, int* status, int options) {
  if (!controlled()) {
    return static_cast<pid_t>(answer(raw_call(SYS_wait4, process, word(status), options)));
  }
  return wait_and_reap(process, status, options, nullptr, __builtin_return_address(0));
}

pid_t wait(int* status) {
  if (!controlled()) return static_cast<pid_t>(answer(raw_call(SYS_wait4, -1, word(status))));
  return wait_and_reap(-1, status, 0, nullptr, __builtin_return_address(0));
}

pid_t wait4(pid_t process, int* status, int options, rusage* usage) noexcept {
  if (!controlled()) {
    return static_cast<pid_t>(
        answer(raw_call(SYS_wait4, process, word(status), options, word(usage))));
  }
  return wait_and_reap(process, status, options, usage, __builtin_return_address(0));
}

pid_t wait3(int* status, int options, rusage* usage) noexcept {
  return wait4(-1, status, options, usage);
}

int waitid(idtype_t kind, id_t id, siginfo_t* info, int options) {
  if (!controlled()) {
    return static_cast<int>(answer(
        raw_call(SYS_waitid, static_cast<long>(kind), static_cast<long>(id), word(info), options)));
  }
  return wait_by_id(kind, id, info, options, __builtin_return_address(0));
}

// --- ends

void _exit(int status) {
  if (in_child()) end_child(status, __builtin_return_address(0));
  for (;;) raw_call(SYS_exit_group, status);
}

void _Exit(int status) noexcept {
  if (in_child()) end_child(status, __builtin_return_address(0));
  for (;;) raw_call(SYS_exit_group, status);
}

void exit(int status) noexcept {
  static const auto call = real<void (*)(int)>("exit");
  if (in_child()) end_child(status, __builtin_return_address(0));
  call(status);
  __builtin_unreachable();
}

// --- other ways to start one

pid_t vfork() noexcept {
  if (controlled()) starts_uncontrolled("vfork");
  return fork();
}

int posix_spawn(pid_t* child, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const* arguments,
                char* const* environment) {
  static const auto call = real<decltype(&::posix_spawn)>("posix_spawn");
  if (controlled()) starts_uncontrolled(__func__);
  return call(child, path, actions, attributes, arguments, environment);
}

int posix_spawnp(pid_t* child, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* arguments,
                 char* const* environment) {
  static const auto call = real<decltype(&::posix_spawnp)>("posix_spawnp");
  if (controlled()) starts_uncontrolled(__func__);
  return call(child, file, actions, attributes, arguments, environment);
}

int execve(const char* path, char* const* arguments, char* const* environment) noexcept {
  if (controlled()) starts_uncontrolled(__func__);
  return static_cast<int>(
      answer(raw_call(SYS_execve, word(path), word(arguments), word(environment))));
}

int execv(const char* path, char* const* arguments) noexcept {
  return execve(path, arguments, environ);
}

int execvp(const char* file, char* const* arguments) noexcept {
  static const auto call = real<int (*)(const char*, char* const*)>(__func__);
  if (controlled()) starts_uncontrolled(__func__);
  return call(file, arguments);
}

int system(const char* command) {
  static const auto call = real<int (*)(const char*)>("system");
  if (controlled()) starts_uncontrolled(__func__);
  return call(command);
}

FILE* popen(const char* command, const char* type) {
  static const auto call = real<FILE* (*)(const char*, const char*)>("popen");
  if (controlled()) starts_uncontrolled(__func__);
  return call(command, type);
}

}  // extern "C"
