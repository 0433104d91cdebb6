// Planted: the flag "somebody sleeps" is taken back for news that its reader has seen already.
//
// Whoever waits sets `sleepers`, then reads the bell, looks once more, and sleeps while the bell is
// what it read. Whoever has news rings: changes the bell, and if `sleepers` is set takes it back
// and wakes. The hole: the peer publishes, the waiter sees that news and takes it, then sets
// `sleepers` for the next; only now does the peer ring for the old news and take the flag back;
// then the waiter reads the bell as it is now, sees nothing new, and sleeps. The next news finds no
// flag.
//
// Fires when the waiter runs between the peer's publishing and its ringing. Seen in shm_seqlock and
// shm_broadcast of this project, where `explore` found it; half an hour of stress had not. The twin
// keeps the flag as the lowest bit of the bell itself, which counts rings: the bell that a waiter
// sleeps on is the one it set the bit in.
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

constexpr std::uint32_t someone_sleeps = 1;  // the twin's: lowest bit of `bell`

struct Shared {
  std::atomic<std::uint64_t> tail;  // the producer's; runs freely
  std::atomic<std::uint64_t> head;  // the consumer's
  std::atomic<std::uint32_t> bell;  // futex word: whoever waits sleeps on it
  std::atomic<std::uint32_t> sleepers;
  Slot slots[contract.capacity_max];
};

template <bool apart>
class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(
        deadline, Outcome::full, [&] { return used() < options_.capacity; },
        [&] { return put(message); });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(
        deadline, Outcome::empty, [&] { return used() > 0; }, [&] { return take(buffer); });
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  std::uint64_t used() const { return shared_.tail.load() - shared_.head.load(); }
  Slot& slot_of(std::uint64_t counter) const {
    return shared_.slots[(counter - options_.counter_start) % options_.capacity];
  }

  void ring() {
    if (apart) {
      shared_.bell.fetch_add(2);
      if (shared_.sleepers.load() == 0 || shared_.sleepers.exchange(0) == 0) return;
    } else {
      if ((shared_.bell.load() & someone_sleeps) == 0) return;
      shared_.bell.fetch_add(someone_sleeps);  // clears the bit and counts
    }
    futex_wake(shared_.bell);
  }

  template <typename Ready>
  void sleep(Deadline deadline, Ready ready) {
    std::uint32_t heard = 0;
    if (apart) {
      shared_.sleepers.store(1);
      heard = shared_.bell.load();
    } else {
      heard = shared_.bell.fetch_or(someone_sleeps) | someone_sleeps;
    }
    if (!ready()) futex_wait(shared_.bell, heard, deadline);
  }

  template <typename Ready, typename Act>
  IoResult until(Deadline deadline, Outcome blocked, Ready ready, Act act) {
    while (!ready()) {
      if (deadline.is_now()) return IoResult::of(blocked);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      sleep(deadline, ready);
    }
    const IoResult result = act();
    ring();
    return result;
  }

  IoResult put(std::span<const std::byte> message) {
    const std::uint64_t tail = shared_.tail.load();
    Slot& slot = slot_of(tail);
    slot.size = message.size();
    if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
    shared_.tail.store(tail + 1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint64_t head = shared_.head.load();
    const Slot& slot = slot_of(head);
    const std::size_t size = slot.size;
    if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
    shared_.head.store(head + 1);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
};

template <bool apart>
class TakenFlag final : public Transport {
 public:
  TakenFlag(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->tail = options_.counter_start;
      shared->head = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring<apart>>(SharedMapping(object.get(), sizeof(Shared), options_.name),
                                         options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool apart>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<TakenFlag<apart>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(
        registration<true>("taken_flag", "a sleeper's flag apart from the word it sleeps on")),
    Registered(registration<false>("taken_flag_twin", "the flag is a bit of that word")),
};

}  // namespace
}  // namespace ipctorture
