// Every consumer sees every message in order, the writer never waits: an overwriting broadcast ring
// in POSIX shared memory. A consumer that was lapped is told exactly how many messages it missed.
//
// The writer numbers messages by one free-running counter: `head` is the number of the next one.
// Consumers keep their place to themselves, so there is no table of them to fill up or to clean
// after a death, and the writer's cost does not depend on how many there are.
//
// Reading is speculative: `head` is looked at before AND after the copy. (A check before it alone
// is the classic bug: the slot is overwritten while it is copied.) Message n shares its slot with
// message n + slots, whose writing begins only after `head` became n + slots: as long as `head` is
// below that after the copy, the copy is whole. The ring has `spare_slots` more than its capacity.
// So the newest `capacity` messages can be read at any moment, also while the next is being
// written, and copying the oldest of them survives a few publications meanwhile. A writer killed in
// the middle of a message leaves a slot that nobody looks at; its successor goes on from `head`.
//
// Consumers sleep on a futex: how no wake-up is lost stands at Writer::ring.
//
// Where it stops: one writer at a time. A peer that may write the memory can send nonsense, which
// is answered with EBADMSG or EPROTO and never leads outside the mapping; but it may also truncate
// the object, which no reader can survive.
#include <atomic>
#include <cerrno>
#include <new>

#include "harness/base/adaptive_spin.h"
#include "harness/base/futex.h"
#include "harness/base/racy_copy.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::exactly_once,  // but for what `missed` counts
    .ordering = Ordering::total,
    .fan_out = FanOut::broadcast,
    .late_consumer = LateConsumer::from_attach,
    .reports_closed = true,
    .when_full = WhenFull::overwrites_oldest,
    .exact_empty = true,
    .capacity_max = 4096,
    .message_min = 0,
    .message_max = 4096,
    .producers_max = 1,
    .consumers_max = 8,
    .lives_max = 255,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .hostile = Hostile::not_promised,  // it may truncate the object: SIGBUS
    .may_share_address_space = true,
};

constexpr std::uint64_t magic_v1 = 0x3130747361636462;  // "bdcast01"
constexpr std::uint64_t spare_slots = 8;
// Copies in a row that a writer may spoil, each by at least spare_slots publications. No honest
// writer gets near it; a hostile one must not keep a reader for ever.
constexpr unsigned tries_max = 10'000;

constexpr std::uint32_t someone_sleeps = 1;  // the lowest bit of Header::bell

struct Header {
  std::uint64_t magic;
  std::uint64_t capacity;
  std::uint64_t message_bytes;
  alignas(64) std::atomic<std::uint64_t> head;  // number of the next message
  std::atomic<std::uint32_t> closed;            // 1: the writer left in order
  alignas(64) std::atomic<std::uint32_t> bell;  // futex word: see Writer::ring
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct Slot {  // the message's bytes follow it
  std::uint64_t size;
  std::byte* message() { return reinterpret_cast<std::byte*>(this + 1); }
};

// What every process knows from its own Options; no number in shared memory is used for it.
struct Geometry {
  std::uint64_t capacity;
  std::uint64_t message_bytes;
  std::uint64_t first;  // number of the first message

  std::uint64_t slots() const { return capacity + spare_slots; }
  std::size_t slot_bytes() const { return (sizeof(Slot) + message_bytes + 63) / 64 * 64; }
  std::size_t object_bytes() const { return sizeof(Header) + slots() * slot_bytes(); }
};

class View {
 public:
  View(SharedMapping mapping, const Geometry& geometry)
      : mapping_(std::move(mapping)), geometry_(geometry) {}

  const Geometry& geometry() const { return geometry_; }
  Header& header() const { return *reinterpret_cast<Header*>(mapping_.data()); }
  // Counted from the first message, so that the counter may wrap whatever the number of slots is.
  Slot& slot(std::uint64_t number) const {
    const std::size_t index = (number - geometry_.first) % geometry_.slots();
    return *reinterpret_cast<Slot*>(mapping_.data() + sizeof(Header) +
                                    index * geometry_.slot_bytes());
  }

 private:
  SharedMapping mapping_;
  Geometry geometry_;
};

class Writer final : public Endpoint {
 public:
  // A predecessor may have been killed between taking the bit back and waking.
  explicit Writer(View view) : view_(std::move(view)) {
    view_.header().bell.fetch_or(someone_sleeps);
  }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > view_.geometry().message_bytes) return IoResult::of(Outcome::too_large);
    Header& header = view_.header();
    const std::uint64_t number = header.head.load(std::memory_order_relaxed);
    Slot& slot = view_.slot(number);
    // Whoever reads one word of what follows also sees that head had become `number`, and so knows
    // that its copy of message number - slots is spoilt.
    std::atomic_thread_fence(std::memory_order_release);
    std::atomic_ref(slot.size).store(message.size(), std::memory_order_relaxed);
    racy_store(slot.message(), message.data(), message.size());
    header.head.store(number + 1);
    ring();
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EOPNOTSUPP); }
  IoResult close(Deadline) override {
    view_.header().closed.store(1);
    ring();
    return IoResult::of(Outcome::ok);
  }

 private:
  // The bell is a count of rings and, in its lowest bit, whether somebody may sleep. A reader sets
  // the bit, looks once more for news, and sleeps while the bell is what it then was. The writer
  // publishes, and if the bit is set adds one: that clears it and counts. All are sequentially
  // consistent, so either the reader sees the news, or the writer sees the bit; and futex(2)
  // refuses to sleep on a bell that has rung since, whoever set the bit again. (A flag apart from
  // the word to sleep on would be taken back for news that its reader has seen already; a flag
  // without a count would be set again by another reader. `explore` found both.)
  void ring() {
    std::atomic<std::uint32_t>& bell = view_.header().bell;
    if ((bell.load() & someone_sleeps) == 0) return;
    bell.fetch_add(1);
    futex_wake(bell);
  }

  View view_;
};

class Reader final : public Endpoint {
 public:
  explicit Reader(View view) : view_(std::move(view)), next_(view_.header().head.load()) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EOPNOTSUPP);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const IoResult result = look(buffer);
      if (result.outcome != Outcome::empty || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      sleep(deadline);
    }
  }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  IoResult look(std::span<std::byte> buffer) {
    const Geometry& geometry = view_.geometry();
    Header& header = view_.header();
    for (unsigned tries = 0; tries < tries_max; ++tries) {
      // In this order: once `closed` is set, head is final.
      const bool closed = header.closed.load(std::memory_order_acquire) != 0;
      const std::uint64_t head = header.head.load(std::memory_order_acquire);
      if (head == next_) return IoResult::of(closed ? Outcome::closed : Outcome::empty);
      const std::uint64_t number =
          head - next_ > geometry.capacity ? head - geometry.capacity : next_;
      Slot& slot = view_.slot(number);
      // Read once: checked and used is the same number.
      const std::uint64_t size = std::atomic_ref(slot.size).load(std::memory_order_relaxed);
      const bool fits = size <= geometry.message_bytes && size <= buffer.size();
      if (fits) racy_copy(buffer.data(), slot.message(), size);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (header.head.load(std::memory_order_relaxed) - number >= geometry.slots()) continue;
      if (size > geometry.message_bytes) return IoResult::failed(EBADMSG);
      if (!fits) return IoResult::of(Outcome::too_large);
      const std::uint64_t missed = number - next_;
      next_ = number + 1;
      return IoResult::received(size, 0, missed);
    }
    return IoResult::failed(EPROTO);
  }

  bool anything_new() const {
    const Header& header = view_.header();
    return header.head.load() != next_ || header.closed.load() != 0;
  }

  void sleep(Deadline deadline) {  // see Writer::ring
    if (spin_.until([this] { return anything_new(); })) return;
    std::atomic<std::uint32_t>& bell = view_.header().bell;
    const std::uint32_t heard = bell.fetch_or(someone_sleeps) | someone_sleeps;
    if (!anything_new()) futex_wait(bell, heard, deadline);
  }

  View view_;
  AdaptiveSpin spin_;
  std::uint64_t next_;  // number of the message to return next
};

class ShmBroadcast final : public Transport {
 public:
  ShmBroadcast(const Options& options, std::vector<Descriptor>)
      : name_(options.name),
        geometry_{
            .capacity = options.capacity,
            .message_bytes = options.message_max != 0 ? options.message_max : kContract.message_max,
            .first = options.counter_start,
        } {}

  void create() override {
    const Descriptor fd = create_shared_object(name_, geometry_.object_bytes());
    try {
      const SharedMapping mapping(fd.get(), geometry_.object_bytes(), name_);
      new (mapping.data()) Header{
          .magic = magic_v1,
          .capacity = geometry_.capacity,
          .message_bytes = geometry_.message_bytes,
          .head = geometry_.first,
          .closed = 0,
          .bell = 0,
      };
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor fd = open_shared_object(name_, &bytes);
    if (bytes != geometry_.object_bytes())
      throw_system_error("attach: wrong size of", name_, EPROTO);
    View view(SharedMapping(fd.get(), bytes, name_), geometry_);
    const Header& header = view.header();
    if (header.magic != magic_v1 || header.capacity != geometry_.capacity ||
        header.message_bytes != geometry_.message_bytes)
      throw_system_error("attach: not a broadcast ring of this kind:", name_, EPROTO);
    if (role == Role::producer) return std::make_unique<Writer>(std::move(view));
    return std::make_unique<Reader>(std::move(view));
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  const std::string name_;
  const Geometry geometry_;
};

const Registered registered{
    {.name = "shm_broadcast",
     .summary = "overwriting broadcast ring in shared memory, counts what was missed",
     .contract = kContract,
     .make = make_transport<ShmBroadcast>}};

}  // namespace
}  // namespace ipctorture
