// shm_ring: a lock-free ring in POSIX shared memory, one producer, one consumer, futexes to sleep
// on.
//
// The ring itself, and why it is right, stands in harness/base/spsc_slots.h; how it waits in
// spsc_transfer.h. What is special here:
//  - The creator makes the object (O_EXCL, 0600, backed at once so that a full /dev/shm is ENOSPC
//    now and not SIGBUS later) and initialises it before anyone attaches. Attaching never does: it
//    checks magic and shape, and takes over where a dead predecessor stood.
//  - Leaving sets a flag in one's own word: the consumer reads what is left and then gets `closed`;
//    the producer gets `closed` at once.
//
// Where it stops: whoever may open the object may also truncate it, and then touching it is SIGBUS;
// memfd_ring seals its size against that. A process that died without closing looks like a slow
// one.
#include "harness/base/futex.h"
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
    .attach = AttachBy::named,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max =
        1,  // taken out of the ring, not yet in the hands of the consumer's caller
    .hostile = Hostile::not_promised,  // it may truncate the object: SIGBUS
    .may_share_address_space = true,
};

// Each side sleeps on its own word and is woken there. Not the private kind of futex, which works
// within one process only. The kernel compares the word once more before it sleeps: a wake-up that
// came first is not lost.
struct FutexBell {
  const SpscSide& side;
  void sleep(Deadline deadline) const { futex_wait(side.own_word(), SpscSide::waiting, deadline); }
  void wake_peer() const { futex_wake(side.peer_word()); }
};

class Producer final : public Endpoint {
 public:
  Producer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {
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
  FutexBell bell_{ring_};
  AdaptiveSpin spin_;
};

class Consumer final : public Endpoint {
 public:
  Consumer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {
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
  FutexBell bell_{ring_};
  AdaptiveSpin spin_;
};

class ShmRing final : public Transport {
 public:
  ShmRing(const Options& options, std::vector<Descriptor>)
      : name_(options.name),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, kContract.message_max),
               .counter_start = options.counter_start} {}

  std::string unsupported() const override { return shared_object_lack(shape_.memory_bytes()); }

  void create() override {
    if (shape_.capacity > kContract.capacity_max) throw_system_error("create", name_, EINVAL);
    const Descriptor object = create_shared_object(name_, shape_.memory_bytes());
    try {
      const SharedMapping memory(object.get(), shape_.memory_bytes(), name_);
      initialise_spsc({memory.data(), memory.size()}, shape_);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(name_, &bytes);
    if (bytes < shape_.memory_bytes()) throw_system_error("attach", name_, EPROTO);
    SharedMapping memory(object.get(), shape_.memory_bytes(), name_);
    if (role == Role::producer) return std::make_unique<Producer>(std::move(memory), shape_);
    return std::make_unique<Consumer>(std::move(memory), shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  std::string name_;
  SpscShape shape_;
};

const Registered registered{{.name = "shm_ring",
                             .summary = "lock-free ring in POSIX shared memory, futex",
                             .contract = kContract,
                             .make = make_transport<ShmRing>}};

}  // namespace
}  // namespace ipctorture
