// mq_notify_rearm: a message queue whose consumer sleeps until mq_notify(3) tells of a message.
//
// The bug: a notification is given once, and only for a message that finds the queue empty. The
// consumer empties the queue and then asks for the next notification. A message that lands in
// between finds an empty queue and nobody to notify; those behind it find a queue that is not
// empty. The consumer sleeps for ever over a filling queue.
// It fires when a message comes in the instant between looking and asking: under slow, steady load,
// in seconds. Seen in: mq_notify(3).
//
// The twin asks first, and then looks again: what came before is seen, what comes later is told.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_producer = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 10,
    .message_min = 0,
    .message_max = 1024,
    .producers_max = 4,
    .threads = false,  // the notification goes to the consumer's process
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
};

int told_signal() { return SIGRTMIN + 7; }

class Producer final : public Endpoint {
 public:
  Producer(Descriptor queue, std::size_t message_max)
      : queue_(std::move(queue)), message_max_(message_max) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    // Even an empty message must have an address.
    const auto* from = message.empty() ? "" : reinterpret_cast<const char*>(message.data());
    for (;;) {
      if (::mq_send(queue_.get(), from, message.size(), 0) == 0) return IoResult::sent();
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (!wait_ready(queue_.get(), POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
    }
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor queue_;  // a queue's descriptor is an ordinary one
  const std::size_t message_max_;
};

template <bool looks_again>
class Consumer final : public Endpoint {
 public:
  explicit Consumer(Descriptor queue) : queue_(std::move(queue)) {
    sigset_t told;
    ::sigemptyset(&told);
    ::sigaddset(&told, told_signal());
    told_ = own_descriptor(::signalfd(-1, &told, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd", "");
    ::pthread_sigmask(SIG_BLOCK, &told, &mask_before_);
  }
  ~Consumer() override {
    ::mq_notify(queue_.get(), nullptr);
    hear();
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      auto* to = reinterpret_cast<char*>(buffer.data());
      const ssize_t size = ::mq_receive(queue_.get(), to, buffer.size(), nullptr);
      if (size >= 0) return IoResult::received(static_cast<std::size_t>(size));
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (!asked_) {
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = told_signal();
        if (::mq_notify(queue_.get(), &event) != 0) return IoResult::failed(errno);
        asked_ = true;
        if (looks_again) continue;
      }
      if (!wait_ready(told_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
      if (hear()) asked_ = false;
    }
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  bool hear() {
    signalfd_siginfo info;
    return ::read(told_.get(), &info, sizeof info) == sizeof info;
  }

  Descriptor queue_;
  sigset_t mask_before_;
  Descriptor told_;
  bool asked_ = false;  // and not yet told
};

template <bool looks_again>
class MqNotifyRearm final : public Transport {
 public:
  MqNotifyRearm(const Options& options, std::vector<Descriptor>)
      : options_(options), name_("/" + options.name), probe_name_(name_ + "-probe") {}

  // Only the kernel knows what this user may have now: make one and remove it.
  std::string unsupported() const override {
    const Descriptor queue(make(probe_name_));
    if (!queue.valid()) return "mq_open: " + std::generic_category().message(errno);
    ::mq_unlink(probe_name_.c_str());
    return {};
  }

  void create() override { own_descriptor(make(name_), "mq_open", name_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    const int access = role == Role::producer ? O_WRONLY : O_RDONLY;
    Descriptor queue =
        own_descriptor(::mq_open(name_.c_str(), access | O_NONBLOCK), "mq_open", name_);
    if (role == Role::consumer) return std::make_unique<Consumer<looks_again>>(std::move(queue));
    return std::make_unique<Producer>(std::move(queue), options_.message_max);
  }

  void destroy() noexcept override {
    ::mq_unlink(name_.c_str());
    ::mq_unlink(probe_name_.c_str());  // if the creator was killed in unsupported()
  }

 private:
  mqd_t make(const std::string& name) const {
    mq_attr attributes{};
    attributes.mq_maxmsg = static_cast<long>(options_.capacity);
    attributes.mq_msgsize = static_cast<long>(options_.message_max);
    return ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  }

  const Options options_;
  const std::string name_;
  const std::string probe_name_;
};

template <bool looks_again>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<MqNotifyRearm<looks_again>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("mq_notify_rearm", "looks, asks to be told, sleeps")),
    Registered(registration<true>("mq_notify_rearm_twin", "asks to be told, looks, sleeps")),
};

}  // namespace
}  // namespace ipctorture
