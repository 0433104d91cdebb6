// lapped_reader: an overwriting broadcast ring, whose readers look at a slot's version.
//
// The bug: the reader looks at the version before it copies and not after. The writer, who waits
// for nobody, may lap it meanwhile and overwrite the slot while it is copied: the reader returns
// half of one message and half of another, or a later one in the place of an earlier.
// It fires with a slow reader and a ring of few messages: in a copy, as long as a lap takes.
// Seen in: AtomicRing #4.
//
// The twin looks again after the copy: the same version at both ends means that nobody wrote.
//
// Right besides: there is one slot more than messages to keep. So whoever finds a slot being
// written knows that `head` has moved on since he looked, and looks at it again: none waits for
// the writer.
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/racy_copy.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .fan_out = FanOut::broadcast,
    .late_consumer = LateConsumer::from_attach,
    .reports_closed = true,
    .when_full = WhenFull::overwrites_oldest,
    .exact_empty = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 4096,
    .consumers_max = 4,
    .accepted_survives_close = true,
    .may_share_address_space = true,
};

struct Slot {
  std::atomic<std::uint64_t> version;  // 1 + the number of its message; 0: being written
  std::atomic<std::uint64_t> size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint64_t> head;     // number of the next message; runs freely
  std::atomic<std::uint32_t> closed;   // 1: the writer left
  std::atomic<std::uint32_t> changes;  // futex word: counts what may wake a reader
  Slot slots[contract.capacity_max + 1];
};

template <bool looks_again>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options, Role role)
      : memory_(std::move(memory)),
        options_(options),
        role_(role),
        shared_(*reinterpret_cast<Shared*>(memory_.data())),
        next_(shared_.head.load()) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    const std::uint64_t number = shared_.head.load();
    Slot& slot = slot_of(number);
    slot.version.store(0);
    std::atomic_thread_fence(std::memory_order_release);
    slot.size.store(message.size(), std::memory_order_relaxed);
    racy_store(slot.bytes, message.data(), message.size());
    slot.version.store(number + 1);
    shared_.head.store(number + 1);
    tell();
    return IoResult::sent();
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      const IoResult result = look(buffer);
      if (result.outcome != Outcome::empty || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  IoResult close(Deadline) override {
    if (role_ == Role::producer) {
      shared_.closed.store(1);
      tell();
    }
    return IoResult::sent();
  }

 private:
  // Counted from the first number, so that numbers may wrap.
  Slot& slot_of(std::uint64_t number) const {
    return shared_.slots[(number - options_.counter_start) % (options_.capacity + 1)];
  }

  void tell() {
    shared_.changes.fetch_add(1);
    futex_wake(shared_.changes);
  }

  IoResult look(std::span<std::byte> buffer) {
    for (;;) {
      const bool closed = shared_.closed.load() != 0;  // before head, which is final then
      const std::uint64_t head = shared_.head.load();
      if (head == next_) return IoResult::of(closed ? Outcome::closed : Outcome::empty);
      const std::uint64_t number =
          head - next_ > options_.capacity ? head - options_.capacity : next_;
      const Slot& slot = slot_of(number);
      if (slot.version.load() != number + 1) continue;
      const std::size_t size = slot.size.load(std::memory_order_relaxed);
      racy_copy(buffer.data(), slot.bytes, size);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (looks_again && slot.version.load() != number + 1) continue;
      const std::uint64_t missed = number - next_;
      next_ = number + 1;
      return IoResult::received(size, 0, missed);
    }
  }

  SharedMapping memory_;
  const Options options_;
  const Role role_;
  Shared& shared_;
  std::uint64_t next_;  // number of the message to return next
};

template <bool looks_again>
class LappedReader final : public Transport {
 public:
  LappedReader(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->head = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<looks_again>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_, role);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool looks_again>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<LappedReader<looks_again>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("lapped_reader", "looks at the version before copying")),
    Registered(registration<true>("lapped_reader_twin", "looks at it before and after")),
};

}  // namespace
}  // namespace ipctorture
