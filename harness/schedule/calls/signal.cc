// Signals between lanes.
//
// A signal is sent for real. Who takes it with sigwaitinfo(2) or its like is the scheduler's to
// wait; a handler runs as soon as the kernel sees fit, in or between that process's turns.
//
// A handler with SA_SIGINFO is called by one of ours, which shows it the process ids that the
// transport knows (virtual_pid.h).
//
// Where it stops: a handler's run does not end a call that waits (calls/call.h), but for those
// of timers (calls/timer.cc). So pause(2) cannot wait for one, and sigsuspend(2) sees only
// signals that were blocked before.
#include <signal.h>

#include "harness/schedule/calls/own_tasks.h"
#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/virtual_pid.h"

namespace ipctorture::schedule {
namespace {

constexpr long kernel_set_bytes = 8;
constexpr timespec at_once{};

Call sending(int signal) {
  return {.at = Point::signal,
          .key = static_cast<std::uint32_t>(signal),
          .effects = effect_signal,
          .users = Users::release,
          .object = all_signals};
}

Call waiting(const timespec* timeout) {
  return {.at = Point::signal,
          .waits_for = effect_signal,
          .effects = effect_signal,
          .users = Users::acquire,
          .object = all_signals,
          .deadline = deadline_in(timeout),
          .late = -EAGAIN};
}

// Takes a signal of the set, or -errno. `deaf`: is not interrupted.
long take_signal(const sigset_t* set, siginfo_t* info, const timespec* timeout, bool deaf,
                 const void* pc) {
  siginfo_t taken{};
  Call call = waiting(timeout);
  call.may_interrupt = !deaf;
  const bool waits = timeout == nullptr || timeout->tv_sec != 0 || timeout->tv_nsec != 0;
  const auto next = [&] { return next_signal(set); };
  const long result = make_timed_call(call, pc, next, [&] {
    send_expired_signals();
    const long signal =
        raw_call(SYS_rt_sigtimedwait, word(set), word(&taken), word(&at_once), kernel_set_bytes);
    return waits && signal == -EAGAIN ? would_block : signal;
  });
  if (result > 0 && info != nullptr) {
    *info = taken;
    show_virtual_pid(*info);
    if (info->si_code == SI_TKILL) info->si_code = SI_USER;  // as the C library says
  }
  return result;
}

// What the transport installed; its process's own.
using Handler = void (*)(int, siginfo_t*, void*);
Handler handlers[NSIG];

void with_virtual_pid(int signal, siginfo_t* info, void* context) {
  siginfo_t seen = *info;
  show_virtual_pid(seen);
  handlers[signal](signal, &seen, context);
}

// The next of this lane's timers whose signal the mask lets in.
std::int64_t next_signal_but(const sigset_t& mask) {
  sigset_t let_in;
  sigfillset(&let_in);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&mask, signal) == 1) sigdelset(&let_in, signal);
  }
  return next_signal(&let_in);
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- sending

int kill(pid_t process, int signal) noexcept {
  const auto call = [&] { return raw_call(SYS_kill, process, signal); };
  if (!controlled()) return static_cast<int>(answer(call()));
  process = to_real(process);
  const int result = make_int_call(sending(signal), __builtin_return_address(0), call);
  if (result == 0) bury_if_killed(process, signal);
  return result;
}

int sigqueue(pid_t process, int signal, const sigval value) noexcept {
  static const auto call = real<int (*)(pid_t, int, sigval)>(__func__);
  if (!controlled()) return call(process, signal, value);
  process = to_real(process);
  Call send = sending(signal);
  send.errors = errors_of::queue_signal;
  return make_int_call(send, __builtin_return_address(0),
                       [&] { return as_result(call(process, signal, value)); });
}

int raise(int signal) noexcept {
  static const auto call = real<int (*)(int)>(__func__);
  if (!controlled()) return call(signal);
  return make_int_call(sending(signal), __builtin_return_address(0),
                       [&] { return as_result(call(signal)); });
}

// --- waiting

int sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* timeout) {
  static const auto call = real<int (*)(const sigset_t*, siginfo_t*, const timespec*)>(__func__);
  if (!controlled()) return call(set, info, timeout);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(take_signal(set, info, timeout, false, pc)));
}

int sigwaitinfo(const sigset_t* set, siginfo_t* info) {
  static const auto call = real<int (*)(const sigset_t*, siginfo_t*)>(__func__);
  if (!controlled()) return call(set, info);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(take_signal(set, info, nullptr, false, pc)));
}

// Answers with an errno, and never EINTR.
int sigwait(const sigset_t* set, int* signal) {
  static const auto call = real<int (*)(const sigset_t*, int*)>(__func__);
  if (!controlled()) return call(set, signal);
  const long result = take_signal(set, nullptr, nullptr, true, __builtin_return_address(0));
  if (result < 0) return static_cast<int>(-result);
  *signal = static_cast<int>(result);
  return 0;
}

// A ppoll(2) of nothing lets in what the mask lets in, and says so.
int sigsuspend(const sigset_t* mask) {
  static const auto call = real<int (*)(const sigset_t*)>(__func__);
  if (!controlled()) return call(mask);
  const auto next = [&] { return next_signal_but(*mask); };
  const auto attempt = [&]() -> long {
    if (send_expired_signals()) return -EINTR;
    timespec no_time{};
    const long result = raw_call(SYS_ppoll, 0, 0, word(&no_time), word(mask), kernel_set_bytes);
    return result == 0 ? would_block : result;
  };
  return static_cast<int>(
      answer(make_timed_call(waiting(nullptr), __builtin_return_address(0), next, attempt)));
}

// A timer that has fired already is not waited for: then somebody must send a signal.
int pause() {
  static const auto call = real<int (*)()>(__func__);
  if (!controlled()) return call();
  const void* pc = __builtin_return_address(0);
  if (control->lane[current_lane].timers == nullptr) blocks_uncontrolled(__func__);
  point(Point::signal, 0, pc);
  const std::int64_t timer = with_interrupts(0);
  if (timer == 0 || timer > control->time)
    wait_to_retry(Point::signal, effect_signal, 0, timer, pc);
  interrupted_by_timer(0);
  return static_cast<int>(answer(-EINTR));
}

// --- handlers

int sigaction(int signal, const struct sigaction* action, struct sigaction* old) noexcept {
  static const auto call = real<decltype(&::sigaction)>("sigaction");
  if (signal < 1 || signal >= NSIG) return call(signal, action, old);
  const bool ours = controlled() && action != nullptr && (action->sa_flags & SA_SIGINFO) != 0 &&
                    action->sa_sigaction != nullptr;
  struct sigaction installed{};
  if (action != nullptr) installed = *action;
  const Handler before = handlers[signal];
  // Before the kernel may call it.
  if (ours) {
    handlers[signal] = action->sa_sigaction;
    installed.sa_sigaction = with_virtual_pid;
  }
  const int result = call(signal, action == nullptr ? nullptr : &installed, old);
  if (ours && result != 0) handlers[signal] = before;
  if (result == 0 && controlled() && action != nullptr) note_kernel_call();
  if (result == 0 && old != nullptr && (old->sa_flags & SA_SIGINFO) != 0 &&
      old->sa_sigaction == with_virtual_pid) {
    old->sa_sigaction = before;
  }
  return result;
}

}  // extern "C"
