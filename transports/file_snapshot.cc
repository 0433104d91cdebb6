// The latest value as a file that is always whole: each value is written to a file of its own,
// which then takes the name in one step of rename(2); consumers learn of it from inotify(7). The
// classic way to publish a configuration.
//
//   no torn value      Whoever opens the name gets the old file or the new one, and neither is ever
//                      written again (so a left temporary file is unlinked, never truncated: a
//                      consumer may still be reading it).
//   no lost wake-up    The watch is armed before the first look, and pending events are taken away
//                      BEFORE the file is read: a rename after that leaves an event behind, which
//                      ends the next wait at once. The event is queued before rename returns, so
//                      without one there is nothing new and a look costs one system call. A queue
//                      that overflows says so by an event as well.
//   only on change     What was read is compared with what this consumer returned last.
//
// There is no fsync: consumers on the same machine read the page cache, which a killed process
// does not take along. After a power cut the file could be empty: who needs it to survive that
// calls fsync before the rename.
//
// The files live in a directory of their own, so that consumers are woken by nothing else.
//
// Where it stops: one producer at a time. A consumer sees the values that were current when it
// looked, not all of them. A kill leaves at most the temporary file, which the next producer
// replaces. All on one machine: inotify does not see what others do on a network file system.
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::latest_value,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::broadcast,
    .late_consumer = LateConsumer::from_attach,
    .when_full = WhenFull::overwrites,
    .message_min = 16,
    .message_max = 1u << 20,
    .producers_max = 1,
    .consumers_max = 8,
    .lives_max = 255,
    .fires_only_on_change = true,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .hostile = Hostile::only_errors,
};

struct Paths {
  explicit Paths(const Options& options)
      : directory(options.directory + "/" + options.name),
        value(directory + "/value"),
        temporary(directory + "/next") {}
  const std::string directory;
  const std::string value;
  const std::string temporary;
};

class Publisher final : public Endpoint {
 public:
  Publisher(const Paths& paths, std::size_t value_max) : paths_(paths), value_max_(value_max) {
    if (::access(paths_.directory.c_str(), W_OK | X_OK) != 0)
      throw_system_error("access", paths_.directory);
  }

  // Never waits for a consumer, so the deadline does not matter.
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > value_max_) return IoResult::of(Outcome::too_large);
    int error = write_temporary(message);
    if (error == 0) error = publish();
    if (error == 0) return IoResult::sent();
    ::unlink(paths_.temporary.c_str());  // a full disk gets its room back
    return IoResult::failed(error);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EOPNOTSUPP); }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  // Both answer 0 or errno.
  int write_temporary(std::span<const std::byte> message) const {
    const char* path = paths_.temporary.c_str();
    if (::unlink(path) != 0 && errno != ENOENT) return errno;
    const Descriptor fd(::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return errno;
    while (!message.empty()) {
      const ssize_t written = ::write(fd.get(), message.data(), message.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      message = message.subspan(static_cast<std::size_t>(written));
    }
    return 0;
  }

  // Exchanges the two names and removes the old value. A rename that replaces is as atomic, but
  // ext4 begins to write the file to disk in it (auto_da_alloc): measured 0.2 k values/s,
  // against 3.4 k.
  int publish() const {
    const char* from = paths_.temporary.c_str();
    const char* to = paths_.value.c_str();
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) {
      ::unlink(from);
      return 0;
    }
    // There is no value yet, or the file system cannot exchange.
    return ::rename(from, to) == 0 ? 0 : errno;
  }

  const Paths paths_;
  const std::size_t value_max_;
};

class Watcher final : public Endpoint {
 public:
  Watcher(const Paths& paths, std::size_t value_max)
      : paths_(paths), value_max_(value_max), candidate_(value_max + 1) {
    events_ = own_descriptor(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1", {});
    if (::inotify_add_watch(events_.get(), paths_.directory.c_str(), IN_MOVED_TO | IN_ONLYDIR) < 0)
      throw_system_error("inotify_add_watch", paths_.directory);
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EOPNOTSUPP);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      if (take_events()) stale_ = true;
      if (stale_) {
        const IoResult result = look(buffer);
        if (result.outcome != Outcome::empty) return result;
      }
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      pollfd waiting{.fd = events_.get(), .events = POLLIN};
      if (::poll(&waiting, 1, deadline.poll_ms()) < 0 && errno != EINTR)
        return IoResult::failed(errno);
    }
  }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  // Takes all pending events; was there one? What they say does not matter, the file does.
  bool take_events() {
    alignas(inotify_event) std::byte events[4096];
    bool any = false;
    while (::read(events_.get(), events, sizeof events) > 0) any = true;
    return any;
  }

  // The value in the file if it differs from the last one returned; else empty.
  IoResult look(std::span<std::byte> buffer) {
    // O_NONBLOCK: a stranger's FIFO of this name must not hold the consumer.
    const Descriptor fd(
        ::open(paths_.value.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid() && errno != ENOENT) return IoResult::failed(errno);
    std::size_t size = 0;
    while (fd.valid() && size < candidate_.size()) {
      const ssize_t got = ::read(fd.get(), candidate_.data() + size, candidate_.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return IoResult::failed(errno);
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    // An honest producer's file is always whole; a stranger's may be anything.
    if (fd.valid() && (size < kContract.message_min || size > value_max_)) {
      return IoResult::failed(EBADMSG);
    }
    if (size > buffer.size()) return IoResult::of(Outcome::too_large);
    stale_ = false;
    if (!fd.valid() || same_as_last(size)) return IoResult::of(Outcome::empty);
    last_.assign(candidate_.begin(), candidate_.begin() + static_cast<std::ptrdiff_t>(size));
    returned_any_ = true;
    if (size != 0) std::memcpy(buffer.data(), last_.data(), size);
    return IoResult::received(size);
  }

  bool same_as_last(std::size_t size) const {
    return returned_any_ && last_.size() == size &&
           std::memcmp(last_.data(), candidate_.data(), size) == 0;
  }

  const Paths paths_;
  const std::size_t value_max_;
  Descriptor events_;
  bool stale_ = true;  // the file may hold a value that was not looked at
  bool returned_any_ = false;
  std::vector<std::byte> last_;       // the value last returned
  std::vector<std::byte> candidate_;  // one byte more than a value may have
};

class FileSnapshot final : public Transport {
 public:
  FileSnapshot(const Options& options, std::vector<Descriptor>)
      : paths_(options),
        value_max_(options.message_max != 0 ? options.message_max : kContract.message_max) {}

  std::string unsupported() const override {
    const Descriptor events(::inotify_init1(IN_CLOEXEC));
    return events.valid() ? std::string() : std::string("inotify_init1: ") + std::strerror(errno);
  }

  void create() override {
    if (::mkdir(paths_.directory.c_str(), 0700) != 0) throw_system_error("mkdir", paths_.directory);
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    if (role == Role::producer) return std::make_unique<Publisher>(paths_, value_max_);
    return std::make_unique<Watcher>(paths_, value_max_);
  }

  void destroy() noexcept override {
    ::unlink(paths_.temporary.c_str());
    ::unlink(paths_.value.c_str());
    ::rmdir(paths_.directory.c_str());
  }

 private:
  const Paths paths_;
  const std::size_t value_max_;
};

const Registered registered{{.name = "file_snapshot",
                             .summary = "latest value as a file, renamed into place, inotify",
                             .contract = kContract,
                             .make = make_transport<FileSnapshot>}};

}  // namespace
}  // namespace ipctorture
