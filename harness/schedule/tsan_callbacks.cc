// What code compiled with -fsanitize=thread calls at every access to memory, defined by us instead
// of by ThreadSanitizer's runtime. Accesses outside the arena are private and cost a comparison.
// Those inside are points; the operation itself happens after the point, with nobody else running.
//
// The names and their meaning are those of compiler-rt's tsan_interface.h and
// tsan_interface_atomic.h, which clang and gcc share. The transport's copies and comparisons
// come as __wrap_memcpy and so on: its shared object is linked with --wrap
// (ci/cmake/add_explorer.cmake).
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "harness/schedule/arena.h"
#include "harness/schedule/hostile_peer.h"
#include "harness/schedule/interpose.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

// Ours, where the compiler's number for a memory order is the C library's: both count 0 to 5.
using Order = int;

[[noreturn]] void misuse(const void* address, std::size_t bytes) {
  end_schedule(Ending::misuse,
               "access to %zu bytes at arena+0x%zx, where no shared memory is mapped", bytes,
               static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(address) - arena_begin));
}

// A page that nothing backs, on a medium that may be full by now: mmap(2), SIGBUS.
[[gnu::noinline]] void touch(std::uint64_t key, std::size_t bytes, const void* pc) {
  if (!touch_unbacked(key, bytes) || !control->shortages || !control->can_kill) return;
  if (ask(Question::unbacked, 2, pc) == 0) return;
  raw_call(SYS_tgkill, raw_call(SYS_getpid), raw_call(SYS_gettid), SIGBUS);
}

std::uint64_t key_of(const void* address, std::size_t bytes, const void* pc) {
  const std::uint64_t key = canonical(address);
  const auto* last = static_cast<const std::byte*>(address) + (bytes > 0 ? bytes - 1 : 0);
  if (key == no_canonical || !in_arena(last) || canonical(last) == no_canonical) {
    misuse(address, bytes);
  }
  ++control->shared_accesses;
  if (objects->unbacked_pages != 0) [[unlikely]]
    touch(key, bytes, pc);
  return key;
}

[[gnu::noinline]] void shared_access(const void* address, std::size_t bytes, bool writes,
                                     const void* pc) {
  if (!controlled()) return;
  const std::uint64_t key = key_of(address, bytes, pc);
  point(writes ? Point::write : Point::read, key, pc);
  if (!writes && control->hostile) alter(address, bytes, pc);
  if (control->detect_races) check_access(control->memory, key, bytes, writes, Access::plain);
}

inline void on_access(const void* address, std::size_t bytes, bool writes, const void* pc) {
  if (in_arena(address)) [[unlikely]]
    shared_access(address, bytes, writes, pc);
}

// --- atomics

template <typename T>
std::uint64_t widened(T value) {
  if constexpr (sizeof(T) > 8) {
    return static_cast<std::uint64_t>(value);
  } else {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
}

bool models(std::size_t bytes) {
  return (control->detect_races || control->weak_memory) && bytes <= 8;
}

// An atomic in a process' own memory, where the process has threads: it orders them, and whoever
// waits for it in a loop must let the others go on. Many share an object: of orders there may be
// too many, so races in shared memory may be missed, but never too few.
[[gnu::noinline]] void own_atomic(Point at, const void* address, const void* pc) {
  constexpr std::uint64_t tag = std::uint64_t{1} << 54, objects_of_these = 64;
  const std::uint64_t key = private_key(address);
  point(at, key, pc);
  if (!control->detect_races) return;
  const std::uint64_t object = tag | (key / 8 % objects_of_these);
  if (at != Point::atomic_store) acquire_from(control->memory, object);
  if (at != Point::atomic_load) release_to(control->memory, object);
}

inline void before_own_atomic(Point at, const void* address, const void* pc) {
  if (controlled() && control->lanes > control->workload_lanes) [[unlikely]]
    own_atomic(at, address, pc);
}

template <typename T>
[[gnu::noinline]] T shared_load(const volatile T* address, Order order, const void* pc) {
  auto* plain = const_cast<T*>(address);
  const std::uint64_t key = key_of(plain, sizeof(T), pc);
  point(Point::atomic_load, key, pc);
  if (control->hostile) alter(plain, sizeof(T), pc);
  T value = __atomic_load_n(plain, __ATOMIC_SEQ_CST);
  if (models(sizeof(T))) {
    check_access(control->memory, key, sizeof(T), false, Access::atomic);
    const std::uint64_t modelled = model_load(control->memory, key, widened(value), order,
                                              sizeof(T), control->weak_memory, pc);
    std::memcpy(&value, &modelled, std::min<std::size_t>(sizeof value, 8));
  }
  note_value(widened(value));
  return value;
}

template <typename T>
inline T atomic_load(const volatile T* address, Order order, const void* pc) {
  auto* plain = const_cast<T*>(address);
  if (!in_arena(plain) || !controlled()) {
    before_own_atomic(Point::atomic_load, plain, pc);
    return __atomic_load_n(plain, __ATOMIC_SEQ_CST);
  }
  return shared_load(address, order, pc);
}

void model_change(std::uint64_t key, std::size_t bytes, std::uint64_t before, std::uint64_t after,
                  Order order, bool update) {
  if (!models(bytes)) return;
  MemoryModel& memory = control->memory;
  check_access(memory, key, bytes, true, Access::atomic);
  model_store(memory, key, before, after, order, static_cast<unsigned>(bytes), update);
}

template <typename T>
[[gnu::noinline]] void shared_store(volatile T* address, T value, Order order, const void* pc) {
  auto* plain = const_cast<T*>(address);
  const std::uint64_t key = key_of(plain, sizeof(T), pc);
  point(Point::atomic_store, key, pc);
  note_value(widened(value));
  const T before = __atomic_exchange_n(plain, value, __ATOMIC_SEQ_CST);
  model_change(key, sizeof(T), widened(before), widened(value), order, false);
  point(Point::after_store, key, pc);
}

template <typename T>
inline void atomic_store(volatile T* address, T value, Order order, const void* pc) {
  auto* plain = const_cast<T*>(address);
  if (!in_arena(plain) || !controlled()) {
    before_own_atomic(Point::atomic_store, plain, pc);
    __atomic_store_n(plain, value, order == __ATOMIC_SEQ_CST ? __ATOMIC_SEQ_CST : __ATOMIC_RELEASE);
    return;
  }
  shared_store(address, value, order, pc);
}

// `change`: from the old value to the new one.
template <typename T, typename Change>
inline T atomic_update(volatile T* address, Order order, const void* pc, Change change) {
  auto* plain = const_cast<T*>(address);
  const bool counts = in_arena(plain) && controlled();
  std::uint64_t key = 0;
  if (counts) {
    key = key_of(plain, sizeof(T), pc);
    point(Point::atomic_update, key, pc);
  } else {
    before_own_atomic(Point::atomic_update, plain, pc);
  }
  T before = __atomic_load_n(plain, __ATOMIC_SEQ_CST);
  T after = change(before);
  while (!__atomic_compare_exchange_n(plain, &before, after, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST)) {
    after = change(before);
  }
  if (counts) {
    note_value(widened(after));
    model_change(key, sizeof(T), widened(before), widened(after), order, true);
    point(Point::after_store, key, pc);
  }
  return before;
}

template <typename T>
inline bool atomic_compare_exchange(volatile T* address, T* expected, T desired, Order order,
                                    Order failure, const void* pc) {
  auto* plain = const_cast<T*>(address);
  if (!in_arena(plain) || !controlled()) {
    before_own_atomic(Point::atomic_update, plain, pc);
    return __atomic_compare_exchange_n(plain, expected, desired, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
  }
  const std::uint64_t key = key_of(plain, sizeof(T), pc);
  point(Point::atomic_update, key, pc);
  T before = *expected;
  const bool done = __atomic_compare_exchange_n(plain, &before, desired, false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_SEQ_CST);
  note_value(widened(done ? desired : before));
  if (done) {
    model_change(key, sizeof(T), widened(before), widened(desired), order, true);
    point(Point::after_store, key, pc);
    return true;
  }
  if (models(sizeof(T))) {
    check_access(control->memory, key, sizeof(T), false, Access::atomic);
    model_load(control->memory, key, widened(before), failure, sizeof(T), false, pc);
  }
  *expected = before;
  return false;
}

void thread_fence(Order order, const void* pc) {
  if (!controlled()) return;
  point(Point::fence, static_cast<std::uint64_t>(order), pc);
  if (control->detect_races || control->weak_memory) model_fence(control->memory, order);
}

// --- copies

enum class Moves { copy, move };

// Of a copy between shared memory and a block that the lane allocated: are the bytes there?
void check_room(const void* to, const void* from, std::size_t bytes) {
  const std::size_t room = to != nullptr ? room_at(to) : from != nullptr ? room_at(from) : SIZE_MAX;
  if (bytes <= room) return;
  end_schedule(Ending::misuse, "a copy of %zu bytes %s a block that has %zu there", bytes,
               to != nullptr ? "into" : "from", room);
}

[[gnu::noinline]] void shared_copy(std::byte* to, const std::byte* from, std::size_t bytes,
                                   Moves how, const void* pc) {
  const bool shared_to = in_arena(to), shared_from = in_arena(from);
  const std::uint64_t to_key = shared_to ? key_of(to, bytes, pc) : 0;
  const std::uint64_t from_key = shared_from ? key_of(from, bytes, pc) : 0;
  point(Point::copy, shared_to ? to_key : from_key, pc);
  if (control->detect_races) {
    MemoryModel& memory = control->memory;
    if (shared_from) check_access(memory, from_key, bytes, false, Access::plain);
    if (shared_to) check_access(memory, to_key, bytes, true, Access::plain);
  }
  if (control->hostile) check_room(shared_to ? nullptr : to, shared_from ? nullptr : from, bytes);
  constexpr std::size_t whole = 16;  // longer ones may be seen half done
  if (how == Moves::move || bytes <= whole) {
    std::memmove(to, from, bytes);
    return;
  }
  std::memcpy(to, from, bytes / 2);
  point(Point::copy, (shared_to ? to_key : from_key) + bytes / 2, pc);
  std::memcpy(to + bytes / 2, from + bytes / 2, bytes - bytes / 2);
}

inline void* copied(void* to, const void* from, std::size_t bytes, Moves how, const void* pc) {
  const bool shared = in_arena(to) || in_arena(from);
  if (shared && controlled() && bytes > 0) {
    shared_copy(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes, how, pc);
    return to;
  }
  return how == Moves::copy ? std::memcpy(to, from, bytes) : std::memmove(to, from, bytes);
}

inline void* filled(void* to, int value, std::size_t bytes, const void* pc) {
  if (in_arena(to) && bytes > 0) shared_access(to, bytes, true, pc);
  return std::memset(to, value, bytes);
}

// --- comparisons and strings. How much of a string is read depends on what is there after the
// point.

constexpr std::size_t any_length = PTRDIFF_MAX;

// A point before the first of two places that is shared. False: neither is.
inline bool begins_to_read(const void* a, const void* b, const void* pc) {
  if ((!in_arena(a) && !in_arena(b)) || !controlled()) [[likely]]
    return false;
  const std::uint64_t a_key = in_arena(a) ? key_of(a, 1, pc) : 0;
  const std::uint64_t b_key = in_arena(b) ? key_of(b, 1, pc) : 0;
  point(Point::read, in_arena(a) ? a_key : b_key, pc);
  return true;
}

void did_read(const void* address, std::size_t bytes) {
  if (!in_arena(address) || bytes == 0) return;
  const std::uint64_t key = key_of(address, bytes, nullptr);
  if (control->detect_races) check_access(control->memory, key, bytes, false, Access::plain);
}

inline int compared(const void* a, const void* b, std::size_t bytes, const void* pc) {
  if (bytes > 0 && begins_to_read(a, b, pc)) {
    did_read(a, bytes);
    did_read(b, bytes);
  }
  return std::memcmp(a, b, bytes);
}

inline const void* found(const void* in, int value, std::size_t bytes, const void* pc) {
  const bool shared = bytes > 0 && begins_to_read(in, nullptr, pc);
  const void* at = std::memchr(in, value, bytes);
  if (shared) {
    const auto* begin = static_cast<const std::byte*>(in);
    const auto* end = at == nullptr ? begin + bytes : static_cast<const std::byte*>(at) + 1;
    did_read(in, static_cast<std::size_t>(end - begin));
  }
  return at;
}

// Up to `most` bytes, with the one that ends it.
inline std::size_t length(const char* text, std::size_t most, const void* pc) {
  const bool shared = most > 0 && begins_to_read(text, nullptr, pc);
  const std::size_t length = ::strnlen(text, most);
  if (shared) did_read(text, length < most ? length + 1 : most);
  return length;
}

inline int texts_compared(const char* a, const char* b, std::size_t most, const void* pc) {
  if (most > 0 && begins_to_read(a, b, pc)) {
    std::size_t same = 0;
    while (same + 1 < most && a[same] == b[same] && a[same] != 0) ++same;
    did_read(a, same + 1);
    did_read(b, same + 1);
  }
  return std::strncmp(a, b, most);
}

// Returns where the copy ends.
inline char* text_copied(char* to, const char* from, const void* pc) {
  const std::size_t bytes = length(from, any_length, pc);
  copied(to, from, bytes + 1, Moves::copy, pc);
  return to + bytes;
}

inline char* text_copied(char* to, const char* from, std::size_t most, const void* pc) {
  const std::size_t bytes = length(from, most, pc);
  copied(to, from, bytes, Moves::copy, pc);
  filled(to + bytes, 0, most - bytes, pc);
  return to;
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

#define CALLER __builtin_return_address(0)

#define PLAIN_ACCESS(bytes)                                                                   \
  void __tsan_read##bytes(void* p) { on_access(p, bytes, false, CALLER); }                    \
  void __tsan_write##bytes(void* p) { on_access(p, bytes, true, CALLER); }                    \
  void __tsan_unaligned_read##bytes(void* p) { on_access(p, bytes, false, CALLER); }          \
  void __tsan_unaligned_write##bytes(void* p) { on_access(p, bytes, true, CALLER); }          \
  void __tsan_volatile_read##bytes(void* p) { on_access(p, bytes, false, CALLER); }           \
  void __tsan_volatile_write##bytes(void* p) { on_access(p, bytes, true, CALLER); }           \
  void __tsan_unaligned_volatile_read##bytes(void* p) { on_access(p, bytes, false, CALLER); } \
  void __tsan_unaligned_volatile_write##bytes(void* p) { on_access(p, bytes, true, CALLER); } \
  void __tsan_read_write##bytes(void* p) { on_access(p, bytes, true, CALLER); }               \
  void __tsan_unaligned_read_write##bytes(void* p) { on_access(p, bytes, true, CALLER); }

#define UPDATE(bits, T, name, expression)                         \
  T __tsan_atomic##bits##_##name(volatile T* a, T v, int order) { \
    return atomic_update(a, order, CALLER, [v](T old) -> T {      \
      (void)old;                                                  \
      return static_cast<T>(expression);                          \
    });                                                           \
  }

#define ATOMIC(bits, T)                                                                         \
  T __tsan_atomic##bits##_load(const volatile T* a, int order) {                                \
    return atomic_load(a, order, CALLER);                                                       \
  }                                                                                             \
  void __tsan_atomic##bits##_store(volatile T* a, T v, int order) {                             \
    atomic_store(a, v, order, CALLER);                                                          \
  }                                                                                             \
  UPDATE(bits, T, exchange, v)                                                                  \
  UPDATE(bits, T, fetch_add, old + v)                                                           \
  UPDATE(bits, T, fetch_sub, old - v)                                                           \
  UPDATE(bits, T, fetch_and, old& v)                                                            \
  UPDATE(bits, T, fetch_or, old | v)                                                            \
  UPDATE(bits, T, fetch_xor, old ^ v)                                                           \
  UPDATE(bits, T, fetch_nand, ~(old & v))                                                       \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* a, T* expected, T desired,      \
                                                    int order, int failure) {                   \
    return atomic_compare_exchange(a, expected, desired, order, failure, CALLER) ? 1 : 0;       \
  }                                                                                             \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* a, T* expected, T desired,        \
                                                  int order, int failure) {                     \
    return atomic_compare_exchange(a, expected, desired, order, failure, CALLER) ? 1 : 0;       \
  }                                                                                             \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* a, T expected, T desired, int order, \
                                               int failure) {                                   \
    atomic_compare_exchange(a, &expected, desired, order, failure, CALLER);                     \
    return expected;                                                                            \
  }

// The compilers call these by name; nobody includes a declaration.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_ignore_thread_begin() {}
void __tsan_ignore_thread_end() {}

PLAIN_ACCESS(1)
PLAIN_ACCESS(2)
PLAIN_ACCESS(4)
PLAIN_ACCESS(8)
PLAIN_ACCESS(16)
void __tsan_vptr_update(void** p, void*) { on_access(p, sizeof(void*), true, CALLER); }
void __tsan_vptr_read(void** p) { on_access(p, sizeof(void*), false, CALLER); }
void __tsan_read_range(void* p, unsigned long n) { on_access(p, n, false, CALLER); }
void __tsan_write_range(void* p, unsigned long n) { on_access(p, n, true, CALLER); }

ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

void __tsan_atomic_thread_fence(int order) { thread_fence(order, CALLER); }
void __tsan_atomic_signal_fence(int) {}

void* __tsan_memcpy(void* to, const void* from, unsigned long n) {
  return copied(to, from, n, Moves::copy, CALLER);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
  return copied(to, from, n, Moves::move, CALLER);
}
void* __tsan_memset(void* to, int value, unsigned long n) { return filled(to, value, n, CALLER); }
void* __wrap_memcpy(void* to, const void* from, unsigned long n) {
  return copied(to, from, n, Moves::copy, CALLER);
}
void* __wrap_memmove(void* to, const void* from, unsigned long n) {
  return copied(to, from, n, Moves::move, CALLER);
}
void* __wrap_memset(void* to, int value, unsigned long n) { return filled(to, value, n, CALLER); }

int __wrap_memcmp(const void* a, const void* b, unsigned long n) {
  return compared(a, b, n, CALLER);
}
int __wrap_bcmp(const void* a, const void* b, unsigned long n) { return compared(a, b, n, CALLER); }
void* __wrap_memchr(const void* in, int value, unsigned long n) {
  return const_cast<void*>(found(in, value, n, CALLER));
}
unsigned long __wrap_strlen(const char* text) { return length(text, any_length, CALLER); }
int __wrap_strcmp(const char* a, const char* b) { return texts_compared(a, b, any_length, CALLER); }
int __wrap_strncmp(const char* a, const char* b, unsigned long n) {
  return texts_compared(a, b, n, CALLER);
}
char* __wrap_strcpy(char* to, const char* from) {
  text_copied(to, from, CALLER);
  return to;
}
char* __wrap_stpcpy(char* to, const char* from) { return text_copied(to, from, CALLER); }
char* __wrap_strncpy(char* to, const char* from, unsigned long n) {
  return text_copied(to, from, n, CALLER);
}
char* __wrap_strcat(char* to, const char* from) {
  text_copied(to + length(to, any_length, CALLER), from, CALLER);
  return to;
}

}  // extern "C"
#pragma GCC diagnostic pop
