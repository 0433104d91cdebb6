// Timers that send a signal: timer_create(2), setitimer(2), alarm(2).
//
// A timer belongs to the lane that made it, in whose heap it lies, and its signal goes to that
// lane: by the kernel, to the own thread, so that the installed handler runs, or the signal waits
// as long as it is blocked. That is done where the lane can tell: when it gets its turn back,
// waits, or looks at the clock. A handler that runs while a call waits interrupts it.
//
// Where it stops: a handler that would run between two steps of the lane's own turn runs at its
// next call. Signals that start a thread (SIGEV_THREAD) and clocks of processor time are not
// controlled. With SA_RESTART calls on descriptors and locks of files go on, as in Linux; futex(2)
// answers EINTR.
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring.h"

namespace ipctorture::schedule {
namespace {

struct SignalTimer {
  SignalTimer* next = nullptr;
  int number = 0;  // of the lane's timers
  bool is_itimer = false;
  clockid_t clock = CLOCK_MONOTONIC;
  int signal = 0;  // 0: none is sent
  sigval value{};
  std::int64_t expires = 0;  // 0: it is not set
  std::int64_t every = 0;
  int overrun = 0;
};

LaneControl& me() { return control->lane[current_lane]; }

SignalTimer* timers_of(const LaneControl& lane) { return static_cast<SignalTimer*>(lane.timers); }

[[noreturn]] void not_controlled(const char* call, const char* why) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "%s %s is not controlled", call, why);
}

sigset_t blocked_signals() {
  sigset_t blocked{};
  raw_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, word(&blocked), 8);
  return blocked;
}

// Would the signal run a handler now? It may restart calls then.
bool is_handled(int signal, bool* restart = nullptr) {
  static const auto call = real<decltype(&::sigaction)>("sigaction");
  struct sigaction action{};
  const sigset_t blocked = blocked_signals();
  if (sigismember(&blocked, signal) == 1) return false;
  if (call(signal, nullptr, &action) != 0) return false;
  if (restart != nullptr) *restart = (action.sa_flags & SA_RESTART) != 0;
  return action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL;
}

// To the thread that all lanes of this process are.
void send_signal(const SignalTimer& timer) {
  siginfo_t info{};
  info.si_signo = timer.signal;
  info.si_code = timer.is_itimer ? SI_KERNEL : SI_TIMER;
  if (!timer.is_itimer) {
    info.si_timerid = timer.number;
    info.si_overrun = timer.overrun;
    info.si_value = timer.value;
  }
  raw_call(SYS_rt_tgsigqueueinfo, raw_call(SYS_getpid), raw_call(SYS_gettid), timer.signal,
           word(&info));
}

// To the next expiry after now; how many were missed beside the last.
void go_on(SignalTimer& timer) {
  const std::int64_t late = control->time - timer.expires;
  const std::int64_t missed = timer.every == 0 ? 0 : late / timer.every;
  timer.overrun = static_cast<int>(std::min<std::int64_t>(missed, INT32_MAX));
  timer.expires = timer.every == 0 ? 0 : timer.expires + (missed + 1) * timer.every;
}

// The last handler of a timer that interrupted a call: does it let it restart?
bool last_restarts = false;

// --- a lane that gets its turn back

void (*hand_to_lane)(int, int) = nullptr;

void hand_over(int from, int to) {
  LaneControl* lane = from < 0 ? nullptr : &control->lane[from];
  const bool waited = lane != nullptr && lane->waiting != Waiting::none;
  hand_to_lane(from, to);
  if (current_lane < 0 || current_lane != from || lane->timers == nullptr) return;
  // The handler may wait itself.
  const bool timed_out = lane->timed_out;
  if (send_expired_signals() && waited) lane->handled_at = lane->steps;
  lane->timed_out = timed_out;
}

void watch_turns() {
  if (handover.to_lane == hand_over) return;
  hand_to_lane = handover.to_lane;
  handover.to_lane = hand_over;
}

// --- making and setting

SignalTimer* new_timer() {
  void* memory = std::malloc(sizeof(SignalTimer));
  if (memory == nullptr) return nullptr;
  auto* timer = new (memory) SignalTimer;
  timer->next = timers_of(me());
  timer->number = timer->next == nullptr ? 1 : timer->next->number + 1;
  me().timers = timer;
  watch_turns();
  return timer;
}

// Calls `with` for each timer of this process, with its lane, until it answers true.
template <typename With>
SignalTimer* find_timer(With with) {
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (control->lane[lane].process != me().process) continue;
    for (SignalTimer* one = timers_of(control->lane[lane]); one != nullptr; one = one->next) {
      if (with(*one)) return one;
    }
  }
  return nullptr;
}

SignalTimer* find_timer(timer_t id) {
  return find_timer([&](const SignalTimer& one) { return static_cast<const void*>(&one) == id; });
}

itimerspec state_of(const SignalTimer& timer) {
  const std::int64_t left =
      timer.expires == 0 ? 0 : std::max<std::int64_t>(1, timer.expires - control->time);
  return {.it_interval = spec_of(timer.every), .it_value = spec_of(left)};
}

void set(SignalTimer& timer, const itimerspec& value, bool absolute) {
  timer.overrun = 0;
  timer.every = ns_of(value.it_interval);
  timer.expires = !is_set(value.it_value) ? 0
                  : absolute              ? deadline_at(&value.it_value, timer.clock)
                                          : deadline_in(&value.it_value);
}

bool is_valid(const timespec& time) {
  return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < ns_per_second;
}

SignalTimer* itimer() {
  return find_timer([](const SignalTimer& one) { return one.is_itimer; });
}

// Sets the one timer of the process; what it was set to before.
itimerspec set_itimer(const itimerspec& value, const void* pc) {
  point(Point::timer, 0, pc);
  SignalTimer* timer = itimer();
  if (timer == nullptr) {
    timer = new_timer();
    if (timer == nullptr) return {};
    timer->is_itimer = true;
    timer->signal = SIGALRM;
  }
  const itimerspec before = state_of(*timer);
  set(*timer, value, false);
  return before;
}

timespec from_timeval(const timeval& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = time.tv_usec * 1000};
}
timeval to_timeval(const timespec& time) {
  return {.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
}
itimerval to_itimerval(const itimerspec& spec) {
  return {.it_interval = to_timeval(spec.it_interval), .it_value = to_timeval(spec.it_value)};
}

}  // namespace

bool send_expired_signals() {
  bool handled = false;
  for (SignalTimer* one = timers_of(me()); one != nullptr; one = one->next) {
    if (one->expires == 0 || one->expires > control->time) continue;
    go_on(*one);
    if (one->signal == 0) continue;
    bool restart = false;
    const bool here = is_handled(one->signal, &restart);
    if (here) last_restarts = restart;
    handled = handled || here;
    send_signal(*one);
  }
  return handled;
}

std::int64_t next_signal(const sigset_t* signals) {
  std::int64_t next = 0;
  for (SignalTimer* one = timers_of(me()); one != nullptr; one = one->next) {
    if (one->signal == 0) continue;
    if (signals == nullptr || sigismember(signals, one->signal) == 1) {
      next = earlier(next, one->expires);
    }
  }
  return next;
}

std::int64_t next_blocked_signal() {
  if (me().timers == nullptr) return 0;
  const sigset_t blocked = blocked_signals();
  return next_signal(&blocked);
}

bool restarts(long result) {
  if (result != -EINTR || me().timers == nullptr || !last_restarts) return false;
  last_restarts = false;
  return true;
}

// What has passed already is handled before the wait begins: an instant in the past.
std::int64_t with_interrupts(std::int64_t deadline) {
  LaneControl& lane = me();
  constexpr std::int64_t passed = 1;
  if (lane.rings != nullptr && rings_moved()) {
    lane.handled_at = lane.steps;
    return passed;
  }
  if (lane.timers == nullptr) return deadline;
  if (lane.handled_at != 0 && lane.handled_at == lane.steps) return passed;
  if (send_expired_signals()) {
    lane.handled_at = lane.steps;
    return passed;
  }
  for (SignalTimer* one = timers_of(lane); one != nullptr; one = one->next) {
    if (one->signal != 0 && is_handled(one->signal)) deadline = earlier(deadline, one->expires);
  }
  return deadline;
}

bool interrupted_by_timer(std::int64_t deadline) {
  LaneControl& lane = me();
  if (lane.timers == nullptr && lane.handled_at == 0) return false;
  const bool before = lane.handled_at != 0 && lane.handled_at == lane.steps;
  lane.handled_at = 0;
  if (before) return true;
  const std::int64_t expiry = next_signal(nullptr);
  const bool own_first = deadline != 0 && deadline <= control->time && deadline < expiry;
  return send_expired_signals() && !own_first;
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int timer_create(clockid_t clock, sigevent* event, timer_t* id) noexcept {
  static const auto call = real<decltype(&::timer_create)>("timer_create");
  if (!controlled()) return call(clock, event, id);
  if (event != nullptr && event->sigev_notify == SIGEV_THREAD) {
    not_controlled("timer_create", "with SIGEV_THREAD");
  }
  if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
    not_controlled("timer_create", "of processor time");
  }
  SignalTimer* timer = new_timer();
  if (timer == nullptr) return static_cast<int>(answer(-EAGAIN));
  timer->clock = clock;
  timer->signal = SIGALRM;
  timer->value.sival_int = timer->number;
  if (event != nullptr) {
    timer->signal = event->sigev_notify == SIGEV_NONE ? 0 : event->sigev_signo;
    timer->value = event->sigev_value;
  }
  *id = timer;
  return 0;
}

int timer_settime(timer_t id, int flags, const itimerspec* value, itimerspec* old) noexcept {
  static const auto call = real<decltype(&::timer_settime)>("timer_settime");
  if (!controlled()) return call(id, flags, value, old);
  SignalTimer* timer = find_timer(id);
  if (timer == nullptr || value == nullptr || !is_valid(value->it_value) ||
      !is_valid(value->it_interval)) {
    return static_cast<int>(answer(-EINVAL));
  }
  point(Point::timer, 0, __builtin_return_address(0));
  const itimerspec before = state_of(*timer);
  set(*timer, *value, (flags & TIMER_ABSTIME) != 0);
  if (old != nullptr) *old = before;
  return 0;
}

int timer_gettime(timer_t id, itimerspec* value) noexcept {
  static const auto call = real<decltype(&::timer_gettime)>("timer_gettime");
  if (!controlled()) return call(id, value);
  const SignalTimer* timer = find_timer(id);
  if (timer == nullptr) return static_cast<int>(answer(-EINVAL));
  send_expired_signals();
  *value = state_of(*timer);
  return 0;
}

int timer_getoverrun(timer_t id) noexcept {
  static const auto call = real<decltype(&::timer_getoverrun)>("timer_getoverrun");
  if (!controlled()) return call(id);
  const SignalTimer* timer = find_timer(id);
  return timer == nullptr ? static_cast<int>(answer(-EINVAL)) : timer->overrun;
}

int timer_delete(timer_t id) noexcept {
  static const auto call = real<decltype(&::timer_delete)>("timer_delete");
  if (!controlled()) return call(id);
  SignalTimer* timer = find_timer(id);
  if (timer == nullptr) return static_cast<int>(answer(-EINVAL));
  SignalTimer* before = find_timer([&](const SignalTimer& one) { return one.next == timer; });
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (control->lane[lane].timers == timer) control->lane[lane].timers = timer->next;
  }
  if (before != nullptr) before->next = timer->next;
  std::free(timer);
  return 0;
}

int setitimer(__itimer_which_t which, const itimerval* value, itimerval* old) noexcept {
  if (!controlled()) {
    return static_cast<int>(
        answer(raw_call(SYS_setitimer, static_cast<long>(which), word(value), word(old))));
  }
  if (which != ITIMER_REAL) not_controlled("setitimer", "of processor time");
  const itimerspec spec{.it_interval = from_timeval(value->it_interval),
                        .it_value = from_timeval(value->it_value)};
  const itimerspec before = set_itimer(spec, __builtin_return_address(0));
  if (old != nullptr) *old = to_itimerval(before);
  return 0;
}

int getitimer(__itimer_which_t which, itimerval* value) noexcept {
  if (!controlled()) {
    return static_cast<int>(answer(raw_call(SYS_getitimer, static_cast<long>(which), word(value))));
  }
  if (which != ITIMER_REAL) not_controlled("getitimer", "of processor time");
  const SignalTimer* timer = itimer();
  *value = timer == nullptr ? itimerval{} : to_itimerval(state_of(*timer));
  return 0;
}

// Answers with whole seconds, at least one when there is anything left.
unsigned alarm(unsigned seconds) noexcept {
  static const auto call = real<decltype(&::alarm)>("alarm");
  if (!controlled()) return call(seconds);
  const itimerspec spec{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_nsec = 0}};
  const itimerspec before = set_itimer(spec, __builtin_return_address(0));
  const timespec& left = before.it_value;
  return static_cast<unsigned>(left.tv_sec) +
         (left.tv_nsec >= ns_per_second / 2 || (left.tv_sec == 0 && left.tv_nsec > 0) ? 1 : 0);
}

}  // extern "C"
