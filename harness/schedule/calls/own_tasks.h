// The threads and processes that a transport starts itself: auxiliary lanes (control.h). Internal
// to calls/thread.cc, calls/process.cc and those who run or end lanes.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace ipctorture::schedule {

// The life of a thread, on the fiber of its lane.
void live_as_thread(unsigned lane);
// Destroys the thread_local variables of the running lane, and what it has under pthread keys.
void run_thread_exits();

// The process that the lanes are in, and those that it started and that go down with it.
std::uint32_t lanes_going_with(unsigned process);
// A signal was sent to a process: if it is the end of one that the transport started, that is over
// when this returns.
void bury_if_killed(pid_t process, int signal);

}  // namespace ipctorture::schedule
