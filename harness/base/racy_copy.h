// Speculative reads of shared memory that are revalidated afterwards (seqlocks, broadcast rings).
//
// By the letter of the C++ memory model a plain memcpy here is a data race. Word-wise relaxed
// atomic loads and stores are not, and cost the same on x86-64 and aarch64 (Boehm, "Can seqlocks
// get along with programming language memory models?", MSPC 2012). Both functions also tell the
// controlled engine's race detector that the access is meant. Order them with fences:
//   reader: acquire-load sequence; racy_copy; atomic_thread_fence(acquire); load sequence again
//   writer: sequence = odd; atomic_thread_fence(release); racy_store; release-store sequence = even
// `shared` must be 8-byte aligned and readable/writable up to `bytes` rounded up to 8.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ipctorture {

inline void racy_copy(std::byte* to, const std::byte* shared, std::size_t bytes) {
  auto* from = reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(shared));
  std::size_t done = 0;
  for (; done + 8 <= bytes; done += 8) {
    const std::uint64_t word = std::atomic_ref(*from++).load(std::memory_order_relaxed);
    std::memcpy(to + done, &word, 8);
  }
  if (done < bytes) {
    const std::uint64_t word = std::atomic_ref(*from).load(std::memory_order_relaxed);
    std::memcpy(to + done, &word, bytes - done);
  }
}

inline void racy_store(std::byte* shared, const std::byte* from, std::size_t bytes) {
  auto* to = reinterpret_cast<std::uint64_t*>(shared);
  std::size_t done = 0;
  for (; done + 8 <= bytes; done += 8) {
    std::uint64_t word;
    std::memcpy(&word, from + done, 8);
    std::atomic_ref(*to++).store(word, std::memory_order_relaxed);
  }
  if (done < bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, from + done, bytes - done);
    std::atomic_ref(*to).store(word, std::memory_order_relaxed);
  }
}

}  // namespace ipctorture
