// attach_reinit: a queue in shared memory that every process initialises when it attaches.
//
// The bug: attaching runs what creating ran, and sets both counters to their start: whoever comes
// while messages are there wipes them out. A producer that waits for room is not told, either.
// It fires as soon as a late peer comes while the queue holds something; peers that are all there
// before the first message never see it.
// Seen in: no public report is known to us.
//
// The twin initialises when it creates, and only then.
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
    .consumers_max = 4,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  pthread_mutex_t mutex;
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely, moved under the lock
  std::atomic<std::uint32_t> changes;     // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];

  void initialise(const Options& options) { tail = head = options.counter_start; }
};

class Queue final : public Endpoint {
 public:
  Queue(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return operate(deadline, shared_.tail, options_.capacity, Outcome::full, [&](Slot& slot) {
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return operate(deadline, shared_.head, 0, Outcome::empty, [&](Slot& slot) {
      std::memcpy(buffer.data(), slot.bytes, slot.size);
      return IoResult::received(slot.size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  // Fills or empties the slot at `end` and moves `end` on, under the lock, as soon as the queue
  // does not hold `blocked_at` messages.
  template <typename Action>
  IoResult operate(Deadline deadline, std::atomic<std::uint64_t>& end, std::uint64_t blocked_at,
                   Outcome blocked, Action action) {
    for (;;) {
      ::pthread_mutex_lock(&shared_.mutex);
      const std::uint32_t seen = shared_.changes.load();
      if (shared_.tail.load() - shared_.head.load() != blocked_at) {
        const std::uint64_t index = (end.load() - options_.counter_start) % options_.capacity;
        const IoResult result = action(shared_.slots[index]);
        end.fetch_add(1);
        shared_.changes.store(seen + 1);
        ::pthread_mutex_unlock(&shared_.mutex);
        futex_wake(shared_.changes);
        return result;
      }
      ::pthread_mutex_unlock(&shared_.mutex);
      if (deadline.is_now()) return IoResult::of(blocked);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, seen, deadline);
    }
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <bool initialises>
class AttachReinit final : public Transport {
 public:
  AttachReinit(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      create_robust_mutex(shared->mutex, options_.name);
      shared->initialise(options_);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    SharedMapping memory(object.get(), sizeof(Shared), options_.name);
    if (initialises) reinterpret_cast<Shared*>(memory.data())->initialise(options_);
    return std::make_unique<Queue>(std::move(memory), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool initialises>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<AttachReinit<initialises>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("attach_reinit", "whoever attaches begins anew")),
    Registered(registration<false>("attach_reinit_twin", "whoever attaches goes on")),
};

}  // namespace
}  // namespace ipctorture
