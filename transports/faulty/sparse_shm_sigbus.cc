// sparse_shm_sigbus: a ring in shared memory that nobody has reserved.
//
// The bug: ftruncate(2) gives the object its length and no memory. Each page is taken from the
// tmpfs when it is first touched, and there is no error code for a store: when the tmpfs is full by
// then, whoever touches the page dies of SIGBUS.
// It fires when /dev/shm fills up (a container's has 64 MB) after the creator has asked how much
// room there is: no order of events fires it while there is room.
// Seen in: libqb #465.
//
// The twin reserves every page as it creates the object (posix_fallocate): a full tmpfs is an error
// of create().
#include <fcntl.h>
#include <sys/mman.h>

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
    .message_max = 16384,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .may_share_address_space = true,
};

struct Bell {
  const SpscSide& side;
  void sleep(Deadline deadline) const { futex_wait(side.own_word(), SpscSide::waiting, deadline); }
  void wake_peer() const { futex_wake(side.peer_word()); }
};

template <typename Side>
class RingEndpoint final : public Endpoint {
 public:
  RingEndpoint(SharedMapping memory, const SpscShape& shape)
      : memory_(std::move(memory)), ring_({memory_.data(), memory_.size()}, shape) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if constexpr (std::is_same_v<Side, SpscWriter>) {
      return spsc_send(ring_, bell_, spin_, message, deadline);
    }
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    if constexpr (std::is_same_v<Side, SpscReader>) {
      return spsc_receive(ring_, bell_, spin_, buffer, deadline);
    }
    return IoResult::failed(EBADF);
  }
  IoResult close(Deadline) override { return spsc_close(ring_, bell_); }

 private:
  SharedMapping memory_;
  Side ring_;
  Bell bell_{ring_};
  AdaptiveSpin spin_;
};

template <bool reserves>
class SparseShm final : public Transport {
 public:
  SparseShm(const Options& options, std::vector<Descriptor>)
      : name_(options.name),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, contract.message_max),
               .counter_start = options.counter_start} {}

  // Now there is room: that says nothing of later.
  std::string unsupported() const override { return shared_object_lack(shape_.memory_bytes()); }

  void create() override {
    const Descriptor object = own_descriptor(
        ::shm_open(("/" + name_).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "shm_open",
        name_);
    try {
      const std::size_t bytes = shape_.memory_bytes();
      if (reserves) {
        reserve_backing(object.get(), bytes, name_);
      } else if (::ftruncate(object.get(), static_cast<off_t>(bytes)) != 0) {
        throw_system_error("ftruncate", name_);
      }
      const SharedMapping memory(object.get(), bytes, name_);
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
    if (role == Role::producer) {
      return std::make_unique<RingEndpoint<SpscWriter>>(std::move(memory), shape_);
    }
    return std::make_unique<RingEndpoint<SpscReader>>(std::move(memory), shape_);
  }

  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  const std::string name_;
  const SpscShape shape_;
};

template <bool reserves>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<SparseShm<reserves>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("sparse_shm_sigbus", "sets a length, reserves nothing")),
    Registered(registration<true>("sparse_shm_sigbus_twin", "reserves every page")),
};

}  // namespace
}  // namespace ipctorture
