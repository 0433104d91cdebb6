// Compiled into the transports' shared object, not into the harness.
#include "harness/schedule/sut.h"

#include <atomic>
#include <cstring>

unsigned ipctorture_sut_registrations(const ipctorture::Registration** to, unsigned most) {
  const auto& all = ipctorture::registrations();
  for (unsigned i = 0; i < all.size() && i < most; ++i) to[i] = &all[i];
  return static_cast<unsigned>(all.size());
}

void ipctorture_sut_touch(void* shared) {
  auto* words = static_cast<std::uint64_t*>(shared);
  std::atomic_ref(*words).store(1, std::memory_order_release);
  std::uint64_t block[4] = {1, 2, 3, 4};
  asm volatile("" : "+m"(block));  // its values are not known at compile time
  std::memcpy(words + 1, block, sizeof block);
}
