// eventfd_collapse: a ring between two processes, with one eventfd that counts the messages in it
// and one that counts the free slots.
//
// The bug: the count of messages is an eventfd without EFD_SEMAPHORE, which hands over its whole
// count with one read(2) and is 0 again. The consumer takes one message for each read: of n
// messages that came together, n - 1 stay in the ring, and nothing tells of them any more.
// It fires with the first burst: two messages before the consumer reads.
// Seen in: eventfd(2), VILLASnode #309.
//
// The twin's is a semaphore: a read takes 1 from the count.
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "harness/base/shared_mapping.h"
#include "harness/base/spsc_slots.h"
#include "harness/transport/frame.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 4096,
    .attach = AttachBy::inherited,
    .overtakes_max = 0,
    .may_share_address_space = true,
};

// Takes one from the count: ok, timed_out, error; `refusal` when there is none now.
IoResult take(const Descriptor& count, Outcome refusal, Deadline deadline) {
  for (;;) {
    std::uint64_t taken;
    if (::read(count.get(), &taken, sizeof taken) == sizeof taken) return IoResult::sent();
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return IoResult::failed(errno);
    if (deadline.is_now()) return IoResult::of(refusal);
    if (!wait_ready(count.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
  }
}

IoResult add(const Descriptor& count) {
  const std::uint64_t one = 1;
  while (::write(count.get(), &one, sizeof one) != sizeof one) {
    if (errno != EINTR) return IoResult::failed(errno);
  }
  return IoResult::sent();
}

template <typename Side>
class RingEndpoint final : public Endpoint {
 public:
  RingEndpoint(SharedMapping memory, const SpscShape& shape, Descriptor used, Descriptor unused)
      : memory_(std::move(memory)),
        ring_({memory_.data(), memory_.size()}, shape),
        used_(std::move(used)),
        unused_(std::move(unused)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if constexpr (std::is_same_v<Side, SpscWriter>) {
      if (message.size() > ring_.message_max()) return IoResult::of(Outcome::too_large);
      const IoResult slot = take(unused_, Outcome::full, deadline);
      if (slot.outcome != Outcome::ok) return slot;
      if (ring_.try_write(message) != SpscTry::done) return IoResult::failed(EPROTO);
      return add(used_);
    }
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    if constexpr (std::is_same_v<Side, SpscReader>) {
      const IoResult slot = take(used_, Outcome::empty, deadline);
      if (slot.outcome != Outcome::ok) return slot;
      std::size_t size = 0;
      if (ring_.try_read(buffer, &size) != SpscTry::done) return IoResult::failed(EPROTO);
      const IoResult given_back = add(unused_);
      return given_back.outcome == Outcome::ok ? IoResult::received(size) : given_back;
    }
    return IoResult::failed(EBADF);
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  SharedMapping memory_;
  Side ring_;
  Descriptor used_, unused_;
};

// `mode`: of the eventfd that counts messages.
template <int mode>
class EventfdCollapse final : public Transport {
 public:
  EventfdCollapse(const Options& options, std::vector<Descriptor> handles)
      : name_(options.name),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, contract.message_max),
               .counter_start = options.counter_start},
        handles_(std::move(handles)) {}

  void create() override {
    const std::size_t bytes = shape_.memory_bytes();
    handles_.push_back(create_unnamed_memory("ipctorture-ring", bytes, Backing::reserved));
    const SharedMapping memory(handles_[0].get(), bytes, name_);
    initialise_spsc({memory.data(), memory.size()}, shape_);
    const int flags = EFD_CLOEXEC | EFD_NONBLOCK;
    handles_.push_back(own_descriptor(::eventfd(0, flags | mode), "eventfd", name_));
    handles_.push_back(
        own_descriptor(::eventfd(shape_.capacity, flags | EFD_SEMAPHORE), "eventfd", name_));
  }

  std::vector<Descriptor> take_handles() override { return std::move(handles_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    SharedMapping memory(handles_.at(0).get(), shape_.memory_bytes(), name_);
    Descriptor used = std::move(handles_.at(1)), unused = std::move(handles_.at(2));
    handles_.clear();
    if (role == Role::producer) {
      return std::make_unique<RingEndpoint<SpscWriter>>(std::move(memory), shape_, std::move(used),
                                                        std::move(unused));
    }
    return std::make_unique<RingEndpoint<SpscReader>>(std::move(memory), shape_, std::move(used),
                                                      std::move(unused));
  }

  void destroy() noexcept override { handles_.clear(); }

 private:
  const std::string name_;
  const SpscShape shape_;
  std::vector<Descriptor> handles_;  // memory, count of used slots, count of unused ones
};

template <int mode>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<EventfdCollapse<mode>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<0>("eventfd_collapse", "one message for each count that is read")),
    Registered(registration<EFD_SEMAPHORE>("eventfd_collapse_twin", "a read takes 1")),
};

}  // namespace
}  // namespace ipctorture
