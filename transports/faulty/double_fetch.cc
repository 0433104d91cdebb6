// double_fetch: a ring in sealed shared memory, safe from a hostile peer but for one load too many.
//
// The bug: the consumer checks a message's size in shared memory, and then copies as much as the
// size there says, which it reads again. A producer that writes a larger one in between makes it
// write beyond its buffer.
// It fires only with a peer that changes the size behind the consumer's back: no honest one does.
// Seen in: freeunit #172, graphene #549.
//
// The twin reads the size once: what it checked is what it uses.
//
// Right besides: the memory is sealed, so that nobody can shrink it under a peer's feet; and all
// else that a peer may write there is checked (spsc_slots.h).
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

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
    .attach = AttachBy::inherited,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .hostile = Hostile::only_errors,
    .may_share_address_space = true,
};

constexpr const char* label = "ipctorture double_fetch";
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

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

template <bool twice>
class Reader : public SpscReader {
 public:
  using SpscReader::SpscReader;

  // Like SpscReader::try_read, when there is something to read.
  IoResult read(std::span<std::byte> buffer) {
    const auto size = slot_size();
    std::uint64_t claimed = size.load(std::memory_order_relaxed);
    if (claimed > shape_.message_max) return IoResult::failed(EPROTO);
    if (claimed > buffer.size()) return IoResult::of(Outcome::too_large);
    peer_counter_ = shared_->tail.load();
    if (peer_counter_ - counter_ > shape_.capacity) return IoResult::failed(EPROTO);
    if (twice) claimed = size.load(std::memory_order_relaxed);
    if (claimed > 0) std::memcpy(buffer.data(), slot_message(), claimed);
    hand_over(shared_->head);
    return IoResult::received(claimed);
  }
  bool nothing() const { return shared_->tail.load() == counter_; }
};

template <bool twice>
class Consumer final : public Endpoint {
 public:
  Consumer(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const bool no_writer = ring_.peer_left();  // before the tail, which is final then
      if (!ring_.nothing()) break;
      if (no_writer) return IoResult::of(Outcome::closed);
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      spsc_await(ring_, bell_, spin_, deadline);
    }
    const IoResult result = ring_.read(buffer);
    if (ring_.peer_waits()) bell_.wake_peer();
    return result;
  }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  Reader<twice> ring_;
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

template <bool twice>
class DoubleFetch final : public Transport {
 public:
  DoubleFetch(const Options& options, std::vector<Descriptor> handles)
      : shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, contract.message_max),
               .counter_start = options.counter_start},
        handles_(std::move(handles)) {}

  void create() override {
    Descriptor object = create_unnamed_memory(label, shape_.memory_bytes(), Backing::reserved);
    if (::fcntl(object.get(), F_ADD_SEALS, seals) != 0) {
      throw_system_error("fcntl F_ADD_SEALS", label);
    }
    const SharedMapping memory(object.get(), shape_.memory_bytes(), label);
    initialise_spsc({memory.data(), memory.size()}, shape_);
    handles_.push_back(std::move(object));
  }

  std::vector<Descriptor> take_handles() override { return std::move(handles_); }

  // The seals first, then the size: in this order what was checked stays true.
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    const int object = handles_.at(0).get();
    const bool sealed = (::fcntl(object, F_GET_SEALS) & seals) == seals;
    if (!sealed || ::lseek(object, 0, SEEK_END) < static_cast<off_t>(shape_.memory_bytes())) {
      throw_system_error("attach", label, EPROTO);
    }
    SharedMapping memory(object, shape_.memory_bytes(), label);
    if (role == Role::consumer) {
      return std::make_unique<Consumer<twice>>(std::move(memory), shape_);
    }
    return std::make_unique<Producer>(std::move(memory), shape_);
  }

  void destroy() noexcept override { handles_.clear(); }

 private:
  const SpscShape shape_;
  std::vector<Descriptor> handles_;
};

template <bool twice>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<DoubleFetch<twice>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("double_fetch", "checks a size, then reads it again")),
    Registered(registration<false>("double_fetch_twin", "reads a size once")),
};

}  // namespace
}  // namespace ipctorture
