// memfd_ring: a lock-free ring in memory without a name, one producer, one consumer, eventfds to
// sleep on.
//
// The ring itself, and why it is right, stands in harness/base/spsc_slots.h; how it waits in
// spsc_transfer.h. What is special here:
//  - Nothing has a name: whoever holds the three descriptors (memory, and a bell for each side) may
//    take part, by fork or by SCM_RIGHTS; when the last holder is gone, so is everything.
//  - The memory is sealed (memfd_create(2)): nobody can shrink it any more, and whoever attaches
//    checks that before mapping it. Otherwise a peer could truncate it, and a touch would be
//    SIGBUS.
//  - An eventfd counts rings, so one that comes before poll(2) is not lost; and it can stand beside
//    other descriptors in an event loop, which a futex cannot. A ring that nobody waited for stays
//    behind and ends a later sleep too early: harmless, the sleeper looks again.
//
// Where it stops: a process that died without closing looks like a slow one. The memory withstands
// a hostile peer, the bells do not: O_NONBLOCK belongs to what all holders of an eventfd share, and
// whoever clears it lets the other side sleep in read(2) or write(2), past its deadlines.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "harness/base/shared_mapping.h"
#include "harness/base/spsc_transfer.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::total,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .reports_closed = true,
    .when_full = WhenFull::blocks,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 4096,
    .message_min = 0,
    .message_max = 64 * 1024,
    .producers_max = 1,
    .consumers_max = 1,
    .attach = AttachBy::inherited,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max =
        1,  // taken out of the ring, not yet in the hands of the consumer's caller
    .hostile = Hostile::not_promised,  // it may make the bells block
    .may_share_address_space = true,
};

enum Handle : std::size_t { memory_handle, producer_bell, consumer_bell, handle_count };

// Borrows its descriptors; both are O_NONBLOCK since creation, for all holders.
struct EventBell {
  int own;
  int peer;

  void sleep(Deadline deadline) const {
    pollfd ring{.fd = own, .events = POLLIN, .revents = 0};
    timespec left{};
    if (deadline.is_timed()) left = deadline.remaining_timespec();
    // EINTR, or a passed deadline: the caller looks again at both.
    if (::ppoll(&ring, 1, deadline.is_timed() ? &left : nullptr, nullptr) != 1) return;
    std::uint64_t rings = 0;
    [[maybe_unused]] const ssize_t taken = ::read(own, &rings, sizeof rings);  // or EAGAIN: gone
  }
  void wake_peer() const {
    const std::uint64_t once = 1;
    // EAGAIN means that the counter is at its maximum: it rings already.
    [[maybe_unused]] const ssize_t rung = ::write(peer, &once, sizeof once);
  }
};

class Producer final : public Endpoint {
 public:
  Producer(SharedMapping memory, const SpscShape& shape, EventBell bell)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape), bell_(bell) {
    bell_.wake_peer();  // a predecessor may have died before it could
  }
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    return spsc_send(ring_, bell_, spin_, message, deadline);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  SpscWriter ring_;
  EventBell bell_;
  AdaptiveSpin spin_;
};

class Consumer final : public Endpoint {
 public:
  Consumer(SharedMapping memory, const SpscShape& shape, EventBell bell)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape), bell_(bell) {
    bell_.wake_peer();
  }
  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return spsc_receive(ring_, bell_, spin_, buffer, deadline);
  }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  SpscReader ring_;
  EventBell bell_;
  AdaptiveSpin spin_;
};

class MemfdRing final : public Transport {
 public:
  MemfdRing(const Options& options, std::vector<Descriptor> handles)
      : shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, kContract.message_max),
               .counter_start = options.counter_start},
        handles_(std::move(handles)) {}

  void create() override {
    if (shape_.capacity > kContract.capacity_max) throw_system_error("create", label, EINVAL);
    const std::size_t bytes = shape_.memory_bytes();
    std::vector<Descriptor> made(handle_count);
    made[memory_handle] = create_unnamed_memory(label, bytes, Backing::reserved);
    if (::fcntl(made[memory_handle].get(), F_ADD_SEALS, seals) != 0) {
      throw_system_error("fcntl F_ADD_SEALS", label);
    }
    for (const std::size_t bell : {producer_bell, consumer_bell}) {
      made[bell] = own_descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd", label);
    }
    const SharedMapping memory(made[memory_handle].get(), bytes, label);
    initialise_spsc({memory.data(), memory.size()}, shape_);
    handles_ = std::move(made);
  }

  std::vector<Descriptor> take_handles() override { return std::move(handles_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    if (handles_.size() != handle_count) throw_system_error("attach", label, EBADF);
    SharedMapping memory = map_sealed(handles_[memory_handle].get());
    const int producer = handles_[producer_bell].get();
    const int consumer = handles_[consumer_bell].get();
    if (role == Role::producer) {
      return std::make_unique<Producer>(std::move(memory), shape_,
                                        EventBell{.own = producer, .peer = consumer});
    }
    return std::make_unique<Consumer>(std::move(memory), shape_,
                                      EventBell{.own = consumer, .peer = producer});
  }

  void destroy() noexcept override { handles_.clear(); }

 private:
  static constexpr const char* label = "ipctorture memfd_ring";
  static constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

  // The seal first, then the size: in this order what was checked stays true.
  SharedMapping map_sealed(int fd) const {
    const int found = ::fcntl(fd, F_GET_SEALS);
    if (found < 0) throw_system_error("fcntl F_GET_SEALS", label);
    const off_t bytes = ::lseek(fd, 0, SEEK_END);
    if ((found & F_SEAL_SHRINK) == 0 || bytes < static_cast<off_t>(shape_.memory_bytes())) {
      throw_system_error("attach", label, EPROTO);
    }
    return SharedMapping(fd, shape_.memory_bytes(), label);
  }

  SpscShape shape_;
  std::vector<Descriptor> handles_;
};

const Registered registered{{.name = "memfd_ring",
                             .summary = "lock-free ring in unnamed, sealed memory, eventfd",
                             .contract = kContract,
                             .make = make_transport<MemfdRing>}};

}  // namespace
}  // namespace ipctorture
