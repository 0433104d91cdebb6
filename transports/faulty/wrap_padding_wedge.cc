// wrap_padding_wedge: a ring of bytes for messages of any size, each in one piece.
//
// The bug: a message that does not fit before the end of the ring starts anew at its beginning, and
// the bytes that are left over at the end are charged to it. But the ring was made for `capacity`
// messages and not for that padding: at some offsets it refuses a message that it ought to hold. A
// ring for one message, empty, its offset in the middle, never takes a large one again.
// It fires when sizes vary: a small message, and then one that does not fit behind it.
// Seen in: no public report is known to us.
//
// The twin has room for one message more. Of the bytes in use at most one stretch is padding, and
// it is shorter than the message that did not fit: that is always room enough.
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
    .message_max = 4096,
    .overtakes_max = 0,
    .may_share_address_space = true,
};

using Header = std::uint64_t;  // before each message: its size; or that the rest is padding
constexpr Header padding = UINT64_MAX;

constexpr std::size_t record_bytes(std::size_t message) {
  return (sizeof(Header) + message + sizeof(Header) - 1) / sizeof(Header) * sizeof(Header);
}

struct Shared {                               // the ring's bytes follow it
  std::atomic<std::uint64_t> tail, head;      // messages accepted, taken; run freely
  std::atomic<std::uint64_t> written, freed;  // bytes, padding included; stored before tail, head
  std::atomic<std::uint32_t> changes;  // futex word: counts everything that may wake somebody
};

class Ring final : public Endpoint {
 public:
  Ring(SharedMapping memory, const Options& options)
      : memory_(std::move(memory)),
        options_(options),
        shared_(*reinterpret_cast<Shared*>(memory_.data())),
        bytes_(memory_.size() - sizeof(Shared)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] { return put(message); });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] { return take(buffer); });
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  std::byte* at(std::uint64_t position) const {
    return memory_.data() + sizeof(Shared) + position % bytes_;
  }

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
    const std::uint64_t tail = shared_.tail.load();
    if (tail - shared_.head.load() == options_.capacity) return IoResult::of(Outcome::full);
    std::uint64_t written = shared_.written.load();
    const Header size = message.size();
    const std::uint64_t left = bytes_ - written % bytes_;
    const std::uint64_t unused = left < record_bytes(size) ? left : 0;
    const std::uint64_t after = written + unused + record_bytes(size);
    if (after - shared_.freed.load() > bytes_) return IoResult::of(Outcome::full);
    if (unused > 0) std::memcpy(at(written), &padding, sizeof padding);
    written += unused;
    std::memcpy(at(written), &size, sizeof size);
    if (size > 0) std::memcpy(at(written) + sizeof size, message.data(), size);
    shared_.written.store(after);
    shared_.tail.store(tail + 1);
    return IoResult::sent();
  }

  IoResult take(std::span<std::byte> buffer) {
    const std::uint64_t head = shared_.head.load();
    if (shared_.tail.load() == head) return IoResult::of(Outcome::empty);
    std::uint64_t position = shared_.freed.load();
    Header size = 0;
    std::memcpy(&size, at(position), sizeof size);
    if (size == padding) {
      position += bytes_ - position % bytes_;
      std::memcpy(&size, at(position), sizeof size);
    }
    if (size > 0) std::memcpy(buffer.data(), at(position) + sizeof size, size);
    shared_.freed.store(position + record_bytes(size));
    shared_.head.store(head + 1);
    return IoResult::received(size);
  }

  SharedMapping memory_;
  const Options options_;
  Shared& shared_;
  const std::size_t bytes_;
};

template <bool counts_padding>
class WrapPaddingWedge final : public Transport {
 public:
  WrapPaddingWedge(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, memory_bytes());
    try {
      const SharedMapping memory(object.get(), memory_bytes(), options_.name);
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
    if (bytes < memory_bytes()) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Ring>(SharedMapping(object.get(), memory_bytes(), options_.name),
                                  options_);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  std::size_t memory_bytes() const {
    const std::size_t messages = options_.capacity + (counts_padding ? 1u : 0u);
    return sizeof(Shared) + messages * record_bytes(options_.message_max);
  }

  const Options options_;
};

template <bool counts_padding>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<WrapPaddingWedge<counts_padding>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("wrap_padding_wedge", "has no room for padding")),
    Registered(registration<true>("wrap_padding_wedge_twin", "has room for padding")),
};

}  // namespace
}  // namespace ipctorture
