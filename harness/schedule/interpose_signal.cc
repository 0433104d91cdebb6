// Signals between lanes, and the processes that a transport starts itself.
//
// A signal is sent for real. Who takes it with sigwaitinfo(2) or its like is the scheduler's to
// wait; a handler runs as soon as the kernel sees fit, in or between that process's turns.
//
// Where it stops: a handler's run does not end a call that waits (interpose_calls.h), so pause(2)
// cannot wait for one, and sigsuspend(2) sees only signals that were blocked before. Who was
// started by fork(2) runs outside the schedule, in its own time, and waiting for it is real.
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <threads.h>

#include "harness/schedule/interpose_calls.h"

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
  const long result = make_call(call, pc, [&] {
    const long signal =
        raw_call(SYS_rt_sigtimedwait, word(set), word(&taken), word(&at_once), kernel_set_bytes);
    return waits && signal == -EAGAIN ? would_block : signal;
  });
  if (result > 0 && info != nullptr) {
    *info = taken;
    if (info->si_code == SI_TKILL) info->si_code = SI_USER;  // as the C library says
  }
  return result;
}

[[noreturn]] void starts_a_thread(const char* call) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "the transport starts a thread, which is not controlled");
}

// The real call, with nobody else's turn meanwhile. What the child did is noticed when it ends.
template <typename Do>
int process_call(const void* pc, Do call) {
  const Call about{.at = Point::process, .effects = effect_any};
  return make_int_call(about, pc, [&] { return as_result(call()); });
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- sending

int kill(pid_t process, int signal) noexcept {
  const auto call = [&] { return raw_call(SYS_kill, process, signal); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(sending(signal), __builtin_return_address(0), call);
}

int sigqueue(pid_t process, int signal, const sigval value) noexcept {
  static const auto call = real<int (*)(pid_t, int, sigval)>(__func__);
  if (!controlled()) return call(process, signal, value);
  return make_int_call(sending(signal), __builtin_return_address(0),
                       [&] { return as_result(call(process, signal, value)); });
}

int raise(int signal) noexcept {
  static const auto call = real<int (*)(int)>(__func__);
  if (!controlled()) return call(signal);
  return make_int_call(sending(signal), __builtin_return_address(0),
                       [&] { return as_result(call(signal)); });
}

// These two answer with an errno.
int pthread_kill(pthread_t thread, int signal) noexcept {
  static const auto call = real<int (*)(pthread_t, int)>(__func__);
  if (!controlled()) return call(thread, signal);
  const long result = make_call(sending(signal), __builtin_return_address(0),
                                [&] { return -long{call(thread, signal)}; });
  return static_cast<int>(-result);
}

int pthread_sigqueue(pthread_t thread, int signal, const sigval value) noexcept {
  static const auto call = real<int (*)(pthread_t, int, sigval)>(__func__);
  if (!controlled()) return call(thread, signal, value);
  const long result = make_call(sending(signal), __builtin_return_address(0),
                                [&] { return -long{call(thread, signal, value)}; });
  return static_cast<int>(-result);
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
  return make_int_call(waiting(nullptr), __builtin_return_address(0), [&] {
    timespec no_time{};
    const long result = raw_call(SYS_ppoll, 0, 0, word(&no_time), word(mask), kernel_set_bytes);
    return result == 0 ? would_block : result;
  });
}

int pause() {
  static const auto call = real<int (*)()>(__func__);
  if (!controlled()) return call();
  const std::int64_t timer = with_interrupts(0);
  if (timer == 0) blocks_uncontrolled(__func__);
  sleep_until(timer, __builtin_return_address(0));
  interrupted_by_timer(0);
  return static_cast<int>(answer(-EINTR));
}

// --- processes

// A transport's own threads would run beside the schedule: said, never a pass.
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static const auto call = real<decltype(&::pthread_create)>("pthread_create");
  if (!controlled()) return call(thread, attributes, start, argument);
  starts_a_thread(__func__);
}

int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  static const auto call = real<decltype(&::thrd_create)>("thrd_create");
  if (!controlled()) return call(thread, start, argument);
  starts_a_thread(__func__);
}

// The child is nobody's lane.
pid_t fork() noexcept {
  static const auto call = real<pid_t (*)()>(__func__);
  if (!controlled()) return call();
  point(Point::process, 0, __builtin_return_address(0));
  note_kernel_call();
  const pid_t child = call();
  if (child == 0) current_lane = -1;
  return child;
}

pid_t waitpid(pid_t process, int* status, int options) {
  static const auto call = real<pid_t (*)(pid_t, int*, int)>(__func__);
  if (!controlled()) return call(process, status, options);
  return process_call(__builtin_return_address(0), [&] { return call(process, status, options); });
}

pid_t wait4(pid_t process, int* status, int options, rusage* usage) noexcept {
  static const auto call = real<pid_t (*)(pid_t, int*, int, rusage*)>(__func__);
  if (!controlled()) return call(process, status, options, usage);
  return process_call(__builtin_return_address(0),
                      [&] { return call(process, status, options, usage); });
}

}  // extern "C"
