// tcp: byte streams over the loopback interface, socket(AF_INET, SOCK_STREAM).
//
// Every consumer listens on a port of 127.0.0.1 that it publishes in the run's private directory,
// and every producer connects to all of them (socket_mesh.h). What to know about the mechanism:
//  - Anyone on the machine can connect to a port. The first bytes on a connection are the run's
//    token, and connections without it are dropped; how a producer knows its consumer: loopback.h.
//  - The boundary of a send(2) means nothing to the reader: messages are framed (frame.h), and a
//    frame that a deadline cuts is given up in a way that keeps the stream in step.
//  - TCP_NODELAY: without it the last message of a burst may wait for an acknowledgement that the
//    peer delays by up to 40 ms.
//  - Accepted data survives close(2) and even the death of the sender: the kernel goes on sending.
//    Two things would destroy it, and both are avoided or stated: a reset, because the closing side
//    has unread data (nothing ever flows back to a producer), and a reader that reads nothing for
//    about 100 seconds after the sender left (the kernel then gives up an orphaned connection,
//    tcp_orphan_retries).
//  - Both buffers have a size of our own: what they hold goes with a consumer that dies, and the
//    kernel would let them grow (tcp_rmem, tcp_wmem) to some megabytes here and 32 there. That of
//    the listener is inherited by its connections, and must stand before they are made: the window
//    that they can offer is agreed upon then.
//  - A consumer that leaves is noticed by its producers only when the answer to what they send next
//    comes back: what they send until then is lost with it.
//  - poll(2) promises room when a third of the send buffer is empty: sized so that the largest
//    message fits in there, if net.core.wmem_max allows. By default (208 KiB) it does not: so `now`
//    is promised for what a third of the smallest buffer holds.
//  - A socket whose peer left kills the writer with SIGPIPE, unless it says MSG_NOSIGNAL.
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "harness/transport/loopback.h"
#include "harness/transport/registry.h"
#include "harness/transport/socket_mesh.h"
#include "harness/transport/unix_socket.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t message_max_bytes = 1024 * 1024;
// More than connect at once, strangers included; a full queue would cost a connection a second.
constexpr int listen_backlog = 128;

// What is asked for at the least; every usual net.core.wmem_max grants it, and twice the number.
constexpr std::size_t send_buffer_min_bytes = 128 * 1024;

constexpr std::size_t receive_buffer_bytes = 512 * 1024;
// What can be on its way from one producer: both buffers (the kernel grants twice what was asked
// for, and takes the segment of up to 64 KiB with which they overflow) and what was read ahead.
constexpr std::size_t in_flight_max_bytes = 2 * (2 * message_max_bytes) + 2 * receive_buffer_bytes +
                                            2 * 64 * 1024 +
                                            FrameReader::memory_bytes(message_max_bytes);

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .reports_closed = true,
    .when_full = WhenFull::blocks,
    .message_min = 0,
    .message_max = message_max_bytes,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .now_message_max = send_buffer_min_bytes / 2,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    // Of the dead consumer: from each producer, in the smallest frames.
    .lost_per_death_max = 8 * (in_flight_max_bytes / frame_overhead),
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

class Tcp final : public Transport {
 public:
  Tcp(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override { return loopback_unsupported(SOCK_STREAM); }

  // Every port is a consumer's own; the directory is there already.
  void create() override {}
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    return role == Role::consumer ? listen_as(meeting, index)
                                  : connect_as(meeting, index, deadline);
  }

 private:
  std::unique_ptr<Endpoint> listen_as(const Rendezvous& meeting, unsigned index) const {
    Descriptor listener = bind_loopback(SOCK_STREAM);
    const int bytes = receive_buffer_bytes;
    if (::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0) {
      throw_system_error("setsockopt", "SO_RCVBUF");
    }
    if (::listen(listener.get(), listen_backlog) != 0) throw_system_error("listen", "127.0.0.1");
    Descriptor claim = publish_port(meeting, index, listener.get());
    return std::make_unique<MeshConsumer>(Wire::frames, std::move(listener), std::move(claim),
                                          options_, index, message_max_bytes);
  }

  std::unique_ptr<Endpoint> connect_as(const Rendezvous& meeting, unsigned index,
                                       Deadline deadline) const {
    std::vector<Descriptor> sockets;
    for (unsigned consumer = 0; consumer < options_.consumers; ++consumer) {
      Descriptor socket = connect_loopback(meeting, consumer, SOCK_STREAM, deadline);
      if (!socket.valid()) continue;
      const int on = 1;
      if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        throw_system_error("setsockopt", "TCP_NODELAY");
      }
      grow_send_buffer(socket.get(),
                       std::max(send_buffer_min_bytes, std::size_t{2} * options_.message_max));
      sockets.push_back(std::move(socket));
    }
    say_hello_to_all(sockets, options_, index);
    return std::make_unique<MeshProducer>(Wire::frames, std::move(sockets), message_max_bytes);
  }

  const Options options_;
};

const Registered registered{{.name = "tcp",
                             .summary = "TCP over loopback, framed; a mesh of connections",
                             .contract = contract,
                             .make = make_transport<Tcp>}};

}  // namespace
}  // namespace ipctorture
