// Waiting for descriptors: poll(2), select(2), epoll_wait(2) and their families. Each attempt is
// the call itself with a timeout of zero; in between the lane waits for whatever any other lane
// does.
//
// Where it stops: of the signals that a p-variant lets in, those are noticed that were blocked
// before. What is ready after a TCP segment passed the kernel's own queues is seen a moment late.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <cstring>

#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring.h"

extern "C" [[noreturn]] void __chk_fail() noexcept;

namespace ipctorture::schedule {
namespace {

constexpr long kernel_set_bytes = 8;  // of a sigset_t, what the kernel looks at
constexpr long ns_per_ms = 1'000'000;
constexpr long ns_per_s = 1'000'000'000;

timespec from_ms(int ms) { return {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * ns_per_ms}; }

bool is_zero(const timespec* timeout) {
  return timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

// Null timeout: none. `look` looks at once; `show` makes timers among what it looks at show that
// they expired, and says when there will be more to show.
template <typename Show, typename Look>
long wait_ready(int key, const timespec* timeout, const void* pc, Show show, Look look) {
  const Call call{.at = Point::poll,
                  .key = static_cast<std::uint32_t>(key),
                  .waits_for = effect_any,
                  .deadline = deadline_in(timeout),
                  .late = 0};
  const auto next = [&] {
    return earlier(earlier(show(), next_blocked_signal()), next_of_rings());
  };
  return make_timed_call(call, pc, next, [&] {
    send_expired_signals();
    progress_rings(pc);
    show();
    const long result = look();
    return result == 0 && !is_zero(timeout) ? would_block : result;
  });
}

// --- poll

long raw_poll(pollfd* all, nfds_t count, const timespec* timeout, const sigset_t* signals) {
  // The kernel writes what is left into the timeout.
  timespec copy{};
  if (timeout != nullptr) copy = *timeout;
  return raw_call(SYS_ppoll, word(all), static_cast<long>(count),
                  timeout == nullptr ? 0 : word(&copy), word(signals), kernel_set_bytes);
}

long poll_all(pollfd* all, nfds_t count, const timespec* timeout, const sigset_t* signals,
              const void* pc) {
  if (!controlled()) return raw_poll(all, count, timeout, signals);
  constexpr timespec at_once{};
  const int key = count > 0 ? all[0].fd : 0;
  const auto show = [&] {
    std::int64_t next = show_watched_timers();  // an epoll set may be among them
    for (nfds_t i = 0; i < count; ++i) next = earlier(next, show_timer(all[i].fd));
    return next;
  };
  const long result =
      wait_ready(key, timeout, pc, show, [&] { return raw_poll(all, count, &at_once, signals); });
  for (nfds_t i = 0; result > 0 && i < count; ++i) {
    if (all[i].revents != 0) order_users_of_descriptor(Users::acquire, all[i].fd);
  }
  return result;
}

// --- select

struct Sets {
  fd_set* of[3];  // readable, writable, exceptional; null: nobody asks
};

long raw_select(int count, const Sets& sets, const timespec* timeout, const sigset_t* signals) {
  timespec copy{};
  if (timeout != nullptr) copy = *timeout;
  const struct {
    const sigset_t* signals;
    std::size_t bytes;
  } mask{signals, kernel_set_bytes};
  return raw_call(SYS_pselect6, count, word(sets.of[0]), word(sets.of[1]), word(sets.of[2]),
                  timeout == nullptr ? 0 : word(&copy), word(&mask));
}

long select_all(int count, const Sets& sets, const timespec* timeout, const sigset_t* signals,
                const void* pc) {
  if (count > FD_SETSIZE) blocks_uncontrolled("select of more than FD_SETSIZE descriptors");
  fd_set asked[3];
  for (int i = 0; i < 3; ++i) {
    if (sets.of[i] != nullptr) asked[i] = *sets.of[i];
  }
  constexpr timespec at_once{};
  const auto show = [&] {
    std::int64_t next = show_watched_timers();
    for (int fd = 0; fd < count; ++fd) {
      if (sets.of[0] != nullptr && FD_ISSET(fd, &asked[0])) next = earlier(next, show_timer(fd));
    }
    return next;
  };
  const long result = wait_ready(count, timeout, pc, show, [&] {
    for (int i = 0; i < 3; ++i) {
      if (sets.of[i] != nullptr) *sets.of[i] = asked[i];
    }
    return raw_select(count, sets, &at_once, signals);
  });
  for (int fd = 0; result > 0 && fd < count; ++fd) {
    for (const fd_set* set : sets.of) {
      if (set != nullptr && FD_ISSET(fd, set)) order_users_of_descriptor(Users::acquire, fd);
    }
  }
  return result;
}

// --- epoll

long raw_epoll(int epoll, epoll_event* events, int count, const timespec* timeout,
               const sigset_t* signals) {
  return raw_call(SYS_epoll_pwait2, epoll, word(events), count, word(timeout), word(signals),
                  kernel_set_bytes);
}

long epoll_all(int epoll, epoll_event* events, int count, const timespec* timeout,
               const sigset_t* signals, const void* pc) {
  const long result = wait_ready(epoll, timeout, pc, show_watched_timers, [&] {
    return raw_call(SYS_epoll_pwait, epoll, word(events), count, 0, word(signals),
                    kernel_set_bytes);
  });
  if (result > 0) {
    note_kernel_call();  // what was reported once may not be reported again
    acquire_object(any_descriptor);
  }
  return result;
}

long epoll_ms(int epoll, epoll_event* events, int count, int ms, const sigset_t* signals,
              const void* pc) {
  if (!controlled()) {
    return raw_call(SYS_epoll_pwait, epoll, word(events), count, ms, word(signals),
                    kernel_set_bytes);
  }
  const timespec timeout = from_ms(ms);
  return epoll_all(epoll, events, count, ms < 0 ? nullptr : &timeout, signals, pc);
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int poll(pollfd* all, nfds_t count, int ms) {
  const timespec timeout = from_ms(ms);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(poll_all(all, count, ms < 0 ? nullptr : &timeout, nullptr, pc)));
}

int ppoll(pollfd* all, nfds_t count, const timespec* timeout, const sigset_t* signals) {
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(poll_all(all, count, timeout, signals, pc)));
}

int pselect(int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
            const timespec* timeout, const sigset_t* signals) {
  const Sets sets{{readable, writable, exceptional}};
  if (!controlled()) return static_cast<int>(answer(raw_select(count, sets, timeout, signals)));
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(select_all(count, sets, timeout, signals, pc)));
}

// Unlike pselect it says how much of the timeout is left.
int select(int count, fd_set* readable, fd_set* writable, fd_set* exceptional, timeval* timeout) {
  static const auto call = real<int (*)(int, fd_set*, fd_set*, fd_set*, timeval*)>("select");
  if (!controlled()) return call(count, readable, writable, exceptional, timeout);
  const Sets sets{{readable, writable, exceptional}};
  timespec wait{};
  if (timeout != nullptr) wait = {.tv_sec = timeout->tv_sec, .tv_nsec = timeout->tv_usec * 1000};
  const timespec* how_long = timeout == nullptr ? nullptr : &wait;
  const std::int64_t deadline = deadline_in(how_long);
  const void* pc = __builtin_return_address(0);
  const long result = select_all(count, sets, how_long, nullptr, pc);
  if (timeout != nullptr) {
    const std::int64_t left = deadline > control->time ? deadline - control->time : 0;
    *timeout = {.tv_sec = left / ns_per_s, .tv_usec = left % ns_per_s / 1000};
  }
  return static_cast<int>(answer(result));
}

int epoll_wait(int epoll, epoll_event* events, int count, int ms) {
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(epoll_ms(epoll, events, count, ms, nullptr, pc)));
}

int epoll_pwait(int epoll, epoll_event* events, int count, int ms, const sigset_t* signals) {
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(epoll_ms(epoll, events, count, ms, signals, pc)));
}

int epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout,
                 const sigset_t* signals) {
  if (!controlled()) {
    return static_cast<int>(answer(raw_epoll(epoll, events, count, timeout, signals)));
  }
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(epoll_all(epoll, events, count, timeout, signals, pc)));
}

// --- what _FORTIFY_SOURCE makes of them

int __poll_chk(pollfd* all, nfds_t count, int ms, size_t room) {
  if (room / sizeof(pollfd) < count) __chk_fail();
  const timespec timeout = from_ms(ms);
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(poll_all(all, count, ms < 0 ? nullptr : &timeout, nullptr, pc)));
}

int __ppoll_chk(pollfd* all, nfds_t count, const timespec* timeout, const sigset_t* signals,
                size_t room) {
  if (room / sizeof(pollfd) < count) __chk_fail();
  const void* pc = __builtin_return_address(0);
  return static_cast<int>(answer(poll_all(all, count, timeout, signals, pc)));
}

}  // extern "C"
