// Time is virtual: every clock shows the schedule's own, which passes a little with each step and
// leaps when nobody can run. Sleeps, yields, POSIX timers, random bytes.
//
// A timer's signal is not delivered: what it is for in a transport, to interrupt a call that has
// no timeout, happens all the same (EINTR), at its virtual time. Timers of descriptors (timerfd)
// and interval timers of the process are not controlled, and said so.
#include <signal.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "harness/base/prng.h"
#include "harness/schedule/interpose.h"

extern "C" {  // ld(1): where the executable's code is
extern const char __executable_start;
extern const char etext;
}

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t calendar_ahead_ns = 1'700'000'000 * ns_per_s;  // an instant of 2023
constexpr std::uint64_t stamp_factor = 0x9e3779b97f4a7c15;
constexpr int stamp_bucket_shift = 27;  // 134 ms: the least that a checker may make something of
constexpr std::int64_t ns_max = INT64_MAX / 4;

std::int64_t ns_of(const timespec& time) {
  if (time.tv_sec > ns_max / ns_per_s) return ns_max;
  return time.tv_sec * ns_per_s + time.tv_nsec;
}

timespec spec_of(std::int64_t ns) { return {.tv_sec = ns / ns_per_s, .tv_nsec = ns % ns_per_s}; }

bool is_calendar(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

LaneControl& me() { return control->lane[current_lane]; }

// Stamps are taken by the executable's own code, transports are in a shared object.
bool is_of_harness(const void* caller) {
  const auto* address = static_cast<const char*>(caller);
  return address >= &__executable_start && address < &etext;
}

[[noreturn]] void not_controlled(const char* call) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "%s is not controlled", call);
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

std::int64_t with_interrupts(std::int64_t deadline) {
  LaneControl& lane = me();
  if (lane.interrupt_at != 0 && lane.interrupt_at <= control->time) {
    // It fired while no call could be interrupted: once only, then that was all.
    const std::int64_t every = lane.interrupt_every;
    const std::int64_t late = every == 0 ? 0 : (control->time - lane.interrupt_at) / every + 1;
    lane.interrupt_at = every == 0 ? 0 : lane.interrupt_at + late * every;
  }
  const std::int64_t timer = lane.interrupt_at;
  if (timer == 0) return deadline;
  return deadline == 0 ? timer : std::min(deadline, timer);
}

bool interrupted_by_timer(std::int64_t deadline) {
  LaneControl& lane = me();
  if (lane.interrupt_at == 0 || control->time < lane.interrupt_at) return false;
  if (deadline != 0 && deadline < lane.interrupt_at) return false;
  lane.interrupt_at = lane.interrupt_every == 0 ? 0 : control->time + lane.interrupt_every;
  return true;
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
  if (is_of_harness(__builtin_return_address(0))) {
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
  sleep_until(absolute ? deadline_at(time, clock) : deadline_in(time), __builtin_return_address(0));
  return 0;
}

int nanosleep(const timespec* time, timespec* rest) {
  static const auto call = real<decltype(&::nanosleep)>("nanosleep");
  if (!controlled()) return call(time, rest);
  sleep_until(deadline_in(time), __builtin_return_address(0));
  return 0;
}

int usleep(useconds_t us) {
  static const auto call = real<decltype(&::usleep)>("usleep");
  if (!controlled()) return call(us);
  const timespec time = spec_of(std::int64_t{us} * 1000);
  sleep_until(deadline_in(&time), __builtin_return_address(0));
  return 0;
}

unsigned sleep(unsigned seconds) {
  static const auto call = real<decltype(&::sleep)>("sleep");
  if (!controlled()) return call(seconds);
  const timespec time = spec_of(std::int64_t{seconds} * ns_per_s);
  sleep_until(deadline_in(&time), __builtin_return_address(0));
  return 0;
}

int sched_yield() noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_sched_yield)));
  yield(__builtin_return_address(0));
  return 0;
}

// One timer per lane, which is what interrupting a call takes.
int timer_create(clockid_t clock, sigevent* event, timer_t* timer) noexcept {
  static const auto call = real<decltype(&::timer_create)>("timer_create");
  if (!controlled()) return call(clock, event, timer);
  *timer = reinterpret_cast<timer_t>(static_cast<std::uintptr_t>(current_lane) + 1);
  return 0;
}

int timer_settime(timer_t timer, int flags, const itimerspec* value, itimerspec* old) noexcept {
  static const auto call = real<decltype(&::timer_settime)>("timer_settime");
  if (!controlled()) return call(timer, flags, value, old);
  LaneControl& lane = me();
  const bool armed = value->it_value.tv_sec != 0 || value->it_value.tv_nsec != 0;
  const bool absolute = (flags & TIMER_ABSTIME) != 0;
  lane.interrupt_at = !armed     ? 0
                      : absolute ? deadline_at(&value->it_value, CLOCK_MONOTONIC)
                                 : deadline_in(&value->it_value);
  lane.interrupt_every = ns_of(value->it_interval);
  if (old != nullptr) *old = {};
  return 0;
}

int timer_delete(timer_t timer) noexcept {
  static const auto call = real<decltype(&::timer_delete)>("timer_delete");
  if (!controlled()) return call(timer);
  me().interrupt_at = 0;
  return 0;
}

int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old) noexcept {
  if (controlled()) not_controlled("timerfd_settime");
  return static_cast<int>(answer(raw_call(SYS_timerfd_settime, fd, flags, word(value), word(old))));
}

int setitimer(__itimer_which_t which, const itimerval* value, itimerval* old) noexcept {
  if (controlled()) not_controlled("setitimer");
  return static_cast<int>(
      answer(raw_call(SYS_setitimer, static_cast<long>(which), word(value), word(old))));
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
