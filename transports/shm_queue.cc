// shm_queue: a bounded queue for many producers and consumers in POSIX shared memory, under a
// robust mutex, that survives SIGKILL of anyone at any instruction.
//
// Why it is right
//  - One mutex orders everything (hence: total order, exact empty and full). A message is copied
//    into a slot that nobody can see; then one store of `tail` makes it exist, and one of `head`
//    makes it gone. A holder killed before that store did nothing, one killed after it did
//    everything: there is never anything half done to repair.
//  - The mutex is robust: whoever locks it after its holder's death is told (EOWNERDEAD), declares
//    the state consistent, which it is by the above, and wakes all sleepers, in case the dead one
//    was about to.
//  - Sleepers are woken just *before* the store that they wait for, under the lock: they queue at
//    the mutex. Were they woken after it, a holder killed in between would leave room (or a
//    message) and everybody asleep, and nobody would come to lock and notice.
//  - The condition variables are our own (Event). Those of glibc are not robust: a waiter killed in
//    pthread_cond_wait stays in its group's count, and pthread_cond_signal then waits for it, for
//    ever (glibc 2.36: within five kills). An Event is a sequence number to sleep on (futex) and a
//    mark that somebody may. Nothing counts waiters, so a dead one leaves at most one needless
//    wake-up. News wakes *all*: a wake-up handed to one who is then killed would be lost to the
//    others.
//  - A robust mutex has the same weakness inside: nobody waits for it longer than a slice at a time
//    (robust_mutex.h).
//  - The robust list of the kernel is per thread; the endpoint may be used from one thread only.
//
// Where it stops: copying happens under the lock, so large messages do not overlap. A process that
// is stopped (not killed) while it holds the lock stops everybody; they keep their deadlines.
// `closed` is not reported: a killed producer never closes, and restarted ones would not be told
// from it. A peer that writes anything can ruin the mutex.
#include <algorithm>
#include <cstring>
#include <new>

#include "harness/base/adaptive_spin.h"
#include "harness/base/futex.h"
#include "harness/base/robust_mutex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::total,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .when_full = WhenFull::blocks,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 4096,
    .message_min = 0,
    .message_max = 1024 * 1024,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max = 1,  // taken out of the queue, not yet in the hands of the caller
};

// `now` does not wait for messages or room, but has to wait its turn to look; within the slack of
// the contract.
constexpr std::chrono::milliseconds now_lock{25};

// News to sleep for. All but the futex's own look at `sequence` happens under the mutex.
struct Event {
  std::atomic<std::uint32_t> sequence;
  std::uint32_t sleepers;  // 1: somebody may sleep since the last news
};

struct Shared {
  static constexpr std::uint64_t magic_value = 0x314555455551495f;
  std::uint64_t magic;
  std::uint32_t capacity;
  std::uint32_t message_max;
  alignas(64) pthread_mutex_t mutex;
  // Free-running: what was accepted, and what was taken. Stored under the mutex; a glance without
  // it says whether locking is worth while.
  std::atomic<std::uint64_t> tail;
  std::atomic<std::uint64_t> head;
  Event items;
  Event room;
};

struct Slot {
  std::uint64_t size;
  std::byte* message() { return reinterpret_cast<std::byte*>(this + 1); }
};

struct Shape {
  std::uint32_t capacity;
  std::uint32_t message_max;
  std::uint64_t counter_start;
  std::size_t slot_bytes() const { return sizeof(Slot) + (message_max + 7u) / 8 * 8; }
  std::size_t memory_bytes() const { return sizeof(Shared) + capacity * slot_bytes(); }
};

void tell(Event& event) {
  if (event.sleepers == 0) return;
  event.sleepers = 0;
  event.sequence.fetch_add(1);
  futex_wake(event.sequence);
}

// The mutex as seen by one operation: at most held once, released when it goes.
class Lock {
 public:
  explicit Lock(Shared& shared) : shared_(shared) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (held_) unlock();
  }

  // 0, ETIMEDOUT, or why the mutex is of no use any more.
  int lock(Deadline deadline) {
    int error = lock_robust(shared_.mutex, deadline.is_now() ? Deadline::in(now_lock) : deadline);
    if (error == EOWNERDEAD) {
      error = ::pthread_mutex_consistent(&shared_.mutex);
      shared_.items.sleepers = shared_.room.sleepers = 1;
      tell(shared_.items);
      tell(shared_.room);
    }
    held_ = error == 0;
    return error;
  }
  void unlock() {
    held_ = false;
    ::pthread_mutex_unlock(&shared_.mutex);
  }

 private:
  Shared& shared_;
  bool held_ = false;
};

class Queue final : public Endpoint {
 public:
  Queue(SharedMapping memory, const Shape& shape)
      : memory_(std::move(memory)),
        shape_(shape),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {
    if (shared_.magic != Shared::magic_value || shared_.capacity != shape.capacity ||
        shared_.message_max != shape.message_max) {
      throw_system_error("attach", "shm_queue: magic or shape", EPROTO);
    }
  }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > shape_.message_max) return IoResult::of(Outcome::too_large);
    return operate(deadline, shared_.room, Outcome::full, shape_.capacity, [&] {
      const std::uint64_t tail = shared_.tail.load(std::memory_order_relaxed);
      Slot& slot = slot_of(tail);
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.message(), message.data(), message.size());
      tell(shared_.items);
      shared_.tail.store(tail + 1);  // from here on it is accepted
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return operate(deadline, shared_.items, Outcome::empty, 0, [&] {
      const std::uint64_t head = shared_.head.load(std::memory_order_relaxed);
      Slot& slot = slot_of(head);
      const std::size_t size = slot.size;
      if (size > shape_.message_max) return IoResult::failed(EPROTO);
      if (size > buffer.size()) return IoResult::of(Outcome::too_large);
      if (size > 0) std::memcpy(buffer.data(), slot.message(), size);
      tell(shared_.room);
      shared_.head.store(head + 1);  // from here on it is gone
      return IoResult::received(size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  std::uint64_t used() const { return shared_.tail.load() - shared_.head.load(); }
  Slot& slot_of(std::uint64_t counter) const {
    const std::uint64_t index = (counter - shape_.counter_start) % shape_.capacity;
    return *reinterpret_cast<Slot*>(memory_.data() + sizeof(Shared) + index * shape_.slot_bytes());
  }

  // Performs `action` under the lock as soon as used() differs from `blocked_at`; sleeps for
  // `event` meanwhile.
  template <typename Action>
  IoResult operate(Deadline deadline, Event& event, Outcome blocked, std::uint64_t blocked_at,
                   Action action) {
    for (;;) {
      if (!deadline.is_now()) spin_.until([&] { return used() != blocked_at; });
      Lock lock(shared_);
      const int error = lock.lock(deadline);
      if (error == ETIMEDOUT) return IoResult::of(Outcome::timed_out);
      if (error != 0) return IoResult::failed(error);
      if (used() != blocked_at) return action();
      if (deadline.is_now()) return IoResult::of(blocked);
      event.sleepers = 1;
      const std::uint32_t seen = event.sequence.load();
      lock.unlock();
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(event.sequence, seen, deadline);  // not if there was news since unlock
    }
  }

  SharedMapping memory_;
  Shape shape_;
  Shared& shared_;
  AdaptiveSpin spin_;
};

void initialise(Shared& shared, const Shape& shape) {
  create_robust_mutex(shared.mutex, "shm_queue");
  shared.capacity = shape.capacity;
  shared.message_max = shape.message_max;
  shared.tail = shape.counter_start;
  shared.head = shape.counter_start;
  shared.magic = Shared::magic_value;
}

class ShmQueue final : public Transport {
 public:
  ShmQueue(const Options& options, std::vector<Descriptor>)
      : name_(options.name),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, kContract.message_max),
               .counter_start = options.counter_start} {}

  std::string unsupported() const override { return shared_object_lack(shape_.memory_bytes()); }

  void create() override {
    if (shape_.capacity == 0 || shape_.capacity > kContract.capacity_max) {
      throw_system_error("create", name_, EINVAL);
    }
    const Descriptor object = create_shared_object(name_, shape_.memory_bytes());
    try {
      const SharedMapping memory(object.get(), shape_.memory_bytes(), name_);
      initialise(*new (memory.data()) Shared{}, shape_);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(name_, &bytes);
    if (bytes < shape_.memory_bytes()) throw_system_error("attach", name_, EPROTO);
    return std::make_unique<Queue>(SharedMapping(object.get(), shape_.memory_bytes(), name_),
                                   shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  std::string name_;
  Shape shape_;
};

const Registered registered{{.name = "shm_queue",
                             .summary = "bounded queue in POSIX shared memory, robust mutex",
                             .contract = kContract,
                             .make = make_transport<ShmQueue>}};

}  // namespace
}  // namespace ipctorture
