// nonrobust_lock: a queue under a mutex between processes that knows nothing of its holder's death.
//
// The bug: the mutex is process-shared and not robust. A holder that is killed leaves it locked;
// nobody can tell, and all others wait for it for ever (or until their deadlines).
// It fires when somebody is killed between lock and unlock: 20 of 300 random kills of a busy queue.
// Seen in: Boost.Interprocess #65, #163.
//
// The twin's mutex is robust: the next to lock it is told of the death, and goes on.
//
// Right besides: under the lock one store of `tail` makes a message exist, one of `head` makes it
// gone: a dead holder leaves nothing half done. Sleepers are woken before that store, and wait for
// the lock: woken after it, they would sleep on if the holder died in between.
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
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .producers_max = 4,
    .consumers_max = 4,
    .deadline_now = false,  // who only wants to look waits for the lock, too
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,  // gone from the queue, not yet in the hands of the caller
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  pthread_mutex_t mutex;
  std::atomic<std::uint64_t> tail, head;  // accepted, taken; run freely, stored under the lock
  std::atomic<std::uint32_t> changes;     // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

class Queue final : public Endpoint {
 public:
  Queue(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return operate(deadline, shared_.tail, options_.capacity, [&](Slot& slot) {
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return operate(deadline, shared_.head, 0, [&](Slot& slot) {
      std::memcpy(buffer.data(), slot.bytes, slot.size);
      return IoResult::received(slot.size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  void tell() {
    shared_.changes.fetch_add(1);
    futex_wake(shared_.changes);
  }

  // 0, or why it is not locked.
  int lock(Deadline deadline) {
    const int error = lock_robust(shared_.mutex, deadline);
    if (error != EOWNERDEAD) return error;
    tell();  // the dead may have been about to
    return ::pthread_mutex_consistent(&shared_.mutex);
  }

  // Fills or empties the slot at `end` and moves `end` on, under the lock, as soon as the queue
  // does not hold `blocked_at` messages.
  template <typename Action>
  IoResult operate(Deadline deadline, std::atomic<std::uint64_t>& end, std::uint64_t blocked_at,
                   Action action) {
    for (;;) {
      const int error = lock(deadline);
      if (error == ETIMEDOUT) return IoResult::of(Outcome::timed_out);
      if (error != 0) return IoResult::failed(error);
      const std::uint32_t seen = shared_.changes.load();
      if (shared_.tail.load() - shared_.head.load() != blocked_at) {
        const std::uint64_t counter = end.load();
        const std::uint64_t index = (counter - options_.counter_start) % options_.capacity;
        const IoResult result = action(shared_.slots[index]);
        tell();
        end.store(counter + 1);
        ::pthread_mutex_unlock(&shared_.mutex);
        return result;
      }
      ::pthread_mutex_unlock(&shared_.mutex);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, seen, deadline);
    }
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

void create_plain_mutex(pthread_mutex_t& mutex, std::string_view object) {
  pthread_mutexattr_t attributes;
  int error = ::pthread_mutexattr_init(&attributes);
  if (error == 0) error = ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (error == 0) error = ::pthread_mutex_init(&mutex, &attributes);
  if (error != 0) throw_system_error("pthread_mutex_init", object, error);
  ::pthread_mutexattr_destroy(&attributes);
}

template <bool robust>
class NonrobustLock final : public Transport {
 public:
  NonrobustLock(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      (robust ? create_robust_mutex : create_plain_mutex)(shared->mutex, options_.name);
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
    return std::make_unique<Queue>(SharedMapping(object.get(), sizeof(Shared), options_.name),
                                   options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool robust>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<NonrobustLock<robust>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("nonrobust_lock", "a mutex that a dead holder keeps")),
    Registered(registration<true>("nonrobust_lock_twin", "a robust mutex")),
};

}  // namespace
}  // namespace ipctorture
