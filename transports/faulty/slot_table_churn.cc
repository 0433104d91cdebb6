// slot_table_churn: a ring whose clients each have a place in a table, to sleep on.
//
// The bug: only an orderly departure gives a place back. A client that is killed keeps its place
// for ever, and when as many have died as the table has places, the next one is refused, though
// hardly anybody is there.
// It fires over a lifetime: clients killed and replaced `places` times. Peers that come, stay and
// leave in order never see it. Seen in: atlaspack #594 (the readers' table of LMDB).
//
// The twin gives the place of a dead client to the next one.
//
// Where it stops: a pid that the kernel gave to another process meanwhile looks alive.
#include <signal.h>

#include <algorithm>
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

constexpr std::size_t places = 16;

struct Place {
  std::atomic<std::uint32_t> pid;   // 0: free
  std::atomic<std::uint32_t> bell;  // futex word: counts everything that may wake its client
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely
  Place table[places];
  Slot slots[contract.capacity_max];
};

bool is_dead(std::uint32_t pid) {
  return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
}

template <bool reclaims>
Place& take_place(Shared& shared) {
  const auto self = static_cast<std::uint32_t>(::getpid());
  for (Place& place : shared.table) {
    std::uint32_t pid = place.pid.load();
    const bool free = pid == 0 || (reclaims && is_dead(pid));
    if (free && place.pid.compare_exchange_strong(pid, self)) return place;
  }
  throw_system_error("attach", "slot_table_churn: the table of clients", EUSERS);
}

template <bool reclaims>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())),
        place_(take_place<reclaims>(shared_)) {
    tell();  // a predecessor may have died before it could
  }
  ~Ring() override { place_.pid.store(0); }

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
    for (Place& place : shared_.table) {
      if (place.pid.load() == 0) continue;
      place.bell.fetch_add(1);
      futex_wake(place.bell);
    }
  }

  // Tries until it succeeds or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = place_.bell.load();
      const IoResult result = attempt();
      if (result.outcome != blocked) tell();
      if (result.outcome != blocked || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(place_.bell, before, deadline);
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
  Shared& shared_;
  Place& place_;
};

template <bool reclaims>
class SlotTableChurn final : public Transport {
 public:
  SlotTableChurn(const Options& options, std::vector<Descriptor>) : options_(options) {}

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

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<reclaims>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool reclaims>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<SlotTableChurn<reclaims>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("slot_table_churn", "dead clients keep their places")),
    Registered(registration<true>("slot_table_churn_twin", "places of the dead are free")),
};

}  // namespace
}  // namespace ipctorture
