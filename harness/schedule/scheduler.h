// The heart of the controlled engine: runs in whichever lane has its turn, and hands the turn on.
// The callbacks of instrumented code (tsan_callbacks.cc) and the interposed calls (calls/)
// come here with every step.
//
// One process at a time runs, in it one lane, on a fiber; everything here is called by that lane
// and by nobody else. Nothing here allocates. Not async-signal-safe: a signal handler of a
// transport runs within its lane's step.
#pragma once

#include <cstdint>

#include "harness/base/call_errors.h"
#include "harness/schedule/control.h"
#include "harness/schedule/step.h"

namespace ipctorture::schedule {

// Null until a session began in this process.
extern Control* control;
// The lane whose code runs now; -1: the harness itself. Switched with the fibers.
extern int current_lane;

inline bool controlled() { return current_lane >= 0; }

// While one exists, calls of this lane go straight to the C library: the harness at work on a
// lane's behalf.
class Uncontrolled {
 public:
  Uncontrolled() : lane_(current_lane) { current_lane = -1; }
  ~Uncontrolled() { current_lane = lane_; }
  Uncontrolled(const Uncontrolled&) = delete;
  Uncontrolled& operator=(const Uncontrolled&) = delete;

 private:
  int lane_;
};

// The lane cannot go on. Returns when somebody woke the key (true) or the deadline passed (false).
// `deadline` 0: none.
bool wait_for_key(Point in, std::uint64_t key, std::int64_t deadline, const void* pc);
// Until another lane had an effect of these classes (true): try again. False: the deadline passed.
// `what` names the object, for people.
bool wait_to_retry(Point in, std::uint32_t classes, std::uint64_t what, std::int64_t deadline,
                   const void* pc);
// Until the director gives an order.
void wait_for_order();
// Virtual time passes.
void sleep_until(std::int64_t deadline, const void* pc);
// Wakes at most so many lanes that wait for the key; which ones is a choice. Returns how many.
unsigned wake(std::uint64_t key, unsigned most, const void* pc);
// This lane did something: whoever retries on one of these classes can run again.
void effect(std::uint32_t classes);
// A question with `answers` possible answers; 0 is the default.
unsigned ask(Question question, unsigned answers, const void* pc);
// May the running lane's call fail now? Its errors are ENOSPC and the like, 0: no more of them.
// The error that it fails with, noted for the checkers; 0: it is made.
int shortage(Point at, PossibleErrors errors, const void* pc);
// A step, without the choice to go on: the lane gives its turn away if anybody can take it.
void yield(const void* pc);

// The schedule is over. In a lane it never returns.
[[noreturn]] void end_schedule(Ending ending);
[[noreturn]] void end_schedule(Ending ending, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// A kernel call with an effect that putting memory back does not take back.
inline void note_kernel_call() { ++control->kernel_calls; }

// Everybody is ready: back to the session. Returns when this lane has its first turn.
void pause_when_ready();

// --- for those who start and end lanes

inline bool is_auxiliary(int lane) {
  return static_cast<std::uint32_t>(lane) >= control->workload_lanes;
}
// What waits for the end of an auxiliary lane, or of the processes that a process started.
constexpr std::uint64_t end_key(int lane) {
  return std::uint64_t{1} << 55 | static_cast<unsigned>(lane);
}
constexpr std::uint64_t children_key(unsigned process) { return end_key(lanes_max) + process; }
// Another lane, started by the running one, that can run at once. Ends the schedule when there are
// too many.
unsigned add_lane(unsigned process);
// "lane 1", "thread of worker 0", "child 2 of worker 0".
void name_lane(unsigned lane, char* text, unsigned bytes);

// The lane is over and its fiber must be left: hands on, or ends the schedule.
void lane_finished();
// It was told something: it no longer waits for an order.
void end_waiting_for_order(unsigned lane);
// After the process of some lanes died: they are dead, and whoever could go on because of that can
// run.
void bury(std::uint32_t lanes_mask);
// Who is next (Control::current), when no lane is there to say; false: the schedule is over, and
// Control::ending says how.
bool choose_in_session();
// Where everybody goes when a schedule ends, or a turn goes to another process: set by the session.
struct Handover {
  void (*to_lane)(int from, int to);  // returns when `from` has its turn again
  void (*to_session)();               // the schedule is over; never returns to a lane
};
extern Handover handover;
// Makes the control block new for a schedule; who waits is left alone when `keep_lanes`.
void begin_schedule();
// What a lane waits for, in words: "lane 1 waits in futex_wait for shm_ring+0x100".
void describe_waiting(unsigned lane, char* text, unsigned bytes);

// The director's part in it (controlled_stage.cc): called when a lane came to rest, and when nobody
// can run; the latter true if it gave an order.
struct Direction {
  void (*rested)();
  bool (*nobody_runs)();
  std::uint64_t (*progress)();        // grows with every operation that any lane completes
  unsigned (*worker)(unsigned lane);  // of a lane of the workload: its worker's number
};
extern Direction direction;

}  // namespace ipctorture::schedule
