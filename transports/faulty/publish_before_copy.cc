// publish_before_copy: a ring whose producer moves the tail and then copies the message.
//
// The bug: moving the tail hands the slot over, so the consumer may read it while, or before, the
// message is written: it gets what the slot held a lap ago (at first nothing), or half of each.
// x86 keeps stores in order, so the order is swapped in the program, not left to the hardware.
// It fires when the consumer is as fast as the copy: the larger the message, the sooner.
// Seen in: libqb #64, honest-profiler #76.
//
// The twin copies first: the store that moves the tail is the last.
#include <algorithm>
#include <cstring>
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
    .message_max = 4096,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .may_share_address_space = true,
};

struct Bell {
  const SpscSide& side;
  void sleep(Deadline deadline) const { futex_wait(side.own_word(), SpscSide::waiting, deadline); }
  void wake_peer() const { futex_wake(side.peer_word()); }
};

template <bool copies_first>
class Writer : public SpscWriter {
 public:
  using SpscWriter::SpscWriter;

  // There must be room.
  void write(std::span<const std::byte> message) {
    const auto size = slot_size();
    std::byte* const to = slot_message();
    if (!copies_first) hand_over(shared_->tail);
    size.store(message.size(), std::memory_order_relaxed);
    if (!message.empty()) std::memcpy(to, message.data(), message.size());
    if (copies_first) hand_over(shared_->tail);
  }
};

template <bool copies_first>
class Producer final : public Endpoint {
 public:
  Producer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > ring_.message_max()) return IoResult::of(Outcome::too_large);
    while (!ring_.ready()) {
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      spsc_await(ring_, bell_, spin_, deadline);
    }
    if (ring_.peer_left()) return IoResult::of(Outcome::closed);
    ring_.write(message);
    if (ring_.peer_waits()) bell_.wake_peer();
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  Writer<copies_first> ring_;
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

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
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

template <bool copies_first>
class PublishBeforeCopy final : public Transport {
 public:
  PublishBeforeCopy(const Options& options, std::vector<Descriptor>)
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
    if (role == Role::consumer) return std::make_unique<Consumer>(std::move(memory), shape_);
    return std::make_unique<Producer<copies_first>>(std::move(memory), shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  std::string name_;
  SpscShape shape_;
};

template <bool copies_first>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<PublishBeforeCopy<copies_first>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("publish_before_copy", "moves the tail, then copies")),
    Registered(registration<true>("publish_before_copy_twin", "copies, then moves the tail")),
};

}  // namespace
}  // namespace ipctorture
