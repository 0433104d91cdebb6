#include "harness/schedule/lane_process.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "harness/schedule/arena.h"
#include "harness/schedule/calls/own_tasks.h"
#include "harness/schedule/calls/virtual_pid.h"
#include "harness/schedule/controlled_stage.h"
#include "harness/schedule/interpose.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/session.h"
#include "harness/work/lane_life.h"

namespace ipctorture::schedule {

Crew crew;
ProcessState* process_state = nullptr;

namespace {

// One lane's life, on its fiber.
void live_as_lane(unsigned lane) {
  ControlledStage stage(setting->scenario.seed, lane);
  static std::vector<std::vector<Descriptor>> none;
  live({.scenario = &setting->scenario,
        .registration = crew.registration,
        .options = &crew.options,
        .plan = setting->plans[lane],
        .lane = setting->lanes[lane]},
       lane < crew.lane_handles.size() ? crew.lane_handles[lane] : none, stage);
}

void lane_entry() noexcept {
  const auto lane = static_cast<unsigned>(current_lane);
  if (is_auxiliary(current_lane)) {
    live_as_thread(lane);
  } else {
    live_as_lane(lane);
  }
  run_thread_exits();
  if (crew.is_child && control->auxiliary[current_lane].leads_process) leave_process(0);
  lane_finished();  // never comes back: a lane that is over is never chosen
  std::terminate();
}

Fiber& fiber_of(int lane) { return lane < 0 ? crew.main : crew.fiber[lane]; }

// To a lane, or to the harness (-1).
void enter(int from, int to) {
  current_lane = to;
  if (!crew.variables.empty()) crew.variables.exchange(from, to);
  switch_fiber(fiber_of(from), fiber_of(to));
}

bool is_mine(int lane) { return control->lane[lane].process == crew.process; }

// This process has no turn: until it has one. In a lane, returns when it is that lane's.
void wait_for_turn(int from) {
  for (;;) {
    await(control->baton[crew.process].word, -1);
    const auto command = static_cast<ProcessCommand>(control->command);
    const bool renew = crew.generation != process_state->generation;
    if (command != ProcessCommand::run || renew) {
      if (crew.is_child) raw_call(SYS_exit_group, 0);  // the schedule that it was part of is over
      // The fibers' old lives are over, this one's too.
      crew.main.caught_exceptions = nullptr;
      if (from >= 0) enter(from, -1);
      return;
    }
    const int lane = control->current;
    if (lane == from) {
      current_lane = lane;
      return;
    }
    enter(from, lane);
    return;
  }
}

void to_lane(int from, int to) {
  if (is_mine(to)) {
    enter(from, to);
    return;
  }
  current_lane = -1;
  post(control->baton[control->lane[to].process].word);
  wait_for_turn(from);
}

void to_session() {
  const int from = current_lane;
  current_lane = -1;
  if (!crew.forked) {
    enter(from, -1);
  } else {
    const bool dies = control->ending == Ending::killed;  // it is another's once we have posted
    const bool leaves = control->leaves;
    const int status = control->exit_status;
    post(control->supervisor);
    if (dies && leaves) raw_call(SYS_exit_group, status);
    if (dies) raw_call(SYS_kill, raw_call(SYS_getpid), SIGKILL);
    wait_for_turn(from);
  }
}

std::vector<unsigned> my_lanes() {
  std::vector<unsigned> lanes;
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (is_mine(static_cast<int>(lane))) lanes.push_back(lane);
  }
  return lanes;
}

}  // namespace

void post(std::atomic<std::uint32_t>& word) {
  word.store(1, std::memory_order_seq_cst);
  raw_call(SYS_futex, schedule::word(&word), FUTEX_WAKE, 1);
}

bool await(std::atomic<std::uint32_t>& word, std::int64_t ns) {
  const timespec most{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  while (word.load(std::memory_order_seq_cst) == 0) {
    const long result = raw_call(SYS_futex, schedule::word(&word), FUTEX_WAIT, 0,
                                 ns < 0 ? 0 : schedule::word(&most));
    if (result == -ETIMEDOUT && word.load() == 0) return false;
    if (result == -EINTR && ns >= 0 && word.load() == 0) return false;
  }
  word.store(0, std::memory_order_seq_cst);
  return true;
}

void install_handover() { handover = {.to_lane = to_lane, .to_session = to_session}; }

void renew_lanes() {
  crew.generation = process_state->generation;
  if (process_state->from_snapshot) {
    crew.snapshot.restore(crew.fiber, !process_state->shared_restored);
    process_state->shared_restored = true;
    return;
  }
  forget_addresses();
  for (const unsigned lane : my_lanes()) {
    clear_lane_heap(lane);
    crew.variables.begin(lane);
    prepare_fiber(crew.fiber[lane], [] { lane_entry(); });
  }
}

void prepare_thread(unsigned lane) {
  clear_lane_heap(lane);
  crew.variables.begin(lane);
  prepare_fiber(crew.fiber[lane], [] { lane_entry(); });
}

bool save_lanes() {
  return crew.snapshot.take(my_lanes(), crew.fiber, crew.variables, crew.code, crew.counting);
}

void live_as_child(unsigned lane, unsigned process, pid_t parent) {
  raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (raw_call(SYS_getppid) != parent) raw_call(SYS_exit_group, 0);
  // It goes on where it is, on the stack that it inherited.
  std::swap(crew.fiber[lane], crew.fiber[current_lane]);
  crew.process = process;
  crew.forked = crew.is_child = true;
  clear_lane_heap(lane);
  register_process(process);
  current_lane = -1;
  wait_for_turn(static_cast<int>(lane));
}

void leave_process(int status) {
  Control& c = *control;
  for (const unsigned lane : my_lanes()) {
    if (c.auxiliary[lane].leads_process) c.lane[lane].waiting = Waiting::finished;
  }
  c.kill_lane = static_cast<std::uint32_t>(current_lane);
  c.leaves = true;
  c.exit_status = status;
  end_schedule(Ending::killed);
}

void run_fibers() {
  if (crew.generation != process_state->generation) renew_lanes();
  enter(-1, control->current);
  current_lane = -1;
}

void live_as_worker(unsigned process, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) raw_call(SYS_exit_group, 0);  // it died before we asked
  // A fuzzer or a sanitizer has handlers: a worker dies of its signals all the same.
  for (const int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP}) {
    ::signal(crash, SIG_DFL);
  }
  crew.process = process;
  crew.forked = true;
  register_process(process);
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (!is_mine(static_cast<int>(lane)) && lane < crew.lane_handles.size()) {
      crew.lane_handles[lane].clear();
    }
  }
  for (;;) {
    await(control->baton[process].word, -1);
    switch (static_cast<ProcessCommand>(control->command)) {
      case ProcessCommand::run:
        run_fibers();
        // Back here for a command, or because the lanes must be made new: take this baton again.
        control->baton[process].word.store(1, std::memory_order_seq_cst);
        break;
      case ProcessCommand::save:
        if (!save_lanes()) process_state->saved = false;
        post(control->supervisor);
        break;
      case ProcessCommand::quit:
        raw_call(SYS_exit_group, 0);
    }
  }
}

void go_on_counting(std::span<std::byte> bytes) {
  if (bytes.empty()) return;
  const auto place = std::find_if(crew.counting.begin(), crew.counting.end(),
                                  [&](const auto& other) { return other.data() > bytes.data(); });
  crew.counting.insert(place, bytes);
}

}  // namespace ipctorture::schedule
