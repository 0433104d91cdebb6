// slot_before_lock: a queue with a lock for each slot, whose producers choose the slot first.
//
// The bug: a producer takes the counter for its slot, locks that slot, writes, unlocks, and counts.
// Two producers that look at the counter before either counts choose the same slot: they write one
// after the other, so the first message is gone, and both count, so the slot behind is handed to
// the consumer as it was a lap ago (at first: nothing).
// It fires with two producers, within the time that a copy and a lock take. No data race, for each
// slot is locked: it shows as a lost message and a repeated one only.
// Seen in: no public report is known to us.
//
// The twin looks at the counter again once it holds the lock, chooses anew if it moved, and counts
// before it unlocks: nobody else can count on from a counter whose slot it holds.
#include <pthread.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/robust_mutex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .producers_max = 4,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

struct Slot {
  pthread_mutex_t mutex;
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely
  std::atomic<std::uint32_t> changes;     // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

template <bool looks_again>
class Queue final : public Endpoint {
 public:
  Queue(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] { return put(message); });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] { return take(buffer); });
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Slot& slot_of(std::uint64_t counter) const {
    return shared_.slots[(counter - options_.counter_start) % options_.capacity];
  }

  // Tries until it succeeds or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      const IoResult result = attempt();
      if (result.outcome != blocked) {
        shared_.changes.fetch_add(1);
        futex_wake(shared_.changes);
        return result;
      }
      if (deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  IoResult put(std::span<const std::byte> message) {
    std::uint64_t counter = shared_.tail.load();
    ::pthread_mutex_lock(&slot_of(counter).mutex);
    while (looks_again && shared_.tail.load() != counter) {
      ::pthread_mutex_unlock(&slot_of(counter).mutex);
      counter = shared_.tail.load();
      ::pthread_mutex_lock(&slot_of(counter).mutex);
    }
    Slot& slot = slot_of(counter);
    const bool full = counter - shared_.head.load() == options_.capacity;
    if (!full) {
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      if (looks_again) shared_.tail.store(counter + 1);
    }
    ::pthread_mutex_unlock(&slot.mutex);
    if (full) return IoResult::of(Outcome::full);
    if (!looks_again) shared_.tail.fetch_add(1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint64_t head = shared_.head.load();
    if (shared_.tail.load() == head) return IoResult::of(Outcome::empty);
    Slot& slot = slot_of(head);
    ::pthread_mutex_lock(&slot.mutex);
    const std::size_t size = slot.size;
    if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
    shared_.head.store(head + 1);
    ::pthread_mutex_unlock(&slot.mutex);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <bool looks_again>
class SlotBeforeLock final : public Transport {
 public:
  SlotBeforeLock(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      for (Slot& slot : shared->slots) create_robust_mutex(slot.mutex, options_.name);
      shared->tail = shared->head = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Queue<looks_again>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_);
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
          .make = make_transport<SlotBeforeLock<looks_again>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("slot_before_lock", "chooses a slot, then locks it")),
    Registered(registration<true>("slot_before_lock_twin", "chooses again under the lock")),
};

}  // namespace
}  // namespace ipctorture
