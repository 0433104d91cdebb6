#include "fuzz/allocation_watch.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>

extern "C" {
[[gnu::weak]] int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*,
                                                                              std::size_t),
                                                            void (*freed)(const volatile void*));
[[gnu::weak]] std::size_t __sanitizer_get_allocated_size(const volatile void* memory);
}

namespace ipctorture {
namespace {

std::atomic<std::size_t> live{0}, peak{0};

// Called in the middle of malloc: they must not allocate.
void on_malloc(const volatile void*, std::size_t bytes) {
  const std::size_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (now > peak.load(std::memory_order_relaxed)) peak.store(now, std::memory_order_relaxed);
}
void on_free(const volatile void* memory) {
  if (memory == nullptr) return;
  // What was allocated before counting began must not make it negative.
  const std::size_t bytes = __sanitizer_get_allocated_size(memory);
  const std::size_t now = live.load(std::memory_order_relaxed);
  live.store(now - std::min(now, bytes), std::memory_order_relaxed);
}

bool hooked() {
  static const bool is = __sanitizer_install_malloc_and_free_hooks != nullptr &&
                         __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
  return is;
}

}  // namespace

std::size_t allocated_now() {
  if (hooked()) return live.load(std::memory_order_relaxed);
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::size_t allocated_peak() {
  if (!hooked()) peak.store(std::max(peak.load(), allocated_now()));
  return peak.load();
}

void restart_allocated_peak() { peak.store(allocated_now()); }

}  // namespace ipctorture
