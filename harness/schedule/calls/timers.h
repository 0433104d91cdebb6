// Timers under virtual time, as the interposed calls share them: those that send a signal
// (calls/timer.cc) and those that are descriptors (calls/timerfd.cc). Nothing happens by
// itself when virtual time passes an expiry: whoever could tell looks.
#pragma once

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {

inline constexpr std::int64_t ns_per_second = 1'000'000'000;

// At most a century, so that nothing overflows.
constexpr std::int64_t ns_of(const timespec& time) {
  constexpr std::int64_t most = INT64_MAX / 4;
  if (time.tv_sec > most / ns_per_second) return most;
  return time.tv_sec * ns_per_second + time.tv_nsec;
}
constexpr timespec spec_of(std::int64_t ns) {
  return {.tv_sec = ns / ns_per_second, .tv_nsec = ns % ns_per_second};
}
constexpr bool is_set(const timespec& time) { return time.tv_sec != 0 || time.tv_nsec != 0; }

// Of instants of which 0 is none.
constexpr std::int64_t earlier(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return a + b;
  return std::min(a, b);
}

// --- timers with a signal

// Sends the running lane the signals of its timers that expired; handlers run within. True: one
// did.
bool send_expired_signals();
// The earliest expiry of the running lane's timers whose signal is in the set; of all: null.
std::int64_t next_signal(const sigset_t* signals);
// Those that are blocked now: for signalfd(2).
std::int64_t next_blocked_signal();
// After a call that answered EINTR: is it to be made again, since the handler that interrupted it
// was installed with SA_RESTART?
bool restarts(long result);
template <typename Make>
long restarting(Make make) {
  for (;;) {
    const long result = make();
    if (!restarts(result)) return result;
  }
}

// --- timers that are descriptors

// Null: it is none.
DescriptorTimer* timer_of(int fd);
// An epoll set of the running lane's process watches this descriptor from now on.
void watch_timer(int fd);
// Makes descriptors readable whose timer expired: this one, or those in epoll sets. The next expiry
// at which there is more to show; 0: none.
std::int64_t show_timer(int fd);
std::int64_t show_watched_timers();
long read_timer(int fd, void* to, std::size_t bytes, const void* pc);

// --- calls that a timer may let go on

// As make_call; `next` says when it is to be tried again though nobody did anything, 0: never.
template <typename Next, typename Attempt>
long make_timed_call(Call call, const void* pc, Next next, Attempt attempt) {
  constexpr long timer_came = would_block + 1;
  const std::int64_t deadline = call.deadline;
  const long late = call.late;
  std::int64_t timer = 0;
  point(call.at, call.key, pc);
  call.late = timer_came;
  const auto attempt_and_look = [&] {
    const long result = attempt();
    if (result == would_block) timer = next();
    call.deadline = earlier(deadline, timer);
    return result;
  };
  for (;;) {
    const long result = try_call(call, pc, attempt_and_look);
    if (result != timer_came) return result;
    const bool passed = deadline != 0 && deadline <= control->time;
    if (passed && (timer == 0 || timer > deadline)) {
      note_value(static_cast<std::uint64_t>(late));
      return late;
    }
  }
}

}  // namespace ipctorture::schedule
