// msgrcv_type_starve: a System V message queue, in which each producer has a type of its own.
//
// The bug: consumers ask for type -N, "the lowest type up to N", and so get whatever the first
// producer has in the queue before anything of the second. While the first keeps it supplied, the
// messages of the last wait for ever, though they were sent long before.
// It fires when producers are faster than consumers. Nothing is lost or out of its producer's
// order: only the count of overtakes tells. Seen in: msgop(2), where -N is described.
//
// The twin asks for type 0, "the oldest of any".
//
// Right besides, as in sysv_msg: a secret key, mode 0600, IPC_EXCL. msgsnd and msgrcv know no
// timeout, so no deadlines are promised.
#include <sys/ipc.h>
#include <sys/msg.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::per_producer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .message_min = 0,
    .message_max = 1024,
    .producers_max = 8,
    .consumers_max = 4,
    .deadline_now = false,
    .deadline_at = false,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,  // taken from the queue by a receive that never returned
};

constexpr int mode = 0600;
constexpr long types_max = 256;  // more than there are producers, successors of dead ones included

struct Message {
  long type;
  std::byte bytes[contract.message_max];
};

template <bool lowest_first>
class Queue final : public Endpoint {
 public:
  Queue(int queue, std::size_t message_max, long type)
      : queue_(queue), message_max_(message_max), message_{.type = type, .bytes = {}} {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    if (!message.empty()) std::memcpy(message_.bytes, message.data(), message.size());
    return repeat([&]() -> ssize_t { return ::msgsnd(queue_, &message_, message.size(), 0); });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline) override {
    const std::size_t room = std::min(buffer.size(), message_max_);
    const IoResult result =
        repeat([&] { return ::msgrcv(queue_, &message_, room, lowest_first ? -types_max : 0, 0); });
    if (result.outcome == Outcome::ok && result.size > 0) {
      std::memcpy(buffer.data(), message_.bytes, result.size);
    }
    return result;
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  template <typename Call>
  static IoResult repeat(Call call) {
    ssize_t count;
    do {
      count = call();
    } while (count < 0 && errno == EINTR);
    if (count >= 0) return IoResult::received(static_cast<std::size_t>(count));
    return errno == E2BIG ? IoResult::of(Outcome::too_large) : IoResult::failed(errno);
  }

  const int queue_;
  const std::size_t message_max_;
  Message message_;
};

template <bool lowest_first>
class MsgrcvTypeStarve final : public Transport {
 public:
  MsgrcvTypeStarve(const Options& options, std::vector<Descriptor>)
      : options_(options), key_(system_v_key(options)) {}

  std::string unsupported() const override {
    msginfo limits{};
    if (::msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)) < 0) {
      return "msgctl IPC_INFO: " + std::generic_category().message(errno);
    }
    const auto needed = static_cast<int>(options_.message_max);
    if (limits.msgmax >= needed && limits.msgmnb >= needed) return {};
    return "msgsnd: /proc/sys/kernel/msgmax or msgmnb is below " + std::to_string(needed);
  }

  void create() override {
    if (::msgget(key_, IPC_CREAT | IPC_EXCL | mode) >= 0) return;
    collided_ = errno == EEXIST;
    throw_system_error("msgget", options_.name);
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned index, Deadline) override {
    const int queue = ::msgget(key_, 0);
    if (queue < 0) throw_system_error("msgget", options_.name);
    const long type = 1 + static_cast<long>(index) % types_max;
    return std::make_unique<Queue<lowest_first>>(queue, options_.message_max, type);
  }

  // By key, but only what looks like ours: what was there before is a collision.
  void destroy() noexcept override {
    if (collided_) return;
    msqid_ds status{};
    const int queue = ::msgget(key_, 0);
    if (queue >= 0 && ::msgctl(queue, IPC_STAT, &status) == 0 &&
        status.msg_perm.cuid == ::geteuid() && (status.msg_perm.mode & 0777) == mode) {
      ::msgctl(queue, IPC_RMID, nullptr);
    }
  }

 private:
  const Options options_;
  const key_t key_;
  bool collided_ = false;  // create() found the key taken
};

template <bool lowest_first>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<MsgrcvTypeStarve<lowest_first>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<true>("msgrcv_type_starve", "msgrcv(2) of the lowest type")),
    Registered(registration<false>("msgrcv_type_starve_twin", "msgrcv(2) of the oldest message")),
};

}  // namespace
}  // namespace ipctorture
