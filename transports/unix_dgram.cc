// unix_dgram: datagrams between the processes of one machine, socket(AF_UNIX, SOCK_DGRAM).
//
// The consumer binds a name in the run's private directory and producers connect to it. What to
// know about the mechanism:
//  - Unlike datagrams of a network, these are reliable and in order: a sender waits when the
//    receiver's queue is full (net.unix.max_dgram_qlen, 10 by default) or its own send buffer is.
//  - For a *connected* socket poll(2) knows both reasons; for one that uses sendto(2) it sees only
//    the send buffer and calls a socket writable whose peer is full.
//  - A datagram must fit into the send buffer as the kernel counts it, or send(2) says EMSGSIZE
//    whatever the deadline: the buffer is asked for, and what was granted is checked.
//  - A datagram that is longer than the reader's buffer is cut without a word; MSG_TRUNC makes
//    recv(2) return its true length. One of no bytes is a message like any other.
//  - There is no end of stream: a consumer cannot see that producers left, so `closed` is not
//    promised. A producer does see that its consumer is gone (ECONNREFUSED).
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"
#include "harness/transport/unix_socket.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t message_max_bytes = 64 * 1024;

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .when_full = WhenFull::blocks,
    .message_min = 0,
    .message_max = message_max_bytes,
    .producers_max = 8,
    .consumers_max = 1,
    .lives_max = 255,
    .attach = AttachBy::named,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    // Of the dead consumer: what its queue holds, and the administrator may have made that long.
    .lost_per_death_max = 65536,
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

// Both ends; each uses its half.
class DatagramEndpoint final : public Endpoint {
 public:
  explicit DatagramEndpoint(Descriptor socket) : socket_(std::move(socket)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_bytes) return IoResult::of(Outcome::too_large);
    // A send that may wait for ever waits in the kernel; the others ask first and then poll.
    const int flags = MSG_NOSIGNAL | (deadline.is_never() ? 0 : MSG_DONTWAIT);
    for (;;) {
      if (::send(socket_.get(), message.data(), message.size(), flags) >= 0) {
        return IoResult::sent();
      }
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::full);
        if (!wait_ready(socket_.get(), POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
      } else if (errno == ECONNREFUSED || errno == ECONNRESET || errno == EPIPE ||
                 errno == ENOTCONN) {
        return IoResult::of(Outcome::closed);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const int flags = MSG_TRUNC | (deadline.is_never() ? 0 : MSG_DONTWAIT);
    for (;;) {
      const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), flags);
      if (count >= 0) {
        const auto size = static_cast<std::size_t>(count);
        // Longer than any message: of a peer that does not keep the contract.
        return size <= std::min<std::size_t>(buffer.size(), message_max_bytes)
                   ? IoResult::received(size)
                   : IoResult::failed(EMSGSIZE);
      }
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::empty);
        if (!wait_ready(socket_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }

  IoResult close(Deadline) override {
    socket_.reset();  // what was accepted lies in the consumer's queue
    return IoResult::sent();
  }

 private:
  Descriptor socket_;
};

class UnixDgram final : public Transport {
 public:
  UnixDgram(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    return unix_packets_unsupported(SOCK_DGRAM, message_max_bytes);
  }

  // The name is the consumer's own; the directory is there already.
  void create() override {}
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    if (role == Role::consumer) {
      return std::make_unique<DatagramEndpoint>(publish_unix_socket(meeting, index, SOCK_DGRAM));
    }
    Descriptor socket = connect_unix_socket(meeting, 0, SOCK_DGRAM, deadline);
    if (!socket.valid()) throw_system_error("connect", options_.name, ECONNREFUSED);
    grow_send_buffer(socket.get(), std::size_t{2} * message_max_bytes);
    return std::make_unique<DatagramEndpoint>(std::move(socket));
  }

 private:
  const Options options_;
};

const Registered registered{{.name = "unix_dgram",
                             .summary = "UNIX datagrams to one consumer; reliable, they wait",
                             .contract = contract,
                             .make = make_transport<UnixDgram>}};

}  // namespace
}  // namespace ipctorture
