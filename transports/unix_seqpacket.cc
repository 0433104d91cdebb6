// unix_seqpacket: connections that keep message boundaries, socket(AF_UNIX, SOCK_SEQPACKET).
//
// Every consumer listens under a name in the run's private directory and every producer connects to
// all of them (socket_mesh.h). What to know about the mechanism, beside what unix_stream.cc says:
//  - One send(2) is one packet: taken whole or not at all, in order, never merged or split. So
//  there
//    is no framing, and a `now` send that answers full has sent nothing.
//  - A packet must fit into the send buffer as the kernel counts it, or send(2) says EMSGSIZE
//    whatever the deadline: the buffer is asked for, and what was granted is checked.
//  - recv(2) of a packet of no bytes returns 0 like the end of the stream: messages start at 1
//  byte.
//  - A packet that is longer than the reader's buffer is cut without a word; MSG_TRUNC makes
//  recv(2)
//    return its true length.
#include <sys/socket.h>

#include "harness/transport/registry.h"
#include "harness/transport/socket_mesh.h"
#include "harness/transport/unix_socket.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t message_max_bytes = 64 * 1024;
constexpr std::size_t send_buffer_bytes = 2 * message_max_bytes;

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::bound_consumer,
    .late_producer = true,
    .reports_closed = true,
    .when_full = WhenFull::blocks,
    .message_min = 1,
    .message_max = message_max_bytes,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    // Of the dead consumer: from each producer at most what a granted buffer holds, a packet being
    // counted as 512 bytes at the least, and the one that was read ahead.
    .lost_per_death_max = 8 * (2 * send_buffer_bytes / 512 + 1),
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

class UnixSeqpacket final : public Transport {
 public:
  UnixSeqpacket(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    return unix_packets_unsupported(SOCK_SEQPACKET, message_max_bytes);
  }

  // Every name is a consumer's own; the directory is there already.
  void create() override {}
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    if (role == Role::consumer) {
      return std::make_unique<MeshConsumer>(Wire::packets,
                                            publish_unix_socket(meeting, index, SOCK_SEQPACKET),
                                            Descriptor(), options_, index, message_max_bytes);
    }
    std::vector<Descriptor> sockets;
    for (unsigned consumer = 0; consumer < options_.consumers; ++consumer) {
      Descriptor socket = connect_unix_socket(meeting, consumer, SOCK_SEQPACKET, deadline);
      if (!socket.valid()) continue;
      grow_send_buffer(socket.get(), send_buffer_bytes);
      sockets.push_back(std::move(socket));
    }
    say_hello_to_all(sockets, options_, index);
    return std::make_unique<MeshProducer>(Wire::packets, std::move(sockets), message_max_bytes);
  }

 private:
  const Options options_;
};

const Registered registered{{.name = "unix_seqpacket",
                             .summary = "UNIX sequenced packets; a mesh of connections",
                             .contract = contract,
                             .make = make_transport<UnixSeqpacket>}};

}  // namespace
}  // namespace ipctorture
