// lost_wakeup: a ring whose consumer announces that it will sleep and does not look again before it
// does.
//
// The bug: it finds the ring empty, announces, sleeps. The producer wakes only who has announced: a
// message that comes between the look and the announcement wakes nobody, and the consumer sleeps
// beside it. The kernel's own look at the futex word is no help: that word tells of wake-ups, and
// there was none.
// It fires when a send falls into that gap. The next send wakes the consumer, so it shows as a late
// message, and as a deadlock when there is no next one: the last message, or a full ring.
// A sibling of futex_late_sample, which reads the futex word too late.
//
// The twin looks once more after it has announced, as spsc_await does: whatever came before the
// announcement it sees, and what comes after it wakes it.
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
    .may_share_address_space = true,
};

struct Bell {
  const SpscSide& side;
  void sleep(Deadline deadline) const { futex_wait(side.own_word(), SpscSide::waiting, deadline); }
  void wake_peer() const { futex_wake(side.peer_word()); }
};

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
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

template <bool looks_again>
class Consumer final : public Endpoint {
 public:
  Consumer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const IoResult result = spsc_receive(ring_, bell_, spin_, buffer, Deadline::now());
      if (result.outcome != Outcome::empty || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      ring_.announce();
      if (!looks_again || !ring_.ready()) bell_.sleep(deadline);
      ring_.retract();
    }
  }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  SpscReader ring_;
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

template <bool looks_again>
class LostWakeup final : public Transport {
 public:
  LostWakeup(const Options& options, std::vector<Descriptor>)
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
    if (role == Role::producer) return std::make_unique<Producer>(std::move(memory), shape_);
    return std::make_unique<Consumer<looks_again>>(std::move(memory), shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  std::string name_;
  SpscShape shape_;
};

template <bool looks_again>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<LostWakeup<looks_again>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("lost_wakeup", "does not look again before it sleeps")),
    Registered(registration<true>("lost_wakeup_twin", "looks again before it sleeps")),
};

}  // namespace
}  // namespace ipctorture
