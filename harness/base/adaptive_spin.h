// A short busy wait before a sleep, whose length follows what it gained lately.
//
// Going to sleep and being woken costs two system calls and a switch, some microseconds; a peer on
// another core often needs less. But where both share a core, or the peer is slow, each turn is
// stolen from it. So a wait that ended in time doubles the next one's limit, and one in vain halves
// it: on a single core the cost shrinks to a few turns.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ipctorture {

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` is no pause on most cores
#endif
}

// One per waiting place and endpoint; not thread-safe.
class AdaptiveSpin {
 public:
  // A turn is one ready() and a pause of 15 to 50 ns: 128 of cheap ones are at most about 5 us.
  explicit AdaptiveSpin(std::uint32_t turns_max = 128)
      : turns_max_(std::min(turns_max, turns_limit)) {}

  // True as soon as `ready()` is; false when the limit is reached. Asks at least once.
  template <typename Ready>
  bool until(Ready ready) {
    for (std::uint32_t turn = 0; turn < turns_; ++turn) {
      if (ready()) {
        turns_ = std::min(turns_ * 2, turns_max_);
        return true;
      }
      cpu_relax();
    }
    turns_ = std::max(turns_ / 2, turns_min);
    return false;
  }

 private:
#ifdef IPCTORTURE_CONTROLLED
  // Under control only one lane runs at a time: nothing comes while another looks.
  static constexpr std::uint32_t turns_limit = 1, turns_min = 1;
#else
  static constexpr std::uint32_t turns_limit = UINT32_MAX, turns_min = 4;
#endif
  std::uint32_t turns_max_;
  std::uint32_t turns_ = turns_max_;
};

}  // namespace ipctorture
