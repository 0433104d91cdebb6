// private_condition: a bounded queue under a mutex and condition variables that are private to a
// process.
//
// The bug: PTHREAD_PROCESS_SHARED is missing. The library then sleeps on private futexes, which the
// kernel knows by their address in one address space. The mutex still excludes, since its word is
// in shared memory, but nobody of another process is ever woken: neither by an unlock nor by a
// signal.
// It fires at the first wait that only another process can end: without a deadline for ever, with
// one each such wait takes all of it. Tests with threads, or with one busy process, never see it.
//
// The twin sets the attribute.
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
    .message_max = 256,
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
  std::uint64_t put, taken;  // messages, ever
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
    const auto full = [&] { return shared_.put - shared_.taken >= options_.capacity; };
    return operate(deadline, shared_.room, full, Outcome::full, [&] {
      Slot& slot = shared_.slots[shared_.put++ % options_.capacity];
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      ::pthread_cond_signal(&shared_.items);
      return IoResult::sent();
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const auto empty = [&] { return shared_.put == shared_.taken; };
    return operate(deadline, shared_.items, empty, Outcome::empty, [&] {
      const Slot& slot = shared_.slots[shared_.taken++ % options_.capacity];
      std::memcpy(buffer.data(), slot.bytes, slot.size);
      ::pthread_cond_signal(&shared_.room);
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
    while (blocked() && result.outcome == Outcome::unknown) {
      if (deadline.is_now()) {
        result = IoResult::of(refusal);
      } else if (deadline.is_timed() && deadline.passed()) {
        result = IoResult::of(Outcome::timed_out);
      } else {
        wait(news, deadline);
      }
    }
    if (result.outcome == Outcome::unknown) result = action();
    ::pthread_mutex_unlock(&shared_.mutex);
    return result;
  }

  void wait(pthread_cond_t& news, Deadline deadline) {
    if (deadline.is_never()) {
      ::pthread_cond_wait(&news, &shared_.mutex);
      return;
    }
    const timespec until = deadline.monotonic_timespec();
    ::pthread_cond_clockwait(&news, &shared_.mutex, CLOCK_MONOTONIC, &until);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <int sharing>
void initialise(Shared& shared) {
  pthread_mutexattr_t mutex;
  ::pthread_mutexattr_init(&mutex);
  ::pthread_mutexattr_setpshared(&mutex, sharing);
  ::pthread_mutex_init(&shared.mutex, &mutex);
  ::pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t condition;
  ::pthread_condattr_init(&condition);
  ::pthread_condattr_setpshared(&condition, sharing);
  ::pthread_cond_init(&shared.items, &condition);
  ::pthread_cond_init(&shared.room, &condition);
  ::pthread_condattr_destroy(&condition);
}

template <int sharing>
class PrivateCondition final : public Transport {
 public:
  PrivateCondition(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      initialise<sharing>(*new (memory.data()) Shared{});
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

template <int sharing>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<PrivateCondition<sharing>>,
          .kind = Kind::faulty};
}

constexpr int is_private = PTHREAD_PROCESS_PRIVATE, is_shared = PTHREAD_PROCESS_SHARED;
const Registered registered[] = {
    Registered(registration<is_private>("private_condition", "private locks in shared memory")),
    Registered(registration<is_shared>("private_condition_twin", "locks that processes share")),
};

}  // namespace
}  // namespace ipctorture
