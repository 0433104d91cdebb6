// futex_late_sample: a ring whose consumer sleeps on a count of what was sent, and reads that count
// too late.
//
// The bug: it finds the ring empty, and then reads the count to sleep on. A message that comes in
// between is counted already: the kernel finds the word as expected and lets the consumer sleep
// beside the message.
// It fires when a send falls into that gap of a few instructions: after about a million messages
// of ping-pong. The next send wakes the consumer, so it shows as a late message, and as a deadlock
// when there is no next one. Seen in: unikraft #1763.
//
// The twin reads the count first: whatever is sent after that makes it another.
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_consumer = LateConsumer::backlog,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .overtakes_max = 0,
    .may_share_address_space = true,
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

// The counts run freely, and are what the sides sleep on. All slots are used in turn, whatever the
// capacity: their number is a power of two, so that a count which wraps means the same slot.
struct Shared {
  std::atomic<std::uint32_t> sent, taken;
  Slot slots[contract.capacity_max];
};

class Side : public Endpoint {
 public:
  Side(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}
  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 protected:
  std::uint32_t message_max() const { return options_.message_max; }
  std::uint32_t capacity() const { return options_.capacity; }
  Shared& shared() { return shared_; }
  Slot& slot_of(std::uint32_t count) { return shared_.slots[count % contract.capacity_max]; }

 private:
  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

class Producer final : public Side {
 public:
  using Side::Side;
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max()) return IoResult::of(Outcome::too_large);
    for (;;) {
      const std::uint32_t taken = shared().taken.load();
      const std::uint32_t sent = shared().sent.load();
      if (sent - taken < capacity()) return put(message, sent);
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared().taken, taken, deadline);
    }
  }

 private:
  IoResult put(std::span<const std::byte> message, std::uint32_t sent) {
    Slot& slot = slot_of(sent);
    slot.size = message.size();
    if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
    shared().sent.store(sent + 1);
    futex_wake(shared().sent);
    return IoResult::sent();
  }
};

template <bool reads_first>
class Consumer final : public Side {
 public:
  using Side::Side;
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const std::uint32_t sent = shared().sent.load();
      const std::uint32_t taken = shared().taken.load();
      if (sent != taken) return take(buffer, taken);
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared().sent, reads_first ? sent : shared().sent.load(), deadline);
    }
  }

 private:
  IoResult take(std::span<std::byte> buffer, std::uint32_t taken) {
    const Slot& slot = slot_of(taken);
    const std::size_t size = slot.size;
    if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
    shared().taken.store(taken + 1);
    futex_wake(shared().taken);
    return IoResult::received(size);
  }
};

template <bool reads_first>
class FutexLateSample final : public Transport {
 public:
  FutexLateSample(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->sent = shared->taken = static_cast<std::uint32_t>(options_.counter_start);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    SharedMapping memory(object.get(), sizeof(Shared), options_.name);
    if (role == Role::producer) return std::make_unique<Producer>(std::move(memory), options_);
    return std::make_unique<Consumer<reads_first>>(std::move(memory), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool reads_first>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<FutexLateSample<reads_first>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("futex_late_sample", "reads too late what it sleeps on")),
    Registered(registration<true>("futex_late_sample_twin", "reads first what it sleeps on")),
};

}  // namespace
}  // namespace ipctorture
