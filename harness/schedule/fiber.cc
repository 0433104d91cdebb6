#include "harness/schedule/fiber.h"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "harness/base/descriptor.h"

// Pushes what a callee keeps, exchanges stack pointers, pops the same of the other. (System V ABI
// for x86-64, 3.2.1; AAPCS64, 6.1.)
extern "C" void ipctorture_switch_stack(void** save, void* load);
#if defined(__x86_64__)
asm(R"(
.text
.globl ipctorture_switch_stack
.type ipctorture_switch_stack, @function
ipctorture_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size ipctorture_switch_stack, .-ipctorture_switch_stack
)");
constexpr std::size_t saved_words = 7;
constexpr std::size_t return_word = 6;
#elif defined(__aarch64__)
asm(R"(
.text
.globl ipctorture_switch_stack
.type ipctorture_switch_stack, %function
ipctorture_switch_stack:
  sub sp, sp, #176
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  ret
.size ipctorture_switch_stack, .-ipctorture_switch_stack
)");
constexpr std::size_t saved_words = 22;
constexpr std::size_t return_word = 11;
#else
#error "controlled execution knows x86-64 and aarch64"
#endif

namespace ipctorture::schedule {
namespace {

// How __cxa_get_globals() begins (Itanium C++ ABI: Exception Handling, 2.2.2).
struct ExceptionGlobals {
  void* caught;
  unsigned uncaught;
};

ExceptionGlobals& exception_globals() {
  return *reinterpret_cast<ExceptionGlobals*>(abi::__cxa_get_globals());
}

constexpr std::size_t guard_bytes = 4096;

}  // namespace

void make_fiber(Fiber& fiber) {
  void* memory = ::mmap(nullptr, fiber_stack_bytes + guard_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw_system_error("mmap", "the stack of a lane");
  if (::mprotect(memory, guard_bytes, PROT_NONE) != 0) {
    throw_system_error("mprotect", "the stack of a lane");
  }
  fiber.stack = static_cast<std::byte*>(memory) + guard_bytes;
  fiber.stack_bytes = fiber_stack_bytes;
}

void prepare_fiber(Fiber& fiber, void (*entry)()) {
  auto* top = reinterpret_cast<std::uintptr_t*>(fiber.stack + fiber.stack_bytes - 64);
#if defined(__x86_64__)
  *--top = 0;  // entry's return address: the stack is 16-byte aligned above it, as after a call
#endif
  top -= saved_words;
  std::memset(top, 0, saved_words * sizeof *top);
  top[return_word] = reinterpret_cast<std::uintptr_t>(entry);
  fiber.stack_pointer = top;
  fiber.saved_errno = 0;
  fiber.caught_exceptions = nullptr;
  fiber.uncaught_exceptions = 0;
}

void switch_fiber(Fiber& from, Fiber& to) {
  ExceptionGlobals& globals = exception_globals();
  from.saved_errno = errno;
  from.caught_exceptions = globals.caught;
  from.uncaught_exceptions = globals.uncaught;
  globals.caught = to.caught_exceptions;
  globals.uncaught = to.uncaught_exceptions;
  errno = to.saved_errno;
  ipctorture_switch_stack(&from.stack_pointer, to.stack_pointer);
}

}  // namespace ipctorture::schedule
