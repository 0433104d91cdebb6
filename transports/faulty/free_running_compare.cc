// free_running_compare: a ring with free-running 32-bit counters, one of which is compared by size.
//
// The bug: "there is something when written > read". The counters run freely; once the writer's has
// wrapped to 0 and the reader's has not, written is the smaller of the two: the ring looks empty
// until somebody wraps the reader's counter, and nobody will. The producer fills what room there is
// and waits for ever.
// It fires when the counters wrap: after 2^32 messages, or at once when they begin close to it.
// Seen in: RIOT #8117; its sibling, counter % capacity across the wrap, in MPMCQueue #40.
//
// The twin compares for equality: only the difference of such counters means anything.
//
// Right besides: slots are chosen modulo a power of two, which divides the range of the counters,
// whatever the capacity is.
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
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .overtakes_max = 0,
    .may_share_address_space = true,
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::atomic<std::uint32_t> written, read;  // run freely
  std::atomic<std::uint32_t> changes;        // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};
static_assert((contract.capacity_max & (contract.capacity_max - 1)) == 0);

template <bool by_size>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] { return put(message); });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] { return take(buffer); });
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  // Tries until it succeeds or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      const IoResult result = attempt();
      if (result.outcome != blocked) {
        shared_.changes.fetch_add(1);
        futex_wake(shared_.changes);
        return result;
      }
      if (deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  IoResult put(std::span<const std::byte> message) {
    const std::uint32_t written = shared_.written.load();
    if (written - shared_.read.load() == options_.capacity) return IoResult::of(Outcome::full);
    Slot& slot = shared_.slots[written % contract.capacity_max];
    slot.size = message.size();
    if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
    shared_.written.store(written + 1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint32_t read = shared_.read.load();
    const std::uint32_t written = shared_.written.load();
    const bool something = by_size ? written > read : written != read;
    if (!something) return IoResult::of(Outcome::empty);
    const Slot& slot = shared_.slots[read % contract.capacity_max];
    const std::size_t size = slot.size;
    if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
    shared_.read.store(read + 1);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <bool by_size>
class FreeRunningCompare final : public Transport {
 public:
  FreeRunningCompare(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->written = shared->read = static_cast<std::uint32_t>(options_.counter_start);
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<by_size>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool by_size>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<FreeRunningCompare<by_size>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("free_running_compare", "something is there if written > read")),
    Registered(registration<false>("free_running_compare_twin", "if written != read")),
};

}  // namespace
}  // namespace ipctorture
