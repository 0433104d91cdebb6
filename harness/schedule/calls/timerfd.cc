// timerfd_create(2) under virtual time. The descriptor is a real one, of a pipe that its only end
// both reads and writes: it holds a word as long as the timer has expired and nobody read that. So
// poll(2), epoll(7), dup(2) and passing it on work. The inode says which timer it is, in every
// process.
//
// Where it stops: a timer that was made before the workers were started is a real one, and setting
// it ends the schedule. An epoll set shows a timer to the process that put it there. It is always
// writable to poll(2). TFD_TIMER_CANCEL_ON_SET has no effect.
#include <sys/timerfd.h>

#include <cstdio>

#include "harness/schedule/calls/timers.h"

namespace ipctorture::schedule {
namespace {

LaneControl& me() { return control->lane[current_lane]; }

[[noreturn]] void not_controlled(const char* what) {
  control->said_call = "timerfd";
  end_schedule(Ending::uncontrolled, "%s is not controlled", what);
}

template <typename With>
void for_each_timer(With with) {
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    for (unsigned i = 0; i < control->lane[lane].descriptor_timers; ++i) {
      with(control->descriptor_timer[lane][i]);
    }
  }
}

bool any_timer() {
  return std::any_of(control->lane, control->lane + control->lanes,
                     [](const LaneControl& lane) { return lane.descriptor_timers > 0; });
}

bool is_behind(int fd, const DescriptorTimer& timer) {
  struct stat status{};
  return raw_call(SYS_fstat, fd, word(&status)) == 0 && status.st_dev == timer.device &&
         status.st_ino == timer.inode;
}

// Since it was set, or last read.
std::uint64_t expiries(const DescriptorTimer& timer) {
  if (timer.expires == 0 || timer.expires > control->time) return 0;
  if (timer.every == 0) return 1;
  return 1 + static_cast<std::uint64_t>((control->time - timer.expires) / timer.every);
}

// The next instant at which it shows more than it does; 0: none.
std::int64_t next_expiry(const DescriptorTimer& timer) {
  if (timer.expires == 0) return 0;
  if (timer.expires > control->time) return timer.expires;
  if (timer.every == 0) return 0;
  return timer.expires + static_cast<std::int64_t>(expiries(timer)) * timer.every;
}

void take_word(int fd) {
  const NonBlocking now(fd);
  std::uint64_t taken;
  raw_call(SYS_read, fd, word(&taken), sizeof taken);
}

std::int64_t show(DescriptorTimer& timer, int fd) {
  const std::uint64_t count = expiries(timer);
  if (count > timer.shown) {
    // Anew each time: an edge, for those who wait for edges.
    if (timer.shown > 0) take_word(fd);
    raw_call(SYS_write, fd, word(&count), sizeof count);
    note_kernel_call();
    timer.shown = count;
    effect(effect_pipe);
  }
  return next_expiry(timer);
}

// A pipe with one end.
long open_pipe(int flags) {
  int ends[2];
  if (const long error = raw_call(SYS_pipe2, word(ends), O_CLOEXEC); error < 0) return error;
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
  raw_call(SYS_close, ends[1]);
  const long both = raw_call(SYS_openat, AT_FDCWD, word(path), O_RDWR | flags);
  if (both < 0) {
    raw_call(SYS_close, ends[0]);
    return both;
  }
  const long fd = raw_call(SYS_dup3, both, ends[0], flags & O_CLOEXEC);
  raw_call(SYS_close, both);
  return fd;
}

long make_timer(clockid_t clock, int flags, const void* pc) {
  static_assert(TFD_NONBLOCK == O_NONBLOCK && TFD_CLOEXEC == O_CLOEXEC);
  if ((flags & ~(TFD_NONBLOCK | TFD_CLOEXEC)) != 0) return -EINVAL;
  if (const int error = shortage(Point::open, errors_of::new_descriptor, pc); error != 0)
    return -error;
  LaneControl& lane = me();
  if (lane.descriptor_timers == descriptor_timers_max) {
    not_controlled("more timerfds than explore can follow");
  }
  const long fd = open_pipe(flags);
  if (fd < 0) return fd;
  note_kernel_call();
  struct stat status{};
  raw_call(SYS_fstat, fd, word(&status));
  DescriptorTimer timer;
  timer.device = status.st_dev;
  timer.inode = status.st_ino;
  timer.clock = clock;
  control->descriptor_timer[current_lane][lane.descriptor_timers++] = timer;
  return fd;
}

itimerspec state_of(const DescriptorTimer& timer) {
  const std::int64_t next = next_expiry(timer);
  return {.it_interval = spec_of(timer.every),
          .it_value = spec_of(next == 0 ? 0 : std::max<std::int64_t>(1, next - control->time))};
}

void set(DescriptorTimer& timer, int fd, int flags, const itimerspec& value) {
  if (timer.shown > 0) take_word(fd);
  timer.shown = 0;
  timer.every = ns_of(value.it_interval);
  timer.expires = !is_set(value.it_value)            ? 0
                  : (flags & TFD_TIMER_ABSTIME) != 0 ? deadline_at(&value.it_value, timer.clock)
                                                     : deadline_in(&value.it_value);
}

}  // namespace

DescriptorTimer* timer_of(int fd) {
  if (!any_timer()) return nullptr;
  DescriptorTimer* found = nullptr;
  struct stat status{};
  if (raw_call(SYS_fstat, fd, word(&status)) != 0) return nullptr;
  for_each_timer([&](DescriptorTimer& one) {
    if (one.device == status.st_dev && one.inode == status.st_ino) found = &one;
  });
  return found;
}

void watch_timer(int fd) {
  if (DescriptorTimer* timer = timer_of(fd); timer != nullptr) {
    timer->watched[current_lane] = fd;
  }
}

std::int64_t show_timer(int fd) {
  DescriptorTimer* timer = timer_of(fd);
  return timer == nullptr ? 0 : show(*timer, fd);
}

std::int64_t show_watched_timers() {
  std::int64_t next = 0;
  for_each_timer([&](DescriptorTimer& timer) {
    for (unsigned lane = 0; lane < control->lanes; ++lane) {
      const int fd = timer.watched[lane];
      if (fd == 0 || control->lane[lane].process != me().process) continue;
      if (is_behind(fd, timer)) next = earlier(next, show(timer, fd));
    }
  });
  return next;
}

long read_timer(int fd, void* to, std::size_t bytes, const void* pc) {
  DescriptorTimer& timer = *timer_of(fd);
  if (bytes < sizeof(std::uint64_t)) return -EINVAL;
  const Call call{.at = Point::read_call,
                  .key = static_cast<std::uint32_t>(fd),
                  .waits_for = effect_pipe,
                  .effects = effect_pipe,
                  .users = Users::acquire,
                  .fd = fd};
  const bool patient = !is_nonblocking(fd);
  return make_timed_call(
      call, pc, [&] { return next_expiry(timer); },
      [&]() -> long {
        const std::uint64_t count = expiries(timer);
        if (count == 0) return patient ? would_block : -EAGAIN;
        timer.expires = next_expiry(timer);
        if (timer.shown > 0) take_word(fd);
        timer.shown = 0;
        __builtin_memcpy(to, &count, sizeof count);
        return sizeof count;
      });
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int timerfd_create(clockid_t clock, int flags) noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_timerfd_create, clock, flags)));
  return static_cast<int>(answer(make_timer(clock, flags, __builtin_return_address(0))));
}

int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old) noexcept {
  if (!controlled()) {
    return static_cast<int>(
        answer(raw_call(SYS_timerfd_settime, fd, flags, word(value), word(old))));
  }
  DescriptorTimer* timer = timer_of(fd);
  if (timer == nullptr) {
    itimerspec state{};
    const long result = raw_call(SYS_timerfd_gettime, fd, word(&state));
    if (result >= 0) not_controlled("a timerfd that was made outside the schedule");
    return static_cast<int>(answer(result));
  }
  const Call call{.at = Point::timer,
                  .key = static_cast<std::uint32_t>(fd),
                  .effects = effect_pipe,
                  .users = Users::release,
                  .fd = fd};
  return make_int_call(call, __builtin_return_address(0), [&] {
    const itimerspec before = state_of(*timer);
    set(*timer, fd, flags, *value);
    if (old != nullptr) *old = before;
    return 0L;
  });
}

int timerfd_gettime(int fd, itimerspec* value) noexcept {
  const DescriptorTimer* timer = controlled() ? timer_of(fd) : nullptr;
  if (timer == nullptr) {
    return static_cast<int>(answer(raw_call(SYS_timerfd_gettime, fd, word(value))));
  }
  *value = state_of(*timer);
  return 0;
}

}  // extern "C"
