// What the functions that are taken over share (failing_calls.h says what for). Internal to calls/.
//
// Each is defined like this; the definition is weak, so that whoever links another (the controlled
// engine does) has that one:
//   TAKE_OVER(eventfd);
//   int eventfd(unsigned count, int flags) noexcept {
//     return make("eventfd", errors_of::new_descriptor, [=] { return next_eventfd(count, flags);
//     });
//   }
// What a call may answer is found out by other calls, which pass straight through: none of those
// used for it is one that may fail.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define IPCTORTURE_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IPCTORTURE_SANITIZED
#endif
#ifndef IPCTORTURE_SANITIZED
#define IPCTORTURE_CALLS_TAKEN_OVER
#endif

#ifndef __clang__
// The headers' attributes (nonnull, ...) are neither the type's nor the other name's.
#pragma GCC diagnostic ignored "-Wignored-attributes"
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "harness/base/clock.h"
#include "harness/launch/failing_calls.h"

namespace ipctorture::calls {

// Whom the calls of this thread ask; null: nobody.
extern constinit thread_local FailingCalls* inside;

// While it lives, nobody is asked.
class Straight {
 public:
  Straight() : before_(inside) { inside = nullptr; }
  ~Straight() { inside = before_; }
  Straight(const Straight&) = delete;
  Straight& operator=(const Straight&) = delete;

 private:
  FailingCalls* before_;
};

// True; and whoever calls one has the functions of that file linked.
bool input_taken_over();
bool objects_taken_over();
bool waits_taken_over();

// The definition behind ours. Found when the program starts, or when a library calls it before.
template <typename Function>
class Next {
 public:
  constexpr explicit Next(const char* name) : name_(name) {}
  Function find() {
    auto* found = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name_));
    function_.store(found, std::memory_order_relaxed);
    return found;
  }
  template <typename... Arguments>
  auto operator()(Arguments... arguments) {
    Function function = function_.load(std::memory_order_relaxed);
    if (function == nullptr) [[unlikely]]
      function = find();
    return function(arguments...);
  }

 private:
  const char* name_;
  std::atomic<Function> function_{nullptr};
};

// Declares it, and next_NAME.
#define TAKE_OVER(name)                                           \
  namespace {                                                     \
  constinit Next<decltype(&::name)> next_##name{#name};           \
  [[gnu::constructor]] void find_##name() { next_##name.find(); } \
  }                                                               \
  extern "C" [[gnu::weak]] decltype(::name) name

// -1 and errno where the call is refused. The arguments are copied only where somebody is asked.
template <typename Asked, typename Do>
[[gnu::noinline]] auto really_ask(const char* name, Asked may, Do call) -> decltype(call()) {
  if (const int error = inside->refuse(name, may); error != 0) {
    errno = error;
    return -1;
  }
  return call();
}
template <typename Asked, typename Do>
auto ask(const char* name, Asked may, Do call) -> decltype(call()) {
  if (inside == nullptr) [[likely]]
    return call();
  return really_ask(name, may, call);
}

// A call that never waits.
template <typename Do>
auto make(const char* name, PossibleErrors errors, Do call) -> decltype(call()) {
  return ask(name, [=] { return FailingCalls::May{.fail = errors}; }, call);
}

// A call that fails for no want of anything, but may be interrupted while it waits.
template <typename Waits, typename Do>
auto wait(const char* name, Waits waits, Do call) -> decltype(call()) {
  return ask(name, [=] { return FailingCalls::May{.fail = {}, .be_interrupted = waits()}; }, call);
}

inline bool waits(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

// Is this still to come? Null: there is no end.
inline bool ahead(const timespec* end, clockid_t clock) {
  return end == nullptr || is_ahead(*end, clock);
}
// Not zero?
inline bool lasts(const timespec* timeout) {
  return timeout == nullptr || timeout->tv_sec > 0 || timeout->tv_nsec > 0;
}

// A transport of this process watches for edges: one that is told to come again although something
// is there would wait for the next in vain.
extern std::atomic<bool> edges_matter;

}  // namespace ipctorture::calls
