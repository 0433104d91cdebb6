// sigqueue_eagain: a message of 8 bytes is the value that a signal carries (sigqueue(3)), sent to
// the consumer's thread.
//
// The bug, in the variant that needs no low limit: only real-time signals queue. A standard signal
// that is pending already is not sent once more, and its value is gone; the call answers 0 all the
// same, not even EAGAIN, which is what a real-time signal gets when RLIMIT_SIGPENDING is reached.
// It fires when two messages come before the consumer takes the first.
// Seen in: signal(7).
//
// The twin sends a real-time signal, and answers `full` when the limit is reached.
//
// The kernel lets only this user send; with 8 bytes there is no room for the run's token as well.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

using Message = decltype(siginfo_t{}.si_value);

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_producer = true,
    .when_full = WhenFull::rejects,
    .exact_empty = true,
    .message_min = sizeof(Message),
    .message_max = sizeof(Message),
    .producers_max = 4,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
};

// Where the consumer is.
struct Address {
  static constexpr std::uint32_t unknown = 0, here = 1, left = 2;
  std::atomic<std::uint32_t> state;  // futex word
  std::atomic<pid_t> process, thread;
};

// A producer's, and what a consumer's has in common with it.
template <bool queues>
class SignalEndpoint : public Endpoint {
 public:
  explicit SignalEndpoint(SharedMapping memory)
      : memory_(std::move(memory)), address_(*reinterpret_cast<Address*>(memory_.data())) {}

  // Never waits: a limit that others may hold is not worth waiting for.
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() != sizeof(Message)) return IoResult::of(Outcome::too_large);
    if (address_.state == Address::left) return IoResult::of(Outcome::closed);
    siginfo_t info{};
    info.si_signo = signal_number();
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    std::memcpy(&info.si_value, message.data(), sizeof(Message));
    const long result = ::syscall(SYS_rt_tgsigqueueinfo, address_.process.load(),
                                  address_.thread.load(), signal_number(), &info);
    if (result == 0) return IoResult::sent();
    if (errno == EAGAIN) return IoResult::of(Outcome::full);
    return errno == ESRCH ? IoResult::of(Outcome::closed) : IoResult::failed(errno);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 protected:
  static int signal_number() { return queues ? SIGRTMIN + 8 : SIGUSR2; }

  SharedMapping memory_;
  Address& address_;
};

template <bool queues>
class Consumer final : public SignalEndpoint<queues> {
 public:
  explicit Consumer(SharedMapping memory) : SignalEndpoint<queues>(std::move(memory)) {
    // For what comes when this thread has let the signal in again.
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    nothing.sa_flags = SA_RESTART;
    if (::sigaction(this->signal_number(), &nothing, nullptr) != 0) {
      throw_system_error("sigaction", "");
    }
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, this->signal_number());
    ::pthread_sigmask(SIG_BLOCK, &signals_, &mask_before_);
    this->address_.process = ::getpid();
    this->address_.thread = static_cast<pid_t>(::syscall(SYS_gettid));
    this->address_.state = Address::here;
    futex_wake(this->address_.state);
  }
  ~Consumer() override {
    this->address_.state = Address::left;
    const timespec at_once{};
    while (::sigtimedwait(&signals_, nullptr, &at_once) > 0 || errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const timespec wait = deadline.is_never() ? timespec{} : deadline.remaining_timespec();
      siginfo_t info;
      if (::sigtimedwait(&signals_, &info, deadline.is_never() ? nullptr : &wait) > 0) {
        if (info.si_code != SI_QUEUE) continue;  // somebody's kill(1)
        std::memcpy(buffer.data(), &info.si_value, sizeof(Message));
        return IoResult::received(sizeof(Message));
      }
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::empty);
        if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }

 private:
  sigset_t signals_, mask_before_;
};

template <bool queues>
class SigqueueEagain final : public Transport {
 public:
  SigqueueEagain(const Options& options, std::vector<Descriptor>) : name_(options.name) {}

  void create() override {
    const Descriptor object = create_shared_object(name_, sizeof(Address));
    try {
      new (SharedMapping(object.get(), sizeof(Address), name_).data()) Address{};
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(name_, &bytes);
    if (bytes < sizeof(Address)) throw_system_error("attach", name_, EPROTO);
    SharedMapping memory(object.get(), sizeof(Address), name_);
    if (role == Role::consumer) return std::make_unique<Consumer<queues>>(std::move(memory));
    const auto& state = reinterpret_cast<Address*>(memory.data())->state;
    while (state == Address::unknown) {
      if (deadline.passed()) throw_system_error("wait for the consumer of", name_, ETIMEDOUT);
      futex_wait(state, Address::unknown, deadline);
    }
    return std::make_unique<SignalEndpoint<queues>>(std::move(memory));
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  const std::string name_;
};

template <bool queues>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<SigqueueEagain<queues>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("sigqueue_eagain", "data in a signal that does not queue")),
    Registered(registration<true>("sigqueue_eagain_twin", "data in a signal that queues")),
};

}  // namespace
}  // namespace ipctorture
