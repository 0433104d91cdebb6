// Real-time signals that carry data (sigqueue(3)): the kernel queues them, in order, 8 bytes each.
//
// A message is cut into fragments of one signal each: 16 bits say whose it is, 48 bits are content.
// The first carries the length and more of the run's token. What makes it right:
//  - Signals of one number queue first in, first out; of different numbers they do not. So all use
//  one.
//  - They are sent to the consumer's *thread* (rt_tgsigqueueinfo(2)), which has the signal blocked
//    and takes it with sigtimedwait(2). Sent to the process, another thread with the signal
//    unblocked could get it, and by default it would end the process. An empty handler is installed
//    for one that arrives when the thread has left.
//  - At most Options::capacity messages are on their way, counted in a file that everyone maps. It
//    keeps this run from eating the limit that all processes of the user share, RLIMIT_SIGPENDING.
//  - EAGAIN means that this limit is reached: `full`, whatever the deadline. If it meets a later
//    fragment, what was queued cannot be taken back; the first fragment of the producer's next
//    message makes the consumer forget it. A message is accepted with its last fragment, so every
//    answer is definite.
//  - The kernel lets only this user (and root) send, but does not vouch for the sender's pid: each
//    fragment shows bits of the token, and what does not is dropped.
//  - Where the consumer is, and whether it has left, stands in the same file.
//
// Where it stops: a producer killed in a send takes its place among the `capacity` along. If the
// consumer is killed, what is pending goes with it; and should its process and thread id be in use
// again (the kernel counts through millions first), a stranger gets the signals.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "harness/base/futex.h"
#include "harness/base/prng.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::unsupported,
    .late_producer = true,
    .when_full = WhenFull::rejects,
    .message_min = 0,
    .message_max = 256,
    .producers_max = 8,
    .consumers_max = 1,
    .attach = AttachBy::named,
    .accepted_survives_close = true,
};

constexpr std::size_t content_bytes = 6;  // of a fragment
constexpr std::chrono::milliseconds sorting_max{5};

int signal_number() { return SIGRTMIN + 6; }

// A fragment: tag (12 bits) | producer (3) | first (1) | content (48), from the top.
struct Fragment {
  std::uint64_t word;
  static constexpr std::uint64_t first_bit = std::uint64_t{1} << 48;

  static std::uint64_t prefix(std::uint64_t token, unsigned producer) {
    return (mix64(token) & 0xfff) << 52 | std::uint64_t{producer & 7} << 49;
  }
  static constexpr std::uint64_t prefix_mask = ~(first_bit | (first_bit - 1));
  // Content of a first fragment: length (16 bits) and 32 more bits of the token.
  static std::uint64_t opening(std::uint64_t token, std::size_t length) {
    return first_bit | std::uint64_t{length} << 32 | mix64(token) >> 32;
  }
};

// What everyone maps: where the consumer is, and how many messages are on their way to it.
struct Address {
  static constexpr std::uint32_t unknown = 0, here = 1, left = 2;
  std::atomic<std::uint32_t> state{unknown};  // futex word
  std::atomic<pid_t> process{0};
  std::atomic<pid_t> thread{0};
  std::atomic<std::uint32_t> messages{0};

  bool reserve(std::uint32_t capacity) {
    std::uint32_t held = messages.load(std::memory_order_relaxed);
    while (held < capacity) {
      if (messages.compare_exchange_weak(held, held + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  void release() { messages.fetch_sub(1, std::memory_order_relaxed); }
};

class SignalProducer : public Endpoint {
 public:
  SignalProducer(const Options& options, unsigned index, SharedMapping mapping)
      : mapping_(std::move(mapping)),
        address_(*std::launder(reinterpret_cast<Address*>(mapping_.data()))),
        options_(options),
        prefix_(Fragment::prefix(options.token, index)) {}

  // Never waits: so it needs no deadline.
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    if (address_.state.load(std::memory_order_acquire) == Address::left) {
      return IoResult::of(Outcome::closed);
    }
    if (!address_.reserve(options_.capacity)) return IoResult::of(Outcome::full);
    IoResult result = queue(Fragment::opening(options_.token, message.size()));
    for (std::size_t at = 0; at < message.size() && result.outcome == Outcome::ok;
         at += content_bytes) {
      std::uint64_t content = 0;
      std::memcpy(&content, message.data() + at, std::min(content_bytes, message.size() - at));
      result = queue(content);
    }
    if (result.outcome != Outcome::ok) address_.release();
    return result;
  }

  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  // What was accepted is pending at the consumer already.
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  IoResult queue(std::uint64_t word) {
    siginfo_t info{};
    info.si_signo = signal_number();
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(prefix_ | word);
    const long result = ::syscall(SYS_rt_tgsigqueueinfo, address_.process.load(),
                                  address_.thread.load(), signal_number(), &info);
    if (result == 0) return IoResult::sent();
    if (errno == EAGAIN) return IoResult::of(Outcome::full);
    if (errno == ESRCH) return IoResult::of(Outcome::closed);
    return IoResult::failed(errno);
  }

  SharedMapping mapping_;
  Address& address_;
  const Options options_;
  const std::uint64_t prefix_;
};

class SignalConsumer : public Endpoint {
 public:
  SignalConsumer(const Options& options, SharedMapping mapping)
      : mapping_(std::move(mapping)),
        address_(*std::launder(reinterpret_cast<Address*>(mapping_.data()))),
        options_(options) {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    nothing.sa_flags = SA_RESTART;
    if (::sigaction(signal_number(), &nothing, nullptr) != 0) {
      throw_system_error("sigaction", options.name);
    }
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, signal_number());
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &signals_, &before);
    was_blocked_ = ::sigismember(&before, signal_number()) == 1;
    drain();  // of a consumer that this thread was before
    address_.process.store(::getpid());
    address_.thread.store(static_cast<pid_t>(::syscall(SYS_gettid)));
    address_.state.store(Address::here, std::memory_order_release);
    futex_wake(address_.state);
  }

  ~SignalConsumer() override {
    address_.state.store(Address::left, std::memory_order_release);
    drain();
    if (!was_blocked_) ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    if (buffer.size() < options_.message_max) return IoResult::of(Outcome::too_large);
    // Fragments that complete nothing must not hold up a receive for ever either.
    const Deadline patience = deadline.is_now() ? Deadline::in(sorting_max) : deadline;
    for (;;) {
      const timespec wait = deadline.is_never() ? timespec{} : deadline.remaining_timespec();
      siginfo_t info;
      const int signal = ::sigtimedwait(&signals_, &info, deadline.is_never() ? nullptr : &wait);
      if (signal == signal_number()) {
        if (const Assembly* message = add(info)) {
          address_.release();
          std::memcpy(buffer.data(), message->content.data(), message->length);
          return IoResult::received(message->length);
        }
        if (patience.passed()) return nothing(deadline);
      } else if (errno == EAGAIN) {
        if (deadline.passed()) return nothing(deadline);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }

  IoResult close(Deadline) override {
    address_.state.store(Address::left, std::memory_order_release);
    return IoResult::sent();
  }

 private:
  static IoResult nothing(Deadline deadline) {
    return IoResult::of(deadline.is_now() ? Outcome::empty : Outcome::timed_out);
  }

  // A producer's message as far as it has come.
  struct Assembly {
    bool open = false;
    std::size_t length = 0;
    std::size_t have = 0;
    std::array<std::byte, contract.message_max + content_bytes> content;
  };

  // Takes a fragment; the message that it completes, or null.
  const Assembly* add(const siginfo_t& info) {
    const auto word = reinterpret_cast<std::uint64_t>(info.si_value.sival_ptr);
    const unsigned producer = static_cast<unsigned>(word >> 49) & 7;
    if (info.si_code != SI_QUEUE || producer >= options_.producers ||
        (word & Fragment::prefix_mask) != Fragment::prefix(options_.token, producer)) {
      return nullptr;
    }
    Assembly& assembly = assemblies_[producer];
    if ((word & Fragment::first_bit) != 0) {
      const std::size_t length = (word >> 32) & 0xffff;
      const bool ours =
          (word & (2 * Fragment::first_bit - 1)) == Fragment::opening(options_.token, length);
      if (!ours || length > options_.message_max) return nullptr;
      assembly.open = true;
      assembly.length = length;
      assembly.have = 0;
    } else {
      if (!assembly.open) return nullptr;
      std::memcpy(assembly.content.data() + assembly.have, &word, content_bytes);
      assembly.have += content_bytes;
    }
    if (assembly.have < assembly.length) return nullptr;
    assembly.open = false;
    return &assembly;
  }

  void drain() {
    const timespec at_once{};
    while (::sigtimedwait(&signals_, nullptr, &at_once) > 0 || errno == EINTR) {
    }
  }

  SharedMapping mapping_;
  Address& address_;
  const Options options_;
  sigset_t signals_;
  bool was_blocked_ = false;
  std::array<Assembly, contract.producers_max> assemblies_;
};

class RtSignal : public Transport {
 public:
  RtSignal(const Options& options, std::vector<Descriptor>)
      : options_(options), path_(options.directory + "/" + options.name + ".address") {}

  std::string unsupported() const override {
    rlimit limit{};
    ::getrlimit(RLIMIT_SIGPENDING, &limit);
    const rlim_t needed = 1 + (options_.message_max + content_bytes - 1) / content_bytes;
    if (limit.rlim_cur >= needed) return {};
    return "RLIMIT_SIGPENDING (ulimit -i) is " + std::to_string(limit.rlim_cur) +
           ", a message of " + std::to_string(options_.message_max) + " bytes needs " +
           std::to_string(needed);
  }

  void create() override {
    const Descriptor file = own_descriptor(
        ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open", path_);
    try {
      reserve_backing(file.get(), sizeof(Address), path_);
      new (SharedMapping(file.get(), sizeof(Address), path_).data()) Address;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Descriptor file =
        own_descriptor(::open(path_.c_str(), O_RDWR | O_CLOEXEC), "open", path_);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) throw_system_error("fstat", path_);
    if (status.st_size < static_cast<off_t>(sizeof(Address))) {
      throw_system_error("size of", path_, EINVAL);
    }
    SharedMapping mapping(file.get(), sizeof(Address), path_);
    if (role == Role::consumer) {
      return std::make_unique<SignalConsumer>(options_, std::move(mapping));
    }
    const auto& state = reinterpret_cast<Address*>(mapping.data())->state;
    while (state.load(std::memory_order_acquire) == Address::unknown) {
      if (deadline.passed()) throw_system_error("wait for the consumer in", path_, ETIMEDOUT);
      futex_wait(state, Address::unknown, deadline);
    }
    return std::make_unique<SignalProducer>(options_, index, std::move(mapping));
  }

  void destroy() noexcept override { ::unlink(path_.c_str()); }

 private:
  const Options options_;
  const std::string path_;
};

const Registered registered{{.name = "rt_signal",
                             .summary = "sigqueue(3) to one thread; fragments of 8 bytes",
                             .contract = contract,
                             .make = make_transport<RtSignal>}};

}  // namespace
}  // namespace ipctorture
