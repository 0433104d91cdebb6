// inherited_fd_no_eof: a channel from all producers to each consumer, all of them inherited.
//
// The bug: a reader learns of the end of a channel when the last descriptor that could write to it
// is closed, wherever it is. Every worker inherits the ends of all channels. A consumer closes the
// writing end of its own, and forgets those of its siblings' channels, which it does not even use:
// so each consumer keeps the others' channels open.
// It fires with two consumers, when all producers have left: both wait for an end that the other
// holds off. Seen in: pipe(7), cadical PR #120.
//
// The twin keeps the one end that it uses, and closes all others.
//
// The channels are connected SOCK_SEQPACKET sockets, used in one direction, since those keep
// messages apart. A producer deals them out in turn and passes over a channel that is full.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .reports_closed = true,
    .message_min = 1,  // a packet of no bytes looks like the end
    .message_max = 4096,
    .producers_max = 4,
    .consumers_max = 4,
    .attach = AttachBy::inherited,
    .accepted_survives_close = true,
};

class Producer final : public Endpoint {
 public:
  explicit Producer(std::vector<Descriptor> channels) : channels_(std::move(channels)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > contract.message_max) return IoResult::of(Outcome::too_large);
    for (;;) {
      for (std::size_t tries = channels_.size(); tries > 0; --tries) {
        next_ = (next_ + 1) % channels_.size();
        const int error = offer(channels_[next_].get(), message);
        if (error == 0) return IoResult::sent();
        if (error == EPIPE || error == ECONNRESET) {
          channels_.erase(channels_.begin() + static_cast<std::ptrdiff_t>(next_));
        } else if (error != EAGAIN) {
          return IoResult::failed(error);
        }
      }
      if (channels_.empty()) return IoResult::of(Outcome::closed);
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (!wait_for_room(deadline)) return IoResult::of(Outcome::timed_out);
    }
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override {
    channels_.clear();
    return IoResult::sent();
  }

 private:
  static int offer(int channel, std::span<const std::byte> message) {
    for (;;) {
      const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      if (::send(channel, message.data(), message.size(), flags) >= 0) return 0;
      if (errno != EINTR) return errno;
    }
  }
  bool wait_for_room(Deadline deadline) const {
    std::vector<pollfd> waiters;
    waiters.reserve(channels_.size());
    for (const Descriptor& channel : channels_) {
      waiters.push_back({.fd = channel.get(), .events = POLLOUT, .revents = 0});
    }
    for (;;) {
      const int ready = ::poll(waiters.data(), waiters.size(), deadline.poll_ms());
      if (ready > 0) return true;
      if (deadline.passed()) return false;
    }
  }

  std::vector<Descriptor> channels_;
  std::size_t next_ = 0;
};

class Consumer final : public Endpoint {
 public:
  explicit Consumer(Descriptor channel) : channel_(std::move(channel)) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const ssize_t count = ::recv(channel_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count > 0) return IoResult::received(static_cast<std::size_t>(count));
      if (count == 0) return IoResult::of(Outcome::closed);
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::empty);
        if (!wait_ready(channel_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }
  IoResult close(Deadline) override {
    channel_.reset();
    return IoResult::sent();
  }

 private:
  Descriptor channel_;
};

template <bool closes_all>
class InheritedFd final : public Transport {
 public:
  InheritedFd(const Options& options, std::vector<Descriptor> ends)
      : options_(options), ends_(std::move(ends)) {}

  void create() override {
    for (std::uint32_t i = 0; i < options_.consumers; ++i) {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        throw_system_error("socketpair", options_.name);
      }
      ends_.emplace_back(ends[0]);  // to read
      ends_.emplace_back(ends[1]);  // to write
    }
  }

  std::vector<Descriptor> take_handles() override { return std::move(ends_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline) override {
    std::vector<Descriptor> to_write;
    for (std::size_t i = 1; i < ends_.size(); i += 2) to_write.push_back(std::move(ends_[i]));
    Descriptor to_read;
    if (role == Role::consumer) to_read = std::move(ends_.at(std::size_t{2} * index));
    ends_.clear();
    if (role == Role::producer) return std::make_unique<Producer>(std::move(to_write));
    to_write[index].reset();
    if (!closes_all) ends_ = std::move(to_write);
    return std::make_unique<Consumer>(std::move(to_read));
  }

  void destroy() noexcept override { ends_.clear(); }

 private:
  const Options options_;
  std::vector<Descriptor> ends_;
};

template <bool closes_all>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<InheritedFd<closes_all>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("inherited_fd_no_eof", "holds what belongs to its siblings")),
    Registered(registration<true>("inherited_fd_no_eof_twin", "holds its own end only")),
};

}  // namespace
}  // namespace ipctorture
