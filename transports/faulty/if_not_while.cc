// if_not_while: a bounded queue under a mutex and condition variables, whose waiters look once.
//
// The bug: `if (empty) wait` where `while (empty) wait` belongs. That a waiter was woken means that
// there *was* a message; another consumer may have taken it before the waiter got the mutex. It
// then takes from an empty queue: what the slot held a lap ago comes twice, and the message that is
// put there next is skipped. It fires with two consumers, when both wait for one message, or one
// comes in between the wake-up of the other and its return from the wait. Two producers waiting for
// room overwrite a message likewise.
//
// The twin looks again, each time.
#include <pthread.h>

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

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
    .message_max = 512,
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
  pthread_mutex_t mutex;  // guards all below
  pthread_cond_t items;
  pthread_cond_t room;
  std::int64_t count;             // messages that are there
  std::uint32_t put_at, take_at;  // slots
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
    const auto full = [&] { return shared_.count >= options_.capacity; };
    return operate(deadline, shared_.room, full, Outcome::full, [&] {
      Slot& slot = shared_.slots[shared_.put_at];
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      shared_.put_at = (shared_.put_at + 1) % options_.capacity;
      ++shared_.count;
      ::pthread_cond_broadcast(&shared_.items);
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const auto empty = [&] { return shared_.count <= 0; };
    return operate(deadline, shared_.items, empty, Outcome::empty, [&] {
      const Slot& slot = shared_.slots[shared_.take_at];
      std::memcpy(buffer.data(), slot.bytes, slot.size);
      shared_.take_at = (shared_.take_at + 1) % options_.capacity;
      --shared_.count;
      ::pthread_cond_broadcast(&shared_.room);
      return IoResult::received(slot.size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  // Performs `action` under the mutex when nothing blocks it any more.
  template <typename Blocked, typename Action>
  IoResult operate(Deadline deadline, pthread_cond_t& news, Blocked blocked, Outcome refusal,
                   Action action) {
    ::pthread_mutex_lock(&shared_.mutex);
    IoResult result;
    while (blocked()) {
      if (deadline.is_now()) result = IoResult::of(refusal);
      if (deadline.is_timed() && deadline.passed()) result = IoResult::of(Outcome::timed_out);
      if (result.outcome != Outcome::unknown) break;
      const bool woken = wait(news, deadline) == 0;
      if (woken && !looks_again) break;
    }
    if (result.outcome == Outcome::unknown) result = action();
    ::pthread_mutex_unlock(&shared_.mutex);
    return result;
  }

  int wait(pthread_cond_t& news, Deadline deadline) {
    if (deadline.is_never()) return ::pthread_cond_wait(&news, &shared_.mutex);
    const timespec until = deadline.monotonic_timespec();
    return ::pthread_cond_clockwait(&news, &shared_.mutex, CLOCK_MONOTONIC, &until);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

void initialise(Shared& shared) {
  pthread_mutexattr_t mutex;
  ::pthread_mutexattr_init(&mutex);
  ::pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  ::pthread_mutex_init(&shared.mutex, &mutex);
  ::pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t condition;
  ::pthread_condattr_init(&condition);
  ::pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
  ::pthread_cond_init(&shared.items, &condition);
  ::pthread_cond_init(&shared.room, &condition);
  ::pthread_condattr_destroy(&condition);
}

template <bool looks_again>
class IfNotWhile final : public Transport {
 public:
  IfNotWhile(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      initialise(*new (memory.data()) Shared{});
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
          .make = make_transport<IfNotWhile<looks_again>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("if_not_while", "a woken waiter does not look again")),
    Registered(registration<true>("if_not_while_twin", "a woken waiter looks again")),
};

}  // namespace
}  // namespace ipctorture
