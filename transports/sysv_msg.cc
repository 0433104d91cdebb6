// System V message queue (msgget(2)): whole messages, one FIFO, found by a number.
//
// What makes it right:
//  - The kernel keeps messages whole and in one order. All are of one type and are received with
//  type
//    0, "the oldest": asking for types lets a low one starve the others.
//  - The key comes from the run's secret token, with IPC_EXCL and mode 0600: nobody else's queue is
//    used or removed.
//  - msgsnd and msgrcv know no timeout. A timed call that would wait is interrupted by a timer of
//  this
//    thread alone (SIGEV_THREAD_ID). Were it to fire once, just before the call sleeps, its signal
//    would be spent and the call would sleep for ever: so it fires again every few milliseconds
//    until it is disarmed, after the call. The handler does nothing; EINTR is the point, and the
//    kernel restarts neither call. An interrupted call did nothing, so the answer is definite.
//  - A buffer too small is E2BIG and leaves the message (no MSG_NOERROR, which would cut it off).
//
// Where it stops: keys carry 30 bits of the token; on a collision create() throws EEXIST, and
// destroy() spares what it found. `closed` is never reported. The empty handler of one real-time
// signal stays installed in the process. The queue holds msgmnb bytes (16 KiB by default).
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "harness/transport/registry.h"

#ifndef sigev_notify_thread_id  // glibc before 2.37 knows it under this name only
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace ipctorture {
namespace {

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::total,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .when_full = WhenFull::blocks,
    .message_min = 0,
    .message_max = 8192,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max = 1,  // taken from the queue by a receive that never returned
};

constexpr long message_type = 1;  // must be positive, means nothing
constexpr std::uint32_t small_capacity = 64;
constexpr long refire_ns = 5'000'000;

// Interrupts this thread's system calls from an instant on, again and again, until disarmed.
class Interrupter {
 public:
  Interrupter() = default;
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;
  ~Interrupter() {
    if (!made_) return;
    ::timer_delete(timer_);
    if (was_blocked_) set_signal_mask(SIG_BLOCK);
  }

  // 0 or an errno. `at` is absolute, of CLOCK_MONOTONIC.
  int arm(timespec at) {
    if (const int error = made_ ? 0 : make(); error != 0) return error;
    const itimerspec when{.it_interval = {.tv_sec = 0, .tv_nsec = refire_ns}, .it_value = at};
    return ::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr) == 0 ? 0 : errno;
  }
  // What fired until now has been handled when this returns.
  void disarm() {
    const itimerspec stopped{};
    ::timer_settime(timer_, 0, &stopped, nullptr);
  }

 private:
  static int signal_number() { return SIGRTMAX - 4; }

  // True if the signal was blocked before.
  static bool set_signal_mask(int how) {
    sigset_t one;
    sigset_t before;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal_number());
    ::pthread_sigmask(how, &one, &before);
    return ::sigismember(&before, signal_number()) == 1;
  }

  int make() {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    if (::sigaction(signal_number(), &nothing, nullptr) != 0) return errno;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal_number();
    event.sigev_notify_thread_id = static_cast<pid_t>(::syscall(SYS_gettid));
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) return errno;
    was_blocked_ = set_signal_mask(SIG_UNBLOCK);
    made_ = true;
    return 0;
  }

  timer_t timer_{};
  bool made_ = false;
  bool was_blocked_ = false;
};

class SysvEndpoint : public Endpoint {
 public:
  SysvEndpoint(const Options& options, int queue)
      : queue_(queue),
        message_max_(options.message_max),
        memory_(std::make_unique<long[]>(1 + (message_max_ + sizeof(long) - 1) / sizeof(long))) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    memory_[0] = message_type;
    if (!message.empty()) std::memcpy(&memory_[1], message.data(), message.size());
    return run(deadline, EAGAIN, Outcome::full, [&](int flags) -> ssize_t {
      return ::msgsnd(queue_, memory_.get(), message.size(), flags);
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const std::size_t room = std::min(buffer.size(), message_max_);
    const IoResult result = run(deadline, ENOMSG, Outcome::empty, [&](int flags) {
      return ::msgrcv(queue_, memory_.get(), room, 0, flags);
    });
    if (result.outcome == Outcome::ok && result.size > 0) {
      std::memcpy(buffer.data(), &memory_[1], result.size);
    }
    return result;
  }

  // What was accepted is the kernel's; and a queue has no handle to give back.
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  // Makes the call (with the given msgflg) by the deadline; `would_wait` is its errno for
  // `refused`.
  template <typename Call>
  IoResult run(Deadline deadline, int would_wait, Outcome refused, Call call) {
    const int flags = deadline.is_never() ? 0 : IPC_NOWAIT;
    ssize_t count;
    do {
      count = call(flags);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno == would_wait && flags != 0) {
      if (deadline.is_now()) return IoResult::of(refused);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      if (const int error = interrupter_.arm(deadline.monotonic_timespec()); error != 0) {
        return IoResult::failed(error);
      }
      do {
        count = call(0);
      } while (count < 0 && errno == EINTR && !deadline.passed());
      const int error = errno;
      interrupter_.disarm();
      errno = error;
    }
    if (count >= 0) return IoResult::received(static_cast<std::size_t>(count));
    if (errno == EINTR) return IoResult::of(Outcome::timed_out);
    if (errno == E2BIG) return IoResult::of(Outcome::too_large);
    return IoResult::failed(errno);
  }

  const int queue_;
  const std::size_t message_max_;
  std::unique_ptr<long[]> memory_;  // the type, and the message behind it
  Interrupter interrupter_;
};

class SysvMsg : public Transport {
 public:
  SysvMsg(const Options& options, std::vector<Descriptor>)
      : options_(options), key_(system_v_key(options)) {}

  // Asks for the limits and makes no queue to try: if this process were killed then, nobody would
  // find it again. Whether a queue is left, create() finds out.
  std::string unsupported() const override {
    msginfo limits{};
    if (::msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)) < 0) {
      return "msgctl IPC_INFO: " + std::generic_category().message(errno);
    }
    const auto needed = static_cast<int>(options_.message_max);
    if (limits.msgmax >= needed && limits.msgmnb >= needed) return {};
    return "msgsnd: messages of " + std::to_string(needed) +
           " bytes are above /proc/sys/kernel/msgmax or msgmnb";
  }

  void create() override {
    const int queue = ::msgget(key_, IPC_CREAT | IPC_EXCL | mode);
    if (queue < 0) {
      collided_ = errno == EEXIST;
      throw_system_error(errno == ENOSPC ? "msgget: /proc/sys/kernel/msgmni:" : "msgget",
                         options_.name);
    }
    if (options_.capacity >= small_capacity) return;
    // A small capacity asks for a queue that is full early; to shrink it is always allowed.
    msqid_ds status{};
    if (::msgctl(queue, IPC_STAT, &status) != 0) return;
    const std::size_t bytes =
        options_.capacity * std::max<std::size_t>(options_.message_max, sizeof(long));
    if (bytes >= status.msg_qbytes) return;
    status.msg_qbytes = bytes;
    ::msgctl(queue, IPC_SET, &status);
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    const int queue = ::msgget(key_, 0);
    if (queue < 0) throw_system_error("msgget", options_.name);
    return std::make_unique<SysvEndpoint>(options_, queue);
  }

  // By key, but only what looks like ours: another user's, or one that was there before, is a
  // collision.
  void destroy() noexcept override {
    if (collided_) return;
    msqid_ds status{};
    const int queue = ::msgget(key_, 0);
    if (queue >= 0 && ::msgctl(queue, IPC_STAT, &status) == 0 &&
        status.msg_perm.cuid == ::geteuid() && (status.msg_perm.mode & 0777) == mode) {
      ::msgctl(queue, IPC_RMID, nullptr);
    }
  }

 private:
  static constexpr int mode = 0600;

  const Options options_;
  const key_t key_;
  bool collided_ = false;  // create() found the key taken
};

const Registered registered{{.name = "sysv_msg",
                             .summary = "msgget(2), named by a key; one FIFO",
                             .contract = contract,
                             .make = make_transport<SysvMsg>}};

}  // namespace
}  // namespace ipctorture
