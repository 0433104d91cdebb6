// A second flow of control on a stack of its own, within one thread: what a lane runs on. Switching
// costs a few nanoseconds and no system call. It keeps what the C and C++ runtimes keep per thread
// and a lane can see: errno and the exceptions in flight. Not thread-safe.
//
// The registers that the ABI lets a callee keep are on the fiber's own stack while it rests, so
// that copying the stack away and back is enough to return to an earlier moment (snapshot.h).
#pragma once

#include <cstddef>

namespace ipctorture::schedule {

struct Fiber {
  void* stack_pointer = nullptr;
  int saved_errno = 0;
  void* caught_exceptions = nullptr;  // of __cxa_eh_globals
  unsigned uncaught_exceptions = 0;
  std::byte* stack = nullptr;  // lowest address
  std::size_t stack_bytes = 0;
};

inline constexpr std::size_t fiber_stack_bytes = 256 * 1024;

// Gives it a stack, once, with a page below it that nobody may touch. Throws std::system_error.
void make_fiber(Fiber& fiber);
// Its next switch begins `entry`, which must never return.
void prepare_fiber(Fiber& fiber, void (*entry)());
// Leaves the running one, which is `from`, and goes on with `to`.
void switch_fiber(Fiber& from, Fiber& to);

}  // namespace ipctorture::schedule
