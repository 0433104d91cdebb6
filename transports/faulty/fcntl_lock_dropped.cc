// fcntl_lock_dropped: a queue in a shared memory object, which belongs to whoever holds the lock of
// that file.
//
// The bug: a POSIX lock (fcntl(2)) belongs to the process and the file. As soon as the process
// closes any descriptor of that file, its lock is gone, whichever descriptor had taken it. Here a
// helper, called with the lock held, opens the file by its name to see that nobody has cut it short
// (touching what was cut off would be SIGBUS), and closes it again.
// It fires with two producers, or two consumers: both are inside, take the same slot and move the
// same counter. Seen in: fcntl(2).
//
// The twin's helper asks the descriptor that is open anyway.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

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
    .late_producer = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 64,
    .message_min = 0,
    .message_max = 1024,
    .producers_max = 4,
    .consumers_max = 4,
    .threads = false,          // the lock belongs to the process
    .deadline_slack_ms = 500,  // the wait for the lock has no deadline
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

struct Slot {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  std::uint64_t head, tail;            // taken, put; under the lock
  std::atomic<std::uint32_t> changes;  // futex word: counts everything that may wake somebody
  Slot slots[contract.capacity_max];
};

// Of the whole file, for a scope.
class FileLock {
 public:
  explicit FileLock(int file) : file_(file), error_(set(F_WRLCK)) {}
  ~FileLock() { set(F_UNLCK); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  int error() const { return error_; }

 private:
  int set(short type) const {
    struct flock whole{};
    whole.l_type = type;
    while (::fcntl(file_, F_SETLKW, &whole) != 0) {
      if (errno != EINTR) return errno;
    }
    return 0;
  }

  const int file_, error_;
};

template <bool keeps_lock>
class FileQueue final : public Endpoint {
 public:
  FileQueue(const Options& options, Descriptor file)
      : options_(options),
        file_(std::move(file)),
        memory_(file_.get(), sizeof(Shared), options.name),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] {
      if (shared_.tail - shared_.head >= options_.capacity) return IoResult::of(Outcome::full);
      Slot& slot = slot_of(shared_.tail);
      slot.size = message.size();
      if (!message.empty()) std::memcpy(slot.bytes, message.data(), message.size());
      ++shared_.tail;
      return IoResult::sent();
    });
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] {
      if (shared_.tail == shared_.head) return IoResult::of(Outcome::empty);
      const Slot& slot = slot_of(shared_.head);
      const std::size_t size = slot.size;
      if (size > 0) std::memcpy(buffer.data(), slot.bytes, size);
      ++shared_.head;
      return IoResult::received(size);
    });
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Slot& slot_of(std::uint64_t counter) const {
    return shared_.slots[(counter - options_.counter_start) % options_.capacity];
  }

  bool is_whole() const {
    Descriptor again;
    if (!keeps_lock) again = Descriptor(::shm_open(("/" + options_.name).c_str(), O_RDONLY, 0));
    struct stat status{};
    return ::fstat(keeps_lock ? file_.get() : again.get(), &status) == 0 &&
           status.st_size >= static_cast<off_t>(sizeof(Shared));
  }

  // Tries under the lock until it succeeds or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      IoResult result;
      {
        const FileLock lock(file_.get());
        if (lock.error() != 0) return IoResult::failed(lock.error());
        if (!is_whole()) return IoResult::failed(EIO);
        result = attempt();
      }
      if (result.outcome == Outcome::ok) {
        shared_.changes.fetch_add(1);
        futex_wake(shared_.changes);
      }
      if (result.outcome != blocked || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  const Options options_;
  const Descriptor file_;
  const SharedMapping memory_;
  Shared& shared_;
};

template <bool keeps_lock>
class FcntlLockDropped final : public Transport {
 public:
  FcntlLockDropped(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor file = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(file.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      shared->head = shared->tail = options_.counter_start;
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    Descriptor file = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<FileQueue<keeps_lock>>(options_, std::move(file));
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool keeps_lock>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<FcntlLockDropped<keeps_lock>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("fcntl_lock_dropped", "closes a second descriptor, locked")),
    Registered(registration<true>("fcntl_lock_dropped_twin", "keeps to the one descriptor")),
};

}  // namespace
}  // namespace ipctorture
