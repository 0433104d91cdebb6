// private_futex: a ring in shared memory whose sides sleep on process-private futexes.
//
// The bug: FUTEX_PRIVATE_FLAG tells the kernel to know a word by its address in one address space,
// which is faster, and the default of most wrappers (std::atomic::wait among them). The waker's
// word is then another one than the sleeper's: no wake-up ever crosses processes.
// It fires at the first sleep that only a wake-up can end: without a deadline for ever, with one
// each such wait takes all of it.
// Seen in: atomic-wait #7.
//
// The twin leaves the flag out.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"
#include "harness/base/spsc_transfer.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_consumer = LateConsumer::backlog,
    .reports_closed = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

template <int flag>
struct Bell {
  const SpscSide& side;
  void sleep(Deadline deadline) const {
    const timespec until = deadline.is_never() ? timespec{} : deadline.monotonic_timespec();
    ::syscall(SYS_futex, &side.own_word(), FUTEX_WAIT_BITSET | flag, SpscSide::waiting,
              deadline.is_never() ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  }
  void wake_peer() const {
    ::syscall(SYS_futex, &side.peer_word(), FUTEX_WAKE | flag, 1, nullptr, nullptr, 0);
  }
};

template <int flag>
class Producer final : public Endpoint {
 public:
  Producer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    return spsc_send(ring_, bell_, spin_, message, deadline);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  SpscWriter ring_;
  Bell<flag> bell_{ring_};
  AdaptiveSpin spin_;
};

template <int flag>
class Consumer final : public Endpoint {
 public:
  Consumer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}
  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return spsc_receive(ring_, bell_, spin_, buffer, deadline);
  }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  SpscReader ring_;
  Bell<flag> bell_{ring_};
  AdaptiveSpin spin_;
};

template <int flag>
class PrivateFutex final : public Transport {
 public:
  PrivateFutex(const Options& options, std::vector<Descriptor>)
      : name_(options.name),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, contract.message_max),
               .counter_start = options.counter_start} {}

  void create() override {
    const Descriptor object = create_shared_object(name_, shape_.memory_bytes());
    try {
      const SharedMapping memory(object.get(), shape_.memory_bytes(), name_);
      initialise_spsc({memory.data(), memory.size()}, shape_);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(name_, &bytes);
    if (bytes < shape_.memory_bytes()) throw_system_error("attach", name_, EPROTO);
    SharedMapping memory(object.get(), shape_.memory_bytes(), name_);
    if (role == Role::producer) return std::make_unique<Producer<flag>>(std::move(memory), shape_);
    return std::make_unique<Consumer<flag>>(std::move(memory), shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  std::string name_;
  SpscShape shape_;
};

template <int flag>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<PrivateFutex<flag>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<FUTEX_PRIVATE_FLAG>("private_futex", "sleeps on private futexes")),
    Registered(registration<0>("private_futex_twin", "sleeps on shared futexes")),
};

}  // namespace
}  // namespace ipctorture
