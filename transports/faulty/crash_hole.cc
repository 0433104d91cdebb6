// crash_hole: a ring whose producer reserves a slot, fills it and then commits it.
//
// The bug: a producer killed between reserving and committing leaves a hole, a slot that counts as
// taken and will never be committed. The consumer, who takes slots in order, waits before it for
// ever; whatever a successor sends behind the hole is accepted and never arrives.
// It fires only by a kill at the right point, while there is, or comes, more to receive.
// Seen in: iceoryx #1546.
//
// The twin reserves nothing: one store of the tail, the last of all, makes the message exist.
// Killed before it, the producer has sent nothing, and its successor writes the same slot.
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
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,  // gone from the ring, not yet in the hands of the caller
    .may_share_address_space = true,
};

struct Slot {
  std::atomic<std::uint64_t> committed;  // 1 + the counter of the message that it holds
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint64_t> tail;     // the producer's; runs freely
  std::atomic<std::uint64_t> head;     // the consumer's
  std::atomic<std::uint32_t> changes;  // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

template <bool reserves>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {
    tell();  // a predecessor may have died before it could
  }

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

  void tell() {
    shared_.changes.fetch_add(1);
    futex_wake(shared_.changes);
  }

  // Tries until it succeeds or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      const IoResult result = attempt();
      if (result.outcome != blocked) tell();
      if (result.outcome != blocked || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  IoResult put(std::span<const std::byte> message) {
    const std::uint64_t tail = shared_.tail.load();
    if (tail - shared_.head.load() == options_.capacity) return IoResult::of(Outcome::full);
    if (reserves) shared_.tail.store(tail + 1);
    Slot& slot = slot_of(tail);
    slot.size = message.size();
    if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
    slot.committed.store(tail + 1);
    if (!reserves) shared_.tail.store(tail + 1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint64_t head = shared_.head.load();
    const Slot& slot = slot_of(head);
    if (shared_.tail.load() == head || slot.committed.load() != head + 1) {
      return IoResult::of(Outcome::empty);
    }
    const std::size_t size = slot.size;
    std::memcpy(buffer.data(), slot.bytes, size);
    shared_.head.store(head + 1);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <bool reserves>
class CrashHole final : public Transport {
 public:
  CrashHole(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->tail = options_.counter_start;
      shared->head = options_.counter_start;
      for (Slot& slot : shared->slots) slot.committed = options_.counter_start;  // by nobody
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<reserves>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool reserves>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<CrashHole<reserves>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("crash_hole", "reserves a slot, fills it, commits it")),
    Registered(registration<false>("crash_hole_twin", "fills a slot, publishes it")),
};

}  // namespace
}  // namespace ipctorture
