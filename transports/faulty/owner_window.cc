// owner_window: a queue under a home-made robust lock, with the holder's pid beside the lock word.
//
// The bug: locking stores the word and then the pid, unlocking the other way round. A holder killed
// in between leaves the lock locked and owned by pid 0: nobody can be found dead, so nobody takes
// the lock over, and all wait for ever (or until their deadlines).
// It fires only by a kill at the right point. Seen in: HAMi-core PR #260.
//
// The twin's lock word is the pid: one compare-and-swap locks and says who.
//
// Right besides: under the lock one store of `tail` makes a message exist, one of `head` makes it
// gone: a dead holder leaves nothing half done. Sleepers are woken before that store, and wait for
// the lock: woken after it, they would sleep on if the holder died in between.
// Where it stops: a pid that the kernel gave to another process meanwhile looks alive.
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
    .producers_max = 4,
    .consumers_max = 4,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,  // gone from the queue, not yet in the hands of the caller
};

constexpr std::chrono::milliseconds look_again{10};  // at a lock's owner: it may have died
constexpr std::chrono::milliseconds now_lock{25};    // how long `now` waits for its turn

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint32_t> locked;      // futex word, 0: free
  std::atomic<std::uint32_t> owner;       // pid, 0: none; not used by the twin
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely, stored under the lock
  std::atomic<std::uint32_t> changes;     // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

template <bool pid_is_word>
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
  bool try_lock() {
    std::uint32_t free = 0;
    if (pid_is_word) return shared_.locked.compare_exchange_strong(free, self_);
    if (!shared_.locked.compare_exchange_strong(free, 1)) return false;
    shared_.owner.store(self_);
    return true;
  }
  // Takes the lock over from a dead owner.
  bool inherit() {
    std::atomic<std::uint32_t>& owner = pid_is_word ? shared_.locked : shared_.owner;
    std::uint32_t pid = owner.load();
    return pid != 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH &&
           owner.compare_exchange_strong(pid, self_);
  }
  // False: not by the deadline.
  bool lock(Deadline deadline) {
    while (!try_lock() && !inherit()) {
      if (deadline.passed()) return false;
      Deadline slice = Deadline::in(look_again);
      if (deadline.is_timed() && deadline.instant() < slice.instant()) slice = deadline;
      if (const auto held = shared_.locked.load()) futex_wait(shared_.locked, held, slice);
    }
    return true;
  }
  void unlock() {
    if (!pid_is_word) shared_.owner.store(0);
    shared_.locked.store(0);
    futex_wake(shared_.locked, 1);
  }

  // Fills or empties the slot at `end` and moves `end` on, under the lock, as soon as the queue
  // does not hold `blocked_at` messages.
  template <typename Action>
  IoResult operate(Deadline deadline, std::atomic<std::uint64_t>& end, std::uint64_t blocked_at,
                   Outcome blocked, Action action) {
    for (;;) {
      if (!lock(deadline.is_now() ? Deadline::in(now_lock) : deadline)) {
        return IoResult::of(Outcome::timed_out);
      }
      const std::uint32_t seen = shared_.changes.load();
      if (shared_.tail.load() - shared_.head.load() != blocked_at) {
        const std::uint64_t counter = end.load();
        const std::uint64_t index = (counter - options_.counter_start) % options_.capacity;
        const IoResult result = action(shared_.slots[index]);
        shared_.changes.store(seen + 1);
        futex_wake(shared_.changes);
        end.store(counter + 1);
        unlock();
        return result;
      }
      unlock();
      if (deadline.is_now()) return IoResult::of(blocked);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, seen, deadline);
    }
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
  const std::uint32_t self_ = static_cast<std::uint32_t>(::getpid());
};

template <bool pid_is_word>
class OwnerWindow final : public Transport {
 public:
  OwnerWindow(const Options& options, std::vector<Descriptor>) : options_(options) {}

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
    return std::make_unique<Queue<pid_is_word>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool pid_is_word>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<OwnerWindow<pid_is_word>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("owner_window", "stores lock and owner one after the other")),
    Registered(registration<true>("owner_window_twin", "locks by storing the owner")),
};

}  // namespace
}  // namespace ipctorture
