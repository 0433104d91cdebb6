// unlink_split_brain: a ring whose producer cleans up after a predecessor that did not.
//
// The bug: a producer that finds the mark of a dead one takes the ring for a leftover, unlinks it
// and creates a new one of the same name. But the consumer is alive, and mapped the old: it waits
// at an orphan for ever, with whatever was in it, while the new producer fills a ring that nobody
// reads.
// It fires when a producer dies without leaving and another takes its place. Seen in: Fast-DDS
// PR #4728; in Stockfish #6979 a peer likewise unlinks what it takes for stale.
//
// The twin takes the ring over as it is: one store of the tail, the last of all, makes a message
// exist, so a dead producer left nothing half done.
#include <signal.h>

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
    .late_producer = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .overtakes_max = 0,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,  // gone from the ring, not yet in the hands of the caller
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely
  std::atomic<std::uint32_t> producer;    // its pid; 0: none
  std::atomic<std::uint32_t> changes;     // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options, Role role)
      : memory_(std::move(memory)),
        options_(options),
        role_(role),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {
    if (role_ == Role::producer) shared_.producer.store(static_cast<std::uint32_t>(::getpid()));
    tell();  // a predecessor may have died before it could
  }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] { return put(message); });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] { return take(buffer); });
  }
  IoResult close(Deadline) override {
    if (role_ == Role::producer) shared_.producer.store(0);
    return IoResult::sent();
  }

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
    Slot& slot = slot_of(tail);
    slot.size = message.size();
    if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
    shared_.tail.store(tail + 1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint64_t head = shared_.head.load();
    if (shared_.tail.load() == head) return IoResult::of(Outcome::empty);
    const Slot& slot = slot_of(head);
    const std::size_t size = slot.size;
    if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
    shared_.head.store(head + 1);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  const Role role_;
  Shared& shared_;
};

template <bool starts_anew>
class UnlinkSplitBrain final : public Transport {
 public:
  UnlinkSplitBrain(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->tail = shared->head = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    SharedMapping memory = map();
    if (starts_anew && role == Role::producer && is_leftover(memory)) {
      destroy();
      create();
      memory = map();
    }
    return std::make_unique<Ring>(std::move(memory), options_, role);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  SharedMapping map() const {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return SharedMapping(object.get(), sizeof(Shared), options_.name);
  }

  static bool is_leftover(const SharedMapping& memory) {
    const std::uint32_t pid = reinterpret_cast<Shared*>(memory.data())->producer.load();
    return pid != 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
  }

  const Options options_;
};

template <bool starts_anew>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<UnlinkSplitBrain<starts_anew>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("unlink_split_brain", "replaces a dead producer's ring")),
    Registered(registration<false>("unlink_split_brain_twin", "takes over a dead producer's ring")),
};

}  // namespace
}  // namespace ipctorture
