// The only file (with clock.cc) that reads a clock. Three kinds of time:
//  - Instant: nanoseconds of CLOCK_MONOTONIC, for deadlines and supervision;
//  - Stamp: ticks of the fastest clock that orders events between processes of this machine, for
//    the journal (x86-64: the time stamp counter where it is invariant; aarch64: cntvct_el0;
//    elsewhere CLOCK_MONOTONIC in nanoseconds);
//  - calendar time for the names of runs.
//
// A plain rdtsc may run ahead of the core's own earlier stores (the store buffer). So stamps come
// in two kinds: `stamp_plain` for latency, and `stamp_begin`/`stamp_end`, fenced so that "a
// returned before b was invoked" can be claimed (Intel SDM vol. 3, 18.17; measured: facts in
// docs/checks.md).
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <string>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace ipctorture {

using Instant = std::int64_t;  // ns of CLOCK_MONOTONIC
using Stamp = std::uint64_t;   // ticks, see above

Instant monotonic_now();                // async-signal-safe
std::string calendar_utc();             // "20261122T213600Z"; for people and names only
timespec to_timespec(Instant instant);  // absolute, CLOCK_MONOTONIC
bool is_ahead(const timespec& when, clockid_t clock);  // has that clock not come so far yet?

enum class StampSource : std::uint32_t { monotonic = 0, hardware = 1 };

// What this machine's stamps are worth; measured once by the supervisor, before workers start.
struct StampProperties {
  StampSource source = StampSource::monotonic;
  double ticks_per_ns = 1.0;
  Stamp slack_ticks = 0;  // real-time order is claimed only beyond this distance
};
// Decides the source (the counter must be invariant and synchronised), its rate, and the slack, by
// both litmus directions between two cores (about 3 ms; docs/checks.md). `precise` measures longer.
StampProperties measure_stamps();

namespace clock_detail {
Stamp monotonic_stamp();
}

inline Stamp stamp_plain(StampSource source) {
#if defined(__x86_64__)
  if (source == StampSource::hardware) [[likely]]
    return __rdtsc();
#elif defined(__aarch64__)
  if (source == StampSource::hardware) [[likely]] {
    Stamp ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
  }
#endif
  return clock_detail::monotonic_stamp();
}
// Taken right before an operation: nothing of the operation starts before it.
inline Stamp stamp_begin(StampSource source) {
#if defined(__x86_64__)
  _mm_lfence();
  const Stamp stamp = stamp_plain(source);
  _mm_lfence();
  return stamp;
#else
#if defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
  const Stamp stamp = stamp_plain(source);
#if defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
  return stamp;
#endif
}
// Taken right after an operation: everything of the operation, its stores included, is visible.
inline Stamp stamp_end(StampSource source) {
#if defined(__x86_64__)
  _mm_mfence();
  _mm_lfence();
#elif defined(__aarch64__)
  asm volatile("dsb ish; isb" ::: "memory");
#endif
  return stamp_plain(source);
}

// Until when an operation may wait: not at all, for ever, or until an instant. A value.
class Deadline {
 public:
  static constexpr Deadline now() { return Deadline(0); }
  static constexpr Deadline never() { return Deadline(forever); }
  static constexpr Deadline at(Instant instant) {
    return Deadline(instant < 1 ? 1 : (instant >= forever ? forever - 1 : instant));
  }
  static Deadline in(std::chrono::nanoseconds duration) {
    return at(monotonic_now() + duration.count());
  }

  constexpr bool is_now() const { return when_ == 0; }
  constexpr bool is_never() const { return when_ == forever; }
  constexpr bool is_timed() const { return when_ > 0 && when_ < forever; }
  constexpr Instant instant() const { return when_; }  // meaningful when is_timed()

  // True for `now`; reads the clock only when timed.
  bool passed() const { return is_now() || (is_timed() && monotonic_now() >= when_); }
  // ns until it passes, at least 0; forever when it never does.
  Instant remaining() const;
  // For poll(2): 0 for now, -1 for never, else milliseconds rounded up.
  int poll_ms() const;
  // For ppoll(2), semtimedop(2), sigtimedwait(2): a duration. Not for `never`: pass null then.
  timespec remaining_timespec() const;
  // For futex(FUTEX_WAIT_BITSET), pthread_cond_clockwait: absolute on CLOCK_MONOTONIC. `now` gives
  // the epoch; not for `never`.
  timespec monotonic_timespec() const { return to_timespec(when_); }
  // For mq_timedsend(3), sem_timedwait(3), which know the calendar clock only: absolute on
  // CLOCK_REALTIME. That clock may be set: whoever is woken asks passed() and waits again.
  timespec realtime_timespec() const;

 private:
  static constexpr Instant forever = INT64_MAX;
  constexpr explicit Deadline(Instant when) : when_(when) {}
  Instant when_;
};

}  // namespace ipctorture
