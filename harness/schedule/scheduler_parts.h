// What scheduler.cc and scheduler_lanes.cc share. Internal to them.
#pragma once

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

void make_runnable(int lane, bool timed_out);
int next_in_turn(int after);
// Lets time, or the director, make somebody runnable; how the schedule ends when neither can.
Ending move_time();
// A lane of the workload is over. When that was the last of its worker, the worker's threads are
// too, as by exit(3).
void end_threads(unsigned lane);

}  // namespace ipctorture::schedule
