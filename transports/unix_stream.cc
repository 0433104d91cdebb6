// unix_stream: byte streams between the processes of one machine, socket(AF_UNIX, SOCK_STREAM).
//
// Every consumer listens under a name in the run's private directory and every producer connects to
// all of them (socket_mesh.h). What to know about the mechanism:
//  - The boundary of a send(2) means nothing to the reader: messages are framed (frame.h), and a
//    frame that a deadline cuts is given up in a way that keeps the stream in step.
//  - connect(2) succeeds as soon as the consumer listens, before it accepts; what is sent meanwhile
//    waits. So a name must appear only once listen(2) has been called: it is renamed into place.
//  - Data that was accepted stays readable after the sender closed or died, even if the connection
//    was not accepted yet. Data that its *receiver* leaves unread is gone.
//  - A socket whose peer left kills the writer with SIGPIPE, unless it says MSG_NOSIGNAL.
//  - poll(2) promises room only when three quarters of the send buffer are empty; the buffer is
//    sized so that the largest message fits, if net.core.wmem_max allows. By default (208 KiB) it
//    does not: a large `now` send then answers full unless the consumer reads at that very moment.
//    So `now` is promised for what the smallest buffer holds.
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "harness/transport/registry.h"
#include "harness/transport/socket_mesh.h"
#include "harness/transport/unix_socket.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t message_max_bytes = 1024 * 1024;
// What is asked for at the least; every usual net.core.wmem_max grants it, and twice the number.
constexpr std::size_t send_buffer_min_bytes = 128 * 1024;

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
    // Of the dead consumer: from each producer at most what a granted buffer and the read-ahead
    // hold, in the smallest frames.
    .lost_per_death_max = 8 * (2 * message_max_bytes / 512 + frame_read_ahead / frame_overhead),
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

class UnixStream final : public Transport {
 public:
  UnixStream(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return probe.valid() ? "" : std::string("socket: ") + std::strerror(errno);
  }

  // Every name is a consumer's own; the directory is there already.
  void create() override {}
  void destroy() noexcept override { Rendezvous::remove(options_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    const Rendezvous meeting(options_);
    if (role == Role::consumer) {
      return std::make_unique<MeshConsumer>(Wire::frames,
                                            publish_unix_socket(meeting, index, SOCK_STREAM),
                                            Descriptor(), options_, index, message_max_bytes);
    }
    std::vector<Descriptor> sockets;
    for (unsigned consumer = 0; consumer < options_.consumers; ++consumer) {
      Descriptor socket = connect_unix_socket(meeting, consumer, SOCK_STREAM, deadline);
      if (!socket.valid()) continue;
      grow_send_buffer(socket.get(),
                       std::max<std::size_t>(send_buffer_min_bytes, options_.message_max));
      sockets.push_back(std::move(socket));
    }
    say_hello_to_all(sockets, options_, index);
    return std::make_unique<MeshProducer>(Wire::frames, std::move(sockets), message_max_bytes);
  }

 private:
  const Options options_;
};

const Registered registered{{.name = "unix_stream",
                             .summary = "UNIX stream sockets, framed; a mesh of connections",
                             .contract = contract,
                             .make = make_transport<UnixStream>}};

}  // namespace
}  // namespace ipctorture
