#include "harness/schedule/interpose.h"

#include <sys/stat.h>

#include "harness/base/prng.h"
#include "harness/schedule/arena.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/lane_process.h"

namespace ipctorture::schedule {

long raw_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
#endif
}

std::uint64_t private_key(const void* address) {
  constexpr std::uint64_t memory_tag = std::uint64_t{1} << 57, elsewhere = lanes_max;
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto key = [&](std::uint64_t where, std::uint64_t offset) {
    return memory_tag | std::uint64_t{control->lane[current_lane].process} << 48 | where << 40 |
           (offset & 0xffffffff);
  };
  for (unsigned lane = 0; lane < lanes_max; ++lane) {
    const Fiber& fiber = crew.fiber[lane];
    const auto stack = reinterpret_cast<std::uintptr_t>(fiber.stack);
    if (at - stack < fiber.stack_bytes) return key(lane, at - stack);
    const auto heap = reinterpret_cast<std::uintptr_t>(&lane_heap(lane));
    if (at - heap < lane_heap_bytes) return key(lane, fiber_stack_bytes + (at - heap));
  }
  return key(elsewhere, at - reinterpret_cast<std::uintptr_t>(crew.code));
}

std::uint64_t futex_key(const void* address, bool is_private) {
  constexpr std::uint64_t private_tag = std::uint64_t{1} << 56;
  if (!in_arena(address)) return private_key(address);
  const std::uint64_t key = canonical(address);
  if (key == no_canonical || !is_private) return key;
  return private_tag | std::uint64_t{control->lane[current_lane].process} << 48 | key;
}

std::uint64_t object_of_descriptor(int fd) {
  constexpr std::uint64_t all_sockets = std::uint64_t{1} << 60;
  struct stat status{};
  const Uncontrolled uncontrolled;
  if (::fstat(fd, &status) != 0) return 0;
  if (S_ISSOCK(status.st_mode)) return all_sockets;
  return mix64(status.st_dev ^ mix64(status.st_ino)) >> 2 | std::uint64_t{1} << 63;
}

}  // namespace ipctorture::schedule
