// dgram_trunc: datagrams to one consumer, who receives into a buffer of its own.
//
// The bug: the buffer is as large as messages usually are. A datagram that does not fit is cut off
// at its end without an error: only the flag MSG_TRUNC says so, and nobody looks.
// It fires at the first message of more than 128 bytes.
// Seen in: recv(2), pdns PR #2939.
//
// The twin's buffer holds the largest message of the contract.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"
#include "harness/transport/unix_socket.h"

namespace ipctorture {
namespace {

constexpr std::size_t usual_bytes = 128;

constexpr Contract contract{
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .message_min = 0,
    .message_max = 8192,
    .producers_max = 4,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .may_share_address_space = true,
};

class Producer final : public Endpoint {
 public:
  explicit Producer(Descriptor socket) : socket_(std::move(socket)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > contract.message_max) return IoResult::of(Outcome::too_large);
    for (;;) {
      const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
      if (::send(socket_.get(), message.data(), message.size(), flags) >= 0) {
        return IoResult::sent();
      }
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::full);
        if (!wait_ready(socket_.get(), POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
      } else if (errno == ECONNREFUSED || errno == ECONNRESET || errno == ENOTCONN) {
        return IoResult::of(Outcome::closed);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor socket_;
};

template <std::size_t buffer_bytes>
class Consumer final : public Endpoint {
 public:
  explicit Consumer(Descriptor socket) : socket_(std::move(socket)) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      std::byte message[buffer_bytes];
      const ssize_t count = ::recv(socket_.get(), message, sizeof message, MSG_DONTWAIT);
      if (count >= 0) {
        const auto size = static_cast<std::size_t>(count);
        if (size > buffer.size()) return IoResult::failed(EMSGSIZE);
        if (size > 0) std::memcpy(buffer.data(), message, size);
        return IoResult::received(size);
      }
      if (errno == EAGAIN) {
        if (deadline.is_now()) return IoResult::of(Outcome::empty);
        if (!wait_ready(socket_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
      } else if (errno != EINTR) {
        return IoResult::failed(errno);
      }
    }
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor socket_;
};

template <std::size_t buffer_bytes>
class DgramTrunc final : public Transport {
 public:
  DgramTrunc(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    return unix_packets_unsupported(SOCK_DGRAM, contract.message_max);
  }
  void create() override {}  // the socket's name is the consumer's
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    if (role == Role::consumer) {
      return std::make_unique<Consumer<buffer_bytes>>(
          publish_unix_socket(meeting, index, SOCK_DGRAM));
    }
    Descriptor socket = connect_unix_socket(meeting, 0, SOCK_DGRAM, deadline);
    if (!socket.valid()) throw_system_error("connect", options_.name, ECONNREFUSED);
    return std::make_unique<Producer>(std::move(socket));
  }

 private:
  const Options options_;
};

template <std::size_t buffer_bytes>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<DgramTrunc<buffer_bytes>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<usual_bytes>("dgram_trunc", "receives into too small a buffer")),
    Registered(registration<contract.message_max>("dgram_trunc_twin", "the buffer holds them all")),
};

}  // namespace
}  // namespace ipctorture
