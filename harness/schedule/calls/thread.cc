// Threads that a transport starts itself, std::thread's too: each is a lane of its creator's
// process, on a fiber, so it takes turns as all do. What the C library keeps per thread is kept
// here instead: the id, the values of pthread keys, destructors of thread_local variables.
//
// Where it stops: of the attributes only the detached state counts; cancellation, signals to one
// thread and C11's thrd_create end the schedule. A thread that ends with a robust mutex keeps it.
// What the C library itself keeps per thread (locale, strtok, a signal mask) the lanes of a process
// share; errno, exceptions and the transport's own thread_local variables they do not.
#include <pthread.h>
#include <signal.h>
#include <threads.h>

#include <cstdlib>

#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/own_tasks.h"
#include "harness/schedule/lane_process.h"

namespace ipctorture::schedule {
namespace {

// Thrown by pthread_exit. Nobody else's.
struct ThreadExit {
  void* value;
};

// No address, so that whoever takes the id for one is seen.
constexpr pthread_t first_handle = 0x6c61'6e65'0000'0000;

pthread_t handle_of(unsigned lane) { return first_handle + lane; }

LaneControl& me() { return control->lane[current_lane]; }

// -1: it is no auxiliary lane of this process.
int thread_of(pthread_t handle) {
  const auto lane = static_cast<std::uint64_t>(handle - first_handle);
  if (lane < control->workload_lanes || lane >= control->lanes) return -1;
  return control->lane[lane].process == me().process ? static_cast<int>(lane) : -1;
}

bool is_over(int lane) {
  const Waiting waiting = control->lane[lane].waiting;
  return waiting == Waiting::finished || waiting == Waiting::dead;
}

[[noreturn]] void not_controlled(const char* call) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "%s is not controlled", call);
}

// What join and its like answer at once; 0: it can be joined.
int why_not_join(int lane) {
  if (lane < 0) return ESRCH;
  if (lane == current_lane) return EDEADLK;
  if (control->auxiliary[lane].collected) return ESRCH;
  return control->auxiliary[lane].detached ? EINVAL : 0;
}

int collect(int lane, void** value) {
  AuxiliaryLane& thread = control->auxiliary[lane];
  thread.collected = true;
  learn_from(control->memory, static_cast<unsigned>(lane));
  if (value != nullptr) *value = thread.value;
  return 0;
}

int join(pthread_t handle, void** value, std::int64_t deadline, const void* pc) {
  const int lane = thread_of(handle);
  point(Point::thread, static_cast<std::uint64_t>(lane), pc);
  if (const int error = why_not_join(lane); error != 0) return error;
  while (!is_over(lane)) {
    if (deadline != 0 && deadline <= control->time) return ETIMEDOUT;
    if (!wait_for_key(Point::thread, end_key(lane), deadline, pc)) return ETIMEDOUT;
  }
  return collect(lane, value);
}

// --- what a thread has to destroy in the end: lists in the lane's own heap

struct AtExit {
  void (*destroy)(void*);
  void* object;
  AtExit* next;
};

struct Specific {
  pthread_key_t key;
  const void* value;
  Specific* next;
};

constexpr unsigned keys_max = 1024;  // PTHREAD_KEYS_MAX
void (*destructor_of[keys_max])(void*) = {};

Specific* specific_of(pthread_key_t key) {
  auto* one = static_cast<Specific*>(control->auxiliary[current_lane].specific);
  while (one != nullptr && one->key != key) one = one->next;
  return one;
}

void destroy_specific() {
  bool again = true;
  for (int round = 0; again && round < 4; ++round) {  // PTHREAD_DESTRUCTOR_ITERATIONS
    again = false;
    auto* one = static_cast<Specific*>(control->auxiliary[current_lane].specific);
    for (; one != nullptr; one = one->next) {
      void* const value = const_cast<void*>(one->value);
      if (value == nullptr || one->key >= keys_max || destructor_of[one->key] == nullptr) continue;
      one->value = nullptr;
      destructor_of[one->key](value);
      again = true;
    }
  }
}

bool is_auxiliary_here() { return controlled() && is_auxiliary(current_lane); }

// --- pthread_once: as the C library marks it

constexpr int once_free = 0, once_running = 1, once_done = 2;

// Nobody else runs between a look and its consequence. No point before the call: libstdc++ keeps
// what std::call_once is to call in a variable that the lanes share.
int run_once(pthread_once_t* once, void (*call)(), const void* pc) {
  const std::uint64_t key = key_of_object(once);
  while (*once != once_free && *once != once_done) {
    wait_for_key(Point::mutex_lock, key, 0, pc);
  }
  if (*once == once_done) {
    acquire_object(sync_tag | key);
    return 0;
  }
  *once = once_running;
  try {
    call();
  } catch (...) {
    *once = once_free;
    wake(key, lanes_max, pc);
    throw;
  }
  *once = once_done;
  release_object(sync_tag | key);
  wake(key, lanes_max, pc);
  return 0;
}

}  // namespace

void live_as_thread(unsigned lane) {
  AuxiliaryLane& self = control->auxiliary[lane];
  try {
    self.value = self.start(self.argument);
  } catch (const ThreadExit& exit) {
    self.value = exit.value;
  }
}

void run_thread_exits() {
  while (me().at_thread_exit != nullptr) {
    auto* const last = static_cast<AtExit*>(me().at_thread_exit);
    me().at_thread_exit = last->next;
    last->destroy(last->object);
    std::free(last);
  }
  if (is_auxiliary(current_lane)) destroy_specific();
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static const auto call = real<decltype(&::pthread_create)>("pthread_create");
  if (!controlled()) return call(thread, attributes, start, argument);
  const void* pc = __builtin_return_address(0);
  point(Point::thread, control->lanes, pc);
  if (const int error = shortage(Point::thread, errors_of::thread, pc); error != 0) return error;
  const unsigned lane = add_lane(me().process);
  int detached = PTHREAD_CREATE_JOINABLE;
  if (attributes != nullptr) ::pthread_attr_getdetachstate(attributes, &detached);
  AuxiliaryLane& created = control->auxiliary[lane];
  created.start = start;
  created.argument = argument;
  created.detached = detached == PTHREAD_CREATE_DETACHED;
  prepare_thread(lane);
  *thread = handle_of(lane);
  note_value(lane);
  return 0;
}

int pthread_join(pthread_t thread, void** value) {
  static const auto call = real<int (*)(pthread_t, void**)>("pthread_join");
  if (!controlled()) return call(thread, value);
  return join(thread, value, 0, __builtin_return_address(0));
}

int pthread_tryjoin_np(pthread_t thread, void** value) noexcept {
  static const auto call = real<int (*)(pthread_t, void**)>(__func__);
  if (!controlled()) return call(thread, value);
  const int lane = thread_of(thread);
  point(Point::thread, static_cast<std::uint64_t>(lane), __builtin_return_address(0));
  if (const int error = why_not_join(lane); error != 0) return error;
  return is_over(lane) ? collect(lane, value) : EBUSY;
}

int pthread_timedjoin_np(pthread_t thread, void** value, const timespec* until) {
  static const auto call = real<int (*)(pthread_t, void**, const timespec*)>(__func__);
  if (!controlled()) return call(thread, value, until);
  return join(thread, value, deadline_at(until, CLOCK_REALTIME), __builtin_return_address(0));
}

int pthread_clockjoin_np(pthread_t thread, void** value, clockid_t clock, const timespec* until) {
  static const auto call = real<int (*)(pthread_t, void**, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(thread, value, clock, until);
  return join(thread, value, deadline_at(until, clock), __builtin_return_address(0));
}

int pthread_detach(pthread_t thread) noexcept {
  static const auto call = real<int (*)(pthread_t)>(__func__);
  if (!controlled()) return call(thread);
  const int lane = thread_of(thread);
  point(Point::thread, static_cast<std::uint64_t>(lane), __builtin_return_address(0));
  if (lane < 0 || control->auxiliary[lane].collected) return ESRCH;
  if (control->auxiliary[lane].detached) return EINVAL;
  control->auxiliary[lane].detached = true;
  return 0;
}

void pthread_exit(void* value) {
  static const auto call = real<void (*)(void*)>("pthread_exit");
  if (controlled()) {
    const bool is_thread = is_auxiliary(current_lane) && thread_of(pthread_self()) >= 0 &&
                           !control->auxiliary[current_lane].leads_process;
    if (!is_thread) not_controlled("pthread_exit of a thread that the transport did not start");
    throw ThreadExit{value};
  }
  call(value);
  __builtin_unreachable();
}

// Of a lane of the workload, the C library's own: they are one thread to it.
pthread_t pthread_self() noexcept {
  static const auto call = real<pthread_t (*)()>("pthread_self");
  return is_auxiliary_here() ? handle_of(static_cast<unsigned>(current_lane)) : call();
}

int pthread_cancel(pthread_t thread) {
  static const auto call = real<int (*)(pthread_t)>(__func__);
  if (controlled()) not_controlled(__func__);
  return call(thread);
}

// Hints, and for people.
int pthread_setname_np(pthread_t thread, const char* name) noexcept {
  static const auto call = real<int (*)(pthread_t, const char*)>(__func__);
  if (controlled() && thread_of(thread) >= 0) return 0;
  return call(thread, name);
}
int pthread_setaffinity_np(pthread_t thread, size_t bytes, const cpu_set_t* set) noexcept {
  static const auto call = real<int (*)(pthread_t, size_t, const cpu_set_t*)>(__func__);
  if (controlled() && thread_of(thread) >= 0) return 0;
  return call(thread, bytes, set);
}
int pthread_setschedparam(pthread_t thread, int policy, const sched_param* how) noexcept {
  static const auto call = real<int (*)(pthread_t, int, const sched_param*)>(__func__);
  if (controlled() && thread_of(thread) >= 0) return 0;
  return call(thread, policy, how);
}

// --- signals to one thread: that of the lanes of a process is one. These two answer with an errno.

int pthread_kill(pthread_t thread, int signal) noexcept {
  static const auto call = real<int (*)(pthread_t, int)>(__func__);
  if (!controlled()) return call(thread, signal);
  if (const int lane = thread_of(thread); lane >= 0) {
    if (signal == 0) return is_over(lane) && control->auxiliary[lane].collected ? ESRCH : 0;
    not_controlled("pthread_kill to a thread that the transport started");
  }
  const Call send{.at = Point::signal,
                  .key = static_cast<std::uint32_t>(signal),
                  .effects = effect_signal,
                  .users = Users::release,
                  .object = all_signals};
  return static_cast<int>(
      -make_call(send, __builtin_return_address(0), [&] { return -long{call(thread, signal)}; }));
}

int pthread_sigqueue(pthread_t thread, int signal, const sigval value) noexcept {
  static const auto call = real<int (*)(pthread_t, int, sigval)>(__func__);
  if (!controlled()) return call(thread, signal, value);
  if (thread_of(thread) >= 0) {
    not_controlled("pthread_sigqueue to a thread that the transport started");
  }
  const Call send{.at = Point::signal,
                  .key = static_cast<std::uint32_t>(signal),
                  .effects = effect_signal,
                  .users = Users::release,
                  .object = all_signals};
  return static_cast<int>(-make_call(send, __builtin_return_address(0),
                                     [&] { return -long{call(thread, signal, value)}; }));
}

// --- what is per thread

int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) noexcept {
  static const auto call = real<int (*)(pthread_key_t*, void (*)(void*))>(__func__);
  const int error = call(key, destructor);
  if (error == 0 && *key < keys_max) destructor_of[*key] = destructor;
  return error;
}

void* pthread_getspecific(pthread_key_t key) noexcept {
  static const auto call = real<void* (*)(pthread_key_t)>(__func__);
  if (!is_auxiliary_here()) return call(key);
  const Specific* const one = specific_of(key);
  return one == nullptr ? nullptr : const_cast<void*>(one->value);
}

int pthread_setspecific(pthread_key_t key, const void* value) noexcept {
  static const auto call = real<int (*)(pthread_key_t, const void*)>(__func__);
  if (!is_auxiliary_here()) return call(key, value);
  Specific* one = specific_of(key);
  if (one == nullptr) {
    void*& first = control->auxiliary[current_lane].specific;
    one = static_cast<Specific*>(std::malloc(sizeof *one));
    *one = {.key = key, .value = nullptr, .next = static_cast<Specific*>(first)};
    first = one;
  }
  one->value = value;
  return 0;
}

int __cxa_thread_atexit(void (*destroy)(void*), void* object, void* module) noexcept {
  static const auto call = real<int (*)(void (*)(void*), void*, void*)>("__cxa_thread_atexit");
  if (!controlled()) return call(destroy, object, module);
  auto* const one = static_cast<AtExit*>(std::malloc(sizeof(AtExit)));
  *one = {destroy, object, static_cast<AtExit*>(me().at_thread_exit)};
  me().at_thread_exit = one;
  return 0;
}

int pthread_once(pthread_once_t* once, void (*start)()) {
  static const auto call = real<int (*)(pthread_once_t*, void (*)())>("pthread_once");
  if (!controlled()) return call(once, start);
  return run_once(once, start, __builtin_return_address(0));
}

int thrd_create(thrd_t* thread, thrd_start_t start, void* argument) {
  static const auto call = real<decltype(&::thrd_create)>("thrd_create");
  if (controlled()) not_controlled(__func__);
  return call(thread, start, argument);
}

}  // extern "C"
