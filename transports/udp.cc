// udp: datagrams over the loopback interface, socket(AF_INET, SOCK_DGRAM).
//
// The consumer binds a port of 127.0.0.1, publishes it in the run's private directory, and
// producers connect to it. What to know about the mechanism:
//  - A datagram arrives whole, unaltered and at most once, or is dropped without a word when the
//    receiver's buffer is full: send(2) has said ok long before. Even on loopback order is not
//    certain: a sender that moves to another core may overtake itself.
//  - Anyone on the machine can send to a port: each datagram carries the run's token, and others
//  are
//    passed over. How a producer knows its consumer when it attaches: loopback.h. Should the
//    consumer die and a stranger take over its port, the stranger can read what is sent.
//  - send(2) to a port that nobody holds succeeds once; the refusal comes back as ECONNREFUSED of a
//    later call. This is the only end that shows: there is no end of stream.
//  - SO_RCVBUF counts the kernel's overhead too, is granted twice what was asked for, and no more
//    than twice net.core.rmem_max: asked for, and what was granted is checked.
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "harness/transport/frame.h"
#include "harness/transport/loopback.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t message_max_bytes = 60'000;
constexpr int receive_buffer_bytes = 1024 * 1024;
constexpr int receive_buffer_min_bytes = 2 * 65536;  // one of the largest, as the kernel counts
// Datagrams of strangers that one `now` receive passes over before it answers empty.
constexpr int strangers_max = 64;

constexpr Contract contract{
    .delivery = Delivery::at_most_once,
    .ordering = Ordering::none,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .when_full = WhenFull::drops_newest,
    .message_min = 0,
    .message_max = message_max_bytes,
    .producers_max = 8,
    .consumers_max = 1,
    .lives_max = 255,
    .attach = AttachBy::named,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    // Of the dead consumer: what its buffer holds, a datagram being counted as 512 bytes at the
    // least.
    .lost_per_death_max = 2 * receive_buffer_bytes / 512,
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

class UdpProducer final : public Endpoint {
 public:
  UdpProducer(Descriptor socket, std::uint64_t token) : socket_(std::move(socket)), token_(token) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_bytes) return IoResult::of(Outcome::too_large);
    std::array<iovec, 2> parts{
        {{.iov_base = &token_, .iov_len = sizeof token_},
         {.iov_base = const_cast<std::byte*>(message.data()), .iov_len = message.size()}}};
    msghdr datagram{};
    datagram.msg_iov = parts.data();
    datagram.msg_iovlen = parts.size();
    for (;;) {
      if (::sendmsg(socket_.get(), &datagram, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
        return IoResult::sent();
      }
      switch (errno) {
        case EINTR:
          break;
        case EAGAIN:  // the own send buffer is full: the only thing worth waiting for
          if (deadline.is_now()) return IoResult::of(Outcome::full);
          if (!wait_ready(socket_.get(), POLLOUT, deadline)) {
            return IoResult::of(Outcome::timed_out);
          }
          break;
        case ENOBUFS:  // the interface dropped it, as it may drop any
          return IoResult::sent();
        case ECONNREFUSED:
          return IoResult::of(Outcome::closed);
        default:
          return IoResult::failed(errno);
      }
    }
  }

  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }

  IoResult close(Deadline) override {
    socket_.reset();  // loopback has no way between: what was accepted arrived or was dropped
    return IoResult::sent();
  }

 private:
  Descriptor socket_;
  std::uint64_t token_;
};

class UdpConsumer final : public Endpoint {
 public:
  UdpConsumer(Descriptor socket, Descriptor claim, std::uint64_t token)
      : socket_(std::move(socket)), claim_(std::move(claim)), token_(token) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const int flags = MSG_TRUNC | (deadline.is_never() ? 0 : MSG_DONTWAIT);
    std::uint64_t token = 0;
    std::array<iovec, 2> parts{{{.iov_base = &token, .iov_len = sizeof token},
                                {.iov_base = buffer.data(), .iov_len = buffer.size()}}};
    msghdr datagram{};
    datagram.msg_iov = parts.data();
    datagram.msg_iovlen = parts.size();
    for (int passed_over = 0;;) {
      const ssize_t count = ::recvmsg(socket_.get(), &datagram, flags);
      if (count < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return IoResult::failed(errno);
        if (deadline.is_now()) return IoResult::of(Outcome::empty);
        if (!wait_ready(socket_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
        continue;
      }
      const auto size = static_cast<std::size_t>(count);
      const bool ours =
          size >= sizeof token && token == token_ &&
          size - sizeof token <= std::min<std::size_t>(buffer.size(), message_max_bytes);
      if (ours) return IoResult::received(size - sizeof token);
      if (++passed_over < strangers_max) continue;
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      passed_over = 0;
    }
  }

  IoResult close(Deadline) override {
    socket_.reset();
    claim_.reset();
    return IoResult::sent();
  }

 private:
  Descriptor socket_, claim_;
  std::uint64_t token_;
};

int grow_receive_buffer(int socket) {
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  int granted = 0;
  socklen_t length = sizeof granted;
  return ::getsockopt(socket, SOL_SOCKET, SO_RCVBUF, &granted, &length) == 0 ? granted : 0;
}

class Udp final : public Transport {
 public:
  Udp(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    if (std::string why = loopback_unsupported(SOCK_DGRAM); !why.empty()) return why;
    const int granted = grow_receive_buffer(bind_loopback(SOCK_DGRAM).get());
    if (granted >= receive_buffer_min_bytes) return {};
    return "net.core.rmem_max allows a receive buffer of " + std::to_string(granted) +
           " bytes, a message of " + std::to_string(message_max_bytes) + " needs " +
           std::to_string(receive_buffer_min_bytes);
  }

  // The port is the consumer's own; the directory is there already.
  void create() override {}
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    if (role == Role::consumer) {
      Descriptor socket = bind_loopback(SOCK_DGRAM);
      grow_receive_buffer(socket.get());
      Descriptor claim = publish_port(meeting, index, socket.get());
      return std::make_unique<UdpConsumer>(std::move(socket), std::move(claim), options_.token);
    }
    Descriptor socket = connect_loopback(meeting, 0, SOCK_DGRAM, deadline);
    if (!socket.valid()) throw_system_error("connect", options_.name, ECONNREFUSED);
    return std::make_unique<UdpProducer>(std::move(socket), options_.token);
  }

 private:
  const Options options_;
};

const Registered registered{{.name = "udp",
                             .summary = "UDP over loopback; drops what does not fit",
                             .contract = contract,
                             .make = make_transport<Udp>}};

}  // namespace
}  // namespace ipctorture
