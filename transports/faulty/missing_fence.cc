// missing_fence: a ring whose sides fall asleep by a flag that is ordered by release and acquire
// only.
//
// The bug: the sleeper stores "I sleep" and then loads the counter; the waker stores the counter
// and then loads "I sleep". Release and acquire let each store be delayed beyond the load that
// follows it (on x86 by the store buffer), so both may read the old value: the sleeper sees no
// message, the waker no sleeper, and nobody wakes it (Dekker's problem, litmus test SB).
// It fires when both sides pass that point within the time that a store takes to become visible,
// some ten nanoseconds. It is the one reordering that x86 does. No data race: it shows as a late
// message or a deadlock only.
//
// The twin makes the two stores and the two loads sequentially consistent: at least one side then
// sees the other.
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
    .message_max = 256,
    .overtakes_max = 0,
    .may_share_address_space = true,
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Side {
  alignas(64) std::atomic<std::uint64_t> counter;  // written, or read; runs freely
  alignas(64) std::atomic<std::uint32_t> sleeps;   // futex word; its owner sets it, either clears
};

struct Shared {
  Side producer;
  Side consumer;
  Slot slots[contract.capacity_max];
};

template <bool fenced>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options, Role role)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())),
        own_(role == Role::producer ? shared_.producer : shared_.consumer),
        peer_(role == Role::producer ? shared_.consumer : shared_.producer),
        counter_(own_.counter.load()) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return move(deadline, counter_ - options_.capacity, Outcome::full, [&](Slot& slot) {
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return move(deadline, counter_, Outcome::empty, [&](Slot& slot) {
      std::memcpy(buffer.data(), slot.bytes, slot.size);
      return IoResult::received(slot.size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  static constexpr auto store_order =
      fenced ? std::memory_order_seq_cst : std::memory_order_release;
  static constexpr auto load_order = fenced ? std::memory_order_seq_cst : std::memory_order_acquire;

  // Fills or empties the next slot, as soon as the peer's counter is not `blocked_at`.
  template <typename Action>
  IoResult move(Deadline deadline, std::uint64_t blocked_at, Outcome blocked, Action action) {
    while (peer_.counter.load(load_order) == blocked_at) {
      if (deadline.is_now()) return IoResult::of(blocked);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      own_.sleeps.store(1, store_order);
      if (peer_.counter.load(load_order) == blocked_at) futex_wait(own_.sleeps, 1, deadline);
      own_.sleeps.store(0, store_order);
    }
    const std::uint64_t index = (counter_ - options_.counter_start) % options_.capacity;
    const IoResult result = action(shared_.slots[index]);
    own_.counter.store(++counter_, store_order);
    if (peer_.sleeps.load(load_order) != 0) {
      peer_.sleeps.store(0, store_order);
      futex_wake(peer_.sleeps);
    }
    return result;
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
  Side& own_;
  Side& peer_;
  std::uint64_t counter_;
};

template <bool fenced>
class MissingFence final : public Transport {
 public:
  MissingFence(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->producer.counter = options_.counter_start;
      shared->consumer.counter = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<fenced>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_, role);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool fenced>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<MissingFence<fenced>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("missing_fence", "falls asleep by release and acquire")),
    Registered(registration<true>("missing_fence_twin", "falls asleep by sequential consistency")),
};

}  // namespace
}  // namespace ipctorture
