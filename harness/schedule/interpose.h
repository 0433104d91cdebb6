// How the C library's calls are taken over: the executable defines them, so that the transport's
// shared object and whatever libraries it uses bind to ours; real() finds the library's own.
//
// The way of each call:
//   if (!controlled()) return the real call;             // the harness itself, or nobody's turn
//   point(...)                                           // others may go first
//   try without blocking;
//   would it block? wait_to_retry(...) or wait_for_key(...), then try again
//   done: order its users (release_to, acquire_from), effect(classes), note_value(result)
//
// Under Uncontrolled every call is the real one.
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

// The next definition of a function, behind ours. Found once per place of use.
//   static const auto call = real<decltype(&::shm_open)>("shm_open");
template <typename Function>
Function real(const char* name) {
  const Uncontrolled uncontrolled;  // dlsym may allocate
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// A system call around every wrapper: -errno when it fails.
long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);
// As the C library's wrapper answers: -1 and errno.
inline long answer(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}
template <typename Pointer>
long word(Pointer* pointer) {
  return reinterpret_cast<long>(pointer);
}

// Virtual time, of every clock (calls/time.cc). CLOCK_REALTIME runs at a fixed distance.
std::int64_t clock_ns(clockid_t clock);
// A timeout of a call as a virtual deadline: null is 0, none; and an absolute one likewise. One
// that has passed is 1.
std::int64_t deadline_in(const timespec* timeout);
std::int64_t deadline_at(const timespec* when, clockid_t clock);
// The earlier of a deadline and what this lane's timers will interrupt; of deadlines, 0 is none.
std::int64_t with_interrupts(std::int64_t deadline);
// After a wait that ended by its deadline: did a timer interrupt it (EINTR) rather than its own
// deadline (`deadline`)?
bool interrupted_by_timer(std::int64_t deadline);

// The key of an object in memory that is not shared: of this process, and the same in every run,
// wherever the loader and the kernel put stacks, heaps and code.
std::uint64_t private_key(const void* address);
// The key of a futex: where it is shared, the same in every process; a private one is looked up by
// address space, whatever the memory behind it. no_canonical where no shared memory is mapped.
std::uint64_t futex_key(const void* address, bool is_private);

// The object behind a descriptor, for ordering its users: its device and inode; of a socket one
// number for all sockets.
std::uint64_t object_of_descriptor(int fd);

}  // namespace ipctorture::schedule
