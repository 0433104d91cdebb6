// Many producers, many consumers, and a connected socket from each of those to each of these: the
// endpoints of unix_stream, unix_seqpacket and tcp, which differ in how they connect and not after.
//
//  - A message is bound to a consumer when it is accepted. Producers go round their consumers and
//    pass over one whose socket is full; so a slow consumer delays nobody, and what was bound to a
//    consumer that leaves or dies is lost with it.
//  - A consumer accepts connections whenever it waits, not only in attach, so attaches need not
//    wait for each other. A connection counts once it has said Hello with the run's token. When
//    each of Options::producers has been seen, the listening socket closes and its entry goes
//    (nobody else can come), and when the last connection ends the consumer answers `closed`.
//  - No producer starves: a consumer reads every ready connection once, then deals out in turn what
//    it has before it reads again.
//  - A peer's word is never trusted: lengths are bounded before use, memory depends on the contract
//    only, strangers are few at a time, and a connection that breaks the rules is dropped.
#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "harness/base/descriptor.h"
#include "harness/transport/frame.h"
#include "harness/transport/transport.h"

namespace ipctorture {

enum class Wire : std::uint8_t {
  frames,   // a byte stream: messages are framed (frame.h)
  packets,  // the kernel keeps the boundaries; no message is empty, which would look like the end
};

// The first bytes on every connection.
struct Hello {
  std::uint64_t token = 0;
  std::uint32_t producer = 0;  // index
  std::uint32_t reserved = 0;
};
// Sends it over each of these fresh connections, where it always fits; those whose consumer is gone
// are closed and left out. The last step of an attach: a consumer that was told hello takes the end
// of that connection for the end of the producer, so nothing may fail and be tried again after it.
void say_hello_to_all(std::vector<Descriptor>& sockets, const Options& options, unsigned producer);

// A producer's endpoint.
class MeshProducer final : public Endpoint {
 public:
  // `sockets`: connected, blocking, one per consumer that is there; Hello has been said.
  MeshProducer(Wire wire, std::vector<Descriptor> sockets, std::size_t message_max);

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override;
  IoResult receive(std::span<std::byte>, Deadline) override;  // EBADF
  IoResult close(Deadline) override;

 private:
  struct Outlet {
    Descriptor socket;
    std::uint32_t owed = 0;  // bytes that complete a frame which was given up (frame.h)
  };
  IoResult offer_to_each(std::span<const std::byte> message);
  IoResult write(Outlet& outlet, std::span<const std::byte> message, Deadline deadline);
  int wait_writable(Deadline deadline);
  void drop(std::size_t index);

  Wire wire_;
  std::size_t message_max_;
  std::vector<Outlet> outlets_;
  std::vector<pollfd> polled_;
  std::size_t next_ = 0;  // whose turn it is
};

// A consumer's endpoint.
class MeshConsumer final : public Endpoint {
 public:
  // `listener`: listening, as the entry `index` of the Rendezvous. `claim`: closed together with it
  // (the lock of a published port).
  MeshConsumer(Wire wire, Descriptor listener, Descriptor claim, const Options& options,
               unsigned index, std::size_t message_max);

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override;  // EBADF
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override;
  IoResult close(Deadline) override;

 private:
  struct Inlet {
    Descriptor socket;
    std::array<std::byte, sizeof(Hello)> hello{};
    std::size_t hello_bytes = 0;
    std::unique_ptr<std::byte[]> memory;  // once Hello was said
    FrameIntake intake;                   // frames
    std::size_t packet_bytes = 0;         // packets: of the one in memory; 0: none
    bool ended = false;                   // goes with the next drop_ended()
    void end() {                          // the descriptor goes now: there may be few
      ended = true;
      socket.reset();
    }
  };
  bool all_seen() const { return !listener_.valid(); }
  IoResult take_next(std::span<std::byte> buffer);
  IoResult read_sole(Inlet& inlet, std::span<std::byte> buffer);
  IoResult take(Inlet& inlet, std::span<std::byte> buffer);
  IoResult gather(Deadline deadline);
  IoResult accept_waiting();
  IoResult intake(Inlet& inlet);
  IoResult intake_packet(Inlet& inlet);
  void hear_hello(Inlet& inlet);
  void drop_ended();
  std::size_t memory_bytes() const;

  Wire wire_;
  Descriptor listener_, claim_;
  const Options options_;
  unsigned index_;
  std::size_t message_max_;
  std::vector<bool> seen_;  // [producer]
  std::vector<Inlet> inlets_;
  std::vector<pollfd> polled_;
  std::size_t next_ = 0;  // whose turn it is
};

}  // namespace ipctorture
