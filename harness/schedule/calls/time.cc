// Time is virtual: every clock shows the schedule's own, which passes a little with each step and
// leaps when nobody can run. Sleeps, yields, random bytes. Timers: calls/timer.cc.
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "harness/base/prng.h"
#include "harness/schedule/calls/timers.h"

extern "C" {  // ld(1): where the executable's code is
extern const char __executable_start;
extern const char etext;
}

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t ns_per_s = ns_per_second;
constexpr std::int64_t calendar_ahead_ns = 1'700'000'000 * ns_per_s;  // an instant of 2023
constexpr std::uint64_t stamp_factor = 0x9e3779b97f4a7c15;
constexpr int stamp_bucket_shift = 27;  // 134 ms: the least that a checker may make something of

bool is_calendar(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

LaneControl& me() { return control->lane[current_lane]; }

// Stamps are taken by the executable's own code, transports are in a shared object.
bool is_of_harness(const void* caller) {
  const auto* address = static_cast<const char*>(caller);
  return address >= &__executable_start && address < &etext;
}

// Sleeps; 0, or -EINTR and how much of it was left.
int sleep_interruptibly(std::int64_t deadline, timespec* rest, const void* pc) {
  for (;;) {
    const std::int64_t until = with_interrupts(deadline);
    // Even for no time at all: others may run.
    if (until == deadline || until > control->time) sleep_until(until, pc);
    if (interrupted_by_timer(deadline)) {
      if (rest != nullptr) *rest = spec_of(std::max<std::int64_t>(0, deadline - control->time));
      return -EINTR;
    }
    if (control->time >= deadline) return 0;
  }
}

}  // namespace

std::int64_t clock_ns(clockid_t clock) {
  return control->time + (is_calendar(clock) ? calendar_ahead_ns : 0);
}

std::int64_t deadline_in(const timespec* timeout) {
  if (timeout == nullptr) return 0;
  return std::max<std::int64_t>(1, control->time + ns_of(*timeout));
}

std::int64_t deadline_at(const timespec* when, clockid_t clock) {
  if (when == nullptr) return 0;
  return std::max<std::int64_t>(1, ns_of(*when) - (is_calendar(clock) ? calendar_ahead_ns : 0));
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (!controlled()) {
    static const auto call = real<decltype(&::clock_gettime)>("clock_gettime");
    return call(clock, now);
  }
  ++control->time;  // no two readings are equal
  const bool is_stamp = is_of_harness(__builtin_return_address(0));
  if (!is_stamp && me().timers != nullptr) send_expired_signals();
  if (is_stamp) {
    control->stamp_order = (control->stamp_order ^ static_cast<std::uint64_t>(current_lane + 1) ^
                            static_cast<std::uint64_t>(control->time >> stamp_bucket_shift) << 8) *
                           stamp_factor;
    if (control->weak_memory) order_in_time(control->memory);
  }
  *now = spec_of(clock_ns(clock));
  return 0;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  if (!controlled()) {
    static const auto call = real<int (*)(timeval*, void*)>("gettimeofday");
    return call(now, zone);
  }
  const std::int64_t ns = clock_ns(CLOCK_REALTIME);
  now->tv_sec = ns / ns_per_s;
  now->tv_usec = ns % ns_per_s / 1000;
  return 0;
}

time_t time(time_t* now) noexcept {
  if (!controlled()) {
    static const auto call = real<decltype(&::time)>("time");
    return call(now);
  }
  const time_t seconds = clock_ns(CLOCK_REALTIME) / ns_per_s;
  if (now != nullptr) *now = seconds;
  return seconds;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* rest) {
  static const auto call = real<decltype(&::clock_nanosleep)>("clock_nanosleep");
  if (!controlled()) return call(clock, flags, time, rest);
  const bool absolute = (flags & TIMER_ABSTIME) != 0;
  const std::int64_t deadline = absolute ? deadline_at(time, clock) : deadline_in(time);
  return -sleep_interruptibly(deadline, absolute ? nullptr : rest, __builtin_return_address(0));
}

int nanosleep(const timespec* time, timespec* rest) {
  static const auto call = real<decltype(&::nanosleep)>("nanosleep");
  if (!controlled()) return call(time, rest);
  return static_cast<int>(
      answer(sleep_interruptibly(deadline_in(time), rest, __builtin_return_address(0))));
}

int usleep(useconds_t us) {
  static const auto call = real<decltype(&::usleep)>("usleep");
  if (!controlled()) return call(us);
  const timespec time = spec_of(std::int64_t{us} * 1000);
  return static_cast<int>(
      answer(sleep_interruptibly(deadline_in(&time), nullptr, __builtin_return_address(0))));
}

unsigned sleep(unsigned seconds) {
  static const auto call = real<decltype(&::sleep)>("sleep");
  if (!controlled()) return call(seconds);
  const timespec time = spec_of(std::int64_t{seconds} * ns_per_s);
  timespec rest{};
  if (sleep_interruptibly(deadline_in(&time), &rest, __builtin_return_address(0)) == 0) return 0;
  return static_cast<unsigned>(rest.tv_sec + (rest.tv_nsec >= ns_per_s / 2 ? 1 : 0));
}

int sched_yield() noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_sched_yield)));
  yield(__builtin_return_address(0));
  return 0;
}

// The same bytes in every replay.
ssize_t getrandom(void* to, size_t bytes, unsigned flags) {
  if (!controlled())
    return answer(raw_call(SYS_getrandom, word(to), static_cast<long>(bytes), flags));
  auto* out = static_cast<unsigned char*>(to);
  const std::uint64_t seed =
      ipctorture::mix64(static_cast<std::uint64_t>(current_lane) << 32 | me().steps);
  for (size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<unsigned char>(ipctorture::mix64(seed + i));
  return static_cast<ssize_t>(bytes);
}

int getentropy(void* to, size_t bytes) {
  static const auto call = real<decltype(&::getentropy)>("getentropy");
  if (!controlled()) return call(to, bytes);
  return getrandom(to, bytes, 0) < 0 ? -1 : 0;
}

}  // extern "C"
