// POSIX message queue (mq_overview(7)): messages with priorities, kept by the kernel until taken.
//
// What makes it right:
//  - The kernel keeps messages whole, orders them by priority and then by age, and hands each to
//  one
//    receiver: nothing to frame, lock or count here.
//  - mq_timedsend and mq_timedreceive know the calendar clock only, which may be set. So ETIMEDOUT
//  is
//    believed only when our own, monotonic deadline has passed too; otherwise we wait again.
//  - `now` is the same call with a time long past: it is looked at only when the call would wait.
//  - A receive buffer below mq_msgsize is refused by the kernel even when the message would fit:
//  the
//    queue is made for Options::message_max, which every buffer holds.
//  - An interrupted call (EINTR) did nothing and is made again.
//
// Where it stops: a queue has no end of file, so `closed` is never reported. If the calendar is set
// back while a timed call waits, it waits that much longer. Ten messages and 8 KiB are what an
// ordinary user may have by default (/proc/sys/fs/mqueue).
#include <fcntl.h>
#include <mqueue.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::priority,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .when_full = WhenFull::blocks,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 10,
    .message_min = 0,
    .message_max = 8192,
    .priorities = 8,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max = 1,  // taken from the queue by a receive that never returned
};

// On Linux a queue descriptor is a file descriptor, close-on-exec from the start.
class Queue {
 public:
  explicit Queue(mqd_t queue) : queue_(queue) {}
  ~Queue() { close(); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  mqd_t get() const { return queue_; }
  void close() {
    if (queue_ >= 0) ::mq_close(queue_);
    queue_ = -1;
  }

 private:
  mqd_t queue_;
};

// When a timed call shall give up; the epoch for `now`.
timespec give_up(Deadline deadline) {
  return deadline.is_now() ? timespec{} : deadline.realtime_timespec();
}

// Errno of a call that failed: an answer, or nothing when it is to be made again.
bool settled(int error, Deadline deadline, Outcome refused, IoResult& answer) {
  if (error == EINTR) return false;
  if (error == ETIMEDOUT) {
    if (!deadline.passed()) return false;
    answer = IoResult::of(deadline.is_now() ? refused : Outcome::timed_out);
  } else if (error == EMSGSIZE) {
    answer = IoResult::of(Outcome::too_large);
  } else {
    answer = IoResult::failed(error);
  }
  return true;
}

class MqEndpoint : public Endpoint {
 public:
  MqEndpoint(const Options& options, mqd_t queue)
      : queue_(queue), message_max_(options.message_max) {}

  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    // Even an empty message must have an address.
    const auto* data = message.empty() ? "" : reinterpret_cast<const char*>(message.data());
    for (IoResult answer;;) {
      int result;
      if (deadline.is_never()) {
        result = ::mq_send(queue_.get(), data, message.size(), options.priority);
      } else {
        const timespec until = give_up(deadline);
        result = ::mq_timedsend(queue_.get(), data, message.size(), options.priority, &until);
      }
      if (result == 0) return IoResult::sent();
      if (settled(errno, deadline, Outcome::full, answer)) return answer;
    }
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    auto* data = reinterpret_cast<char*>(buffer.data());
    for (IoResult answer;;) {
      unsigned priority = 0;
      ssize_t size;
      if (deadline.is_never()) {
        size = ::mq_receive(queue_.get(), data, buffer.size(), &priority);
      } else {
        const timespec until = give_up(deadline);
        size = ::mq_timedreceive(queue_.get(), data, buffer.size(), &priority, &until);
      }
      if (size >= 0) {
        // The kernel knows 32768 priorities; a peer that uses others does not keep the contract.
        if (priority >= contract.priorities) return IoResult::failed(EBADMSG);
        return IoResult::received(static_cast<std::size_t>(size),
                                  static_cast<std::uint8_t>(priority));
      }
      if (settled(errno, deadline, Outcome::empty, answer)) return answer;
    }
  }

  // What was accepted is the kernel's: nothing to flush.
  IoResult close(Deadline) override {
    queue_.close();
    return IoResult::sent();
  }

 private:
  Queue queue_;
  const std::size_t message_max_;
};

class PosixMq : public Transport {
 public:
  PosixMq(const Options& options, std::vector<Descriptor>)
      : options_(options), name_("/" + options.name), probe_name_(name_ + "-probe") {}

  // Only the kernel can tell what this user may have now: make one and remove it.
  std::string unsupported() const override {
    const Queue queue(make(probe_name_));
    if (queue.get() >= 0) {
      ::mq_unlink(probe_name_.c_str());
      return {};
    }
    const std::string wants = "mq_open: " + std::to_string(options_.capacity) + " messages of " +
                              std::to_string(options_.message_max) + " bytes ";
    switch (errno) {
      case EINVAL:
        return wants + "are above /proc/sys/fs/mqueue/msg_max or msgsize_max";
      case EMFILE:
        return wants + "are above RLIMIT_MSGQUEUE (ulimit -q), or no descriptor is left";
      case ENOSPC:
        return wants + "are one queue too many: /proc/sys/fs/mqueue/queues_max";
      case ENOSYS:
        return "mq_open: this kernel has no POSIX message queues";
      default:
        return wants + "are refused: " + std::generic_category().message(errno);
    }
  }

  void create() override {
    if (Queue(make(name_)).get() < 0) throw_system_error("mq_open", name_);
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    const mqd_t queue = ::mq_open(name_.c_str(), role == Role::producer ? O_WRONLY : O_RDONLY);
    if (queue < 0) throw_system_error("mq_open", name_);
    return std::make_unique<MqEndpoint>(options_, queue);
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

const Registered registered{{.name = "posix_mq",
                             .summary = "mq_open(3), named; priority first, then oldest",
                             .contract = contract,
                             .make = make_transport<PosixMq>}};

}  // namespace
}  // namespace ipctorture
