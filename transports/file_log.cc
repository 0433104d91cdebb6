// A queue in an append-only file: producers append records, consumers share one read offset, and
// any process that knows the directory can take part. One file: a header page, then the records.
//
// Locking. Every operation runs under a robust, process-shared mutex in the header page (mmap).
// File locks (flock, fcntl) would fit a file better, but know no timeout: a holder that is stopped
// would take everybody's deadline along. A robust mutex waits until a deadline, and the kernel
// passes it on when its holder dies.
//
// Dying. The header holds the state (read offset, end, counts) twice, and one store says which of
// the two holds (commit). Whatever a killed holder was doing, its successor finds the old state or
// the new one, never half of it. Bytes of a half-written record lie behind `end`, where nobody
// reads, and the next append overwrites them. A consumer killed between its commit and its return
// takes that one message along.
//
// Waking. Consumers watch the file with inotify(7); the append itself is the wake-up, so there is
// none to forget. It comes while the producer still holds the mutex, and whoever is woken needs the
// mutex to look: it looks after the commit. The watch is armed at attach, and pending events are
// taken away before a look, never after it: an append in between leaves an event, and the next wait
// ends at once. Every append wakes every sleeping consumer; that is the price of being woken by a
// file.
//
// Disk. A log that was read to its end starts over at its beginning. One that never is gives the
// blocks behind its readers back (a hole is punched every `hole_bytes`): the file looks long, but
// holds at most its unread records and hole_bytes + kept_bytes. It rejects what exceeds
// Options::capacity messages, or the disk (ENOSPC, EDQUOT: full as well).
//
// Where it stops: no fsync, so a power cut loses the log (a killed process loses nothing). File
// systems without holes keep the blocks until the log is read to its end. With deadline `now`, full
// or empty may also mean that the mutex was held for longer than lock_patience. One machine only.
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

#include "harness/base/robust_mutex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::total,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .reports_closed = true,
    .when_full = WhenFull::rejects,
    .capacity_max = 256,
    .message_min = 0,
    .message_max = 1u << 20,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .lost_per_death_max = 1,
};

constexpr std::uint64_t magic_v1 = 0x3130676f6c656c66;  // "flelog01"
constexpr std::uint64_t header_bytes = 4096;            // records begin here
constexpr std::uint64_t hole_bytes = 4u << 20;          // read records on disk, at most
constexpr std::uint64_t kept_bytes = 4u << 20;          // an empty log keeps blocks up to here
constexpr std::chrono::milliseconds lock_patience{20};  // of an operation with deadline `now`

struct State {
  std::uint64_t read;      // offset of the oldest unread record
  std::uint64_t end;       // offset behind the newest
  std::uint64_t hole;      // blocks below this offset were given back
  std::uint64_t taken;     // records read, counted from Options::counter_start
  std::uint64_t appended;  // likewise
  std::uint64_t closed[(kContract.lives_max + 63) / 64];  // bit i: producer i left in order
};

struct Header {
  std::uint64_t magic;
  std::uint64_t message_max;
  pthread_mutex_t mutex;
  State states[2];
  std::atomic<std::uint32_t> current;  // which of the two holds
};
static_assert(sizeof(Header) <= header_bytes);

struct Record {  // the message follows it
  std::uint64_t number;
  std::uint64_t size;
};

// Holds the mutex of the log while it lives, if it could be had by the deadline.
class Lock {
 public:
  Lock(pthread_mutex_t& mutex, Deadline deadline) : mutex_(mutex) {
    error_ = lock_robust(mutex_, deadline.is_now() ? Deadline::in(lock_patience) : deadline);
    // The holder died; the state is the old or the new one, so there is nothing to mend.
    if (error_ == EOWNERDEAD) error_ = ::pthread_mutex_consistent(&mutex_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (held()) ::pthread_mutex_unlock(&mutex_);
  }
  bool held() const { return error_ == 0; }
  // Why it is not held: `late` if that was the deadline.
  IoResult refusal(Outcome late) const {
    return error_ == ETIMEDOUT ? IoResult::of(late) : IoResult::failed(error_);
  }

 private:
  pthread_mutex_t& mutex_;
  int error_ = 0;
};

// One endpoint's own descriptor and view of the file.
class Log {
 public:
  explicit Log(const Options& options)
      : path_(options.directory + "/" + options.name + ".log"),
        capacity_(options.capacity),
        message_max_(options.message_max != 0 ? options.message_max : kContract.message_max),
        producers_(options.producers) {}

  const std::string& path() const { return path_; }
  void create(std::uint64_t counter_start);
  void attach();
  IoResult append(std::span<const std::byte> message, Deadline deadline);
  IoResult take(std::span<std::byte> buffer, Deadline deadline);
  IoResult leave(unsigned producer, Deadline deadline);

 private:
  Header& header() const { return *reinterpret_cast<Header*>(mapping_.data()); }
  // These two under the lock only.
  State state() const { return header().states[header().current.load() & 1]; }
  void commit(const State& next) {
    const std::uint32_t other = (header().current.load() & 1) ^ 1;
    header().states[other] = next;
    header().current.store(other);
  }
  // Both answer 0 or errno.
  int write_record(std::uint64_t offset, Record record, std::span<const std::byte> message) const;
  int read_exactly(std::uint64_t offset, std::span<std::byte> to) const;
  void give_back(State next);

  const std::string path_;
  const std::uint64_t capacity_;
  const std::uint64_t message_max_;
  const unsigned producers_;
  Descriptor fd_;
  SharedMapping mapping_;
};

void Log::create(std::uint64_t counter_start) {
  fd_ = own_descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open",
                       path_);
  try {
    // Backed now: a store to the mapping must not find the disk full.
    reserve_backing(fd_.get(), header_bytes, path_);
    mapping_ = SharedMapping(fd_.get(), header_bytes, path_);
    const State empty{.read = header_bytes,
                      .end = header_bytes,
                      .hole = header_bytes,
                      .taken = counter_start,
                      .appended = counter_start,
                      .closed = {}};
    new (mapping_.data())
        Header{.magic = magic_v1, .message_max = message_max_, .states = {empty, empty}};
    create_robust_mutex(header().mutex, path_);
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

void Log::attach() {
  fd_ = own_descriptor(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC), "open", path_);
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) throw_system_error("fstat", path_);
  if (status.st_size < static_cast<off_t>(header_bytes))
    throw_system_error("attach: too short:", path_, EPROTO);
  mapping_ = SharedMapping(fd_.get(), header_bytes, path_);
  if (header().magic != magic_v1 || header().message_max != message_max_)
    throw_system_error("attach: not a log of this kind:", path_, EPROTO);
}

IoResult Log::append(std::span<const std::byte> message, Deadline deadline) {
  if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
  const Lock lock(header().mutex, deadline);
  if (!lock.held()) return lock.refusal(deadline.is_now() ? Outcome::full : Outcome::timed_out);
  State next = state();
  if (next.appended - next.taken >= capacity_) return IoResult::of(Outcome::full);
  const int error = write_record(next.end, {next.appended, message.size()}, message);
  if (error != 0) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(next.end)) != 0) return IoResult::failed(errno);
    return error == ENOSPC || error == EDQUOT ? IoResult::of(Outcome::full)
                                              : IoResult::failed(error);
  }
  next.end += sizeof(Record) + message.size();
  ++next.appended;
  commit(next);
  return IoResult::sent();
}

IoResult Log::take(std::span<std::byte> buffer, Deadline deadline) {
  const Lock lock(header().mutex, deadline);
  if (!lock.held()) return lock.refusal(deadline.is_now() ? Outcome::empty : Outcome::timed_out);
  State next = state();
  if (next.taken == next.appended) {
    unsigned left = 0;
    for (const std::uint64_t word : next.closed) left += static_cast<unsigned>(std::popcount(word));
    const bool all_left = left >= producers_;
    return IoResult::of(all_left ? Outcome::closed : Outcome::empty);
  }
  Record record{};
  int error = read_exactly(next.read, std::as_writable_bytes(std::span(&record, 1)));
  if (error == 0 && (record.number != next.taken || record.size > message_max_)) error = EBADMSG;
  if (error != 0) return IoResult::failed(error);
  if (record.size > buffer.size()) return IoResult::of(Outcome::too_large);
  error = read_exactly(next.read + sizeof record, buffer.first(record.size));
  if (error != 0) return IoResult::failed(error);
  next.read += sizeof record + record.size;
  ++next.taken;
  give_back(next);
  return IoResult::received(record.size);
}

// Commits `next`, in which one more record is read, and then gives back blocks that nobody needs. A
// kill in between leaves them on disk until the log is next truncated; the state never points to
// what is gone.
void Log::give_back(State next) {
  const std::uint64_t length = next.end;
  if (next.read == next.end) next.read = next.end = next.hole = header_bytes;
  const std::uint64_t unneeded = next.read / 4096 * 4096;
  const std::uint64_t hole = next.hole;
  const bool punch = unneeded - hole >= hole_bytes;
  if (punch) next.hole = unneeded;
  commit(next);
  // Without effect where the file system cannot do it. Sleepers are woken for nothing, and rarely.
  if (punch) {
    static_cast<void>(::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  static_cast<off_t>(hole), static_cast<off_t>(unneeded - hole)));
  }
  if (next.end == header_bytes && length > kept_bytes)
    static_cast<void>(::ftruncate(fd_.get(), header_bytes));
}

IoResult Log::leave(unsigned producer, Deadline deadline) {
  const Lock lock(header().mutex, deadline);
  if (!lock.held()) return lock.refusal(Outcome::timed_out);
  // A touch wakes the consumers as an append does: before the commit, under the mutex.
  if (::futimens(fd_.get(), nullptr) != 0) return IoResult::failed(errno);
  State next = state();
  next.closed[producer / 64 % std::size(next.closed)] |= std::uint64_t{1} << (producer % 64);
  commit(next);
  return IoResult::of(Outcome::ok);
}

int Log::write_record(std::uint64_t offset, Record record,
                      std::span<const std::byte> message) const {
  iovec parts[2] = {{&record, sizeof record},
                    {const_cast<std::byte*>(message.data()), message.size()}};
  while (parts[0].iov_len + parts[1].iov_len != 0) {
    const ssize_t written = ::pwritev(fd_.get(), parts, 2, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    auto rest = static_cast<std::size_t>(written);
    offset += rest;
    for (iovec& part : parts) {
      const std::size_t done = std::min(rest, part.iov_len);
      part.iov_base = static_cast<std::byte*>(part.iov_base) + done;
      part.iov_len -= done;
      rest -= done;
    }
  }
  return 0;
}

int Log::read_exactly(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return EBADMSG;  // shorter than its state says
    offset += static_cast<std::size_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
  return 0;
}

class Producer final : public Endpoint {
 public:
  Producer(const Options& options, unsigned index) : log_(options), index_(index) { log_.attach(); }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    return log_.append(message, deadline);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EOPNOTSUPP); }
  IoResult close(Deadline deadline) override { return log_.leave(index_, deadline); }

 private:
  Log log_;
  const unsigned index_;
};

class Consumer final : public Endpoint {
 public:
  explicit Consumer(const Options& options)
      : log_(options),
        events_(own_descriptor(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1", {})) {
    if (::inotify_add_watch(events_.get(), log_.path().c_str(), IN_MODIFY | IN_ATTRIB) < 0)
      throw_system_error("inotify_add_watch", log_.path());
    log_.attach();
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EOPNOTSUPP);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const IoResult result = log_.take(buffer, deadline);
      if (result.outcome != Outcome::empty || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      pollfd waiting{.fd = events_.get(), .events = POLLIN};
      if (::poll(&waiting, 1, deadline.poll_ms()) < 0 && errno != EINTR)
        return IoResult::failed(errno);
      take_events();
    }
  }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  // What the events say does not matter. Equal ones are merged by the kernel: there are never many.
  void take_events() {
    alignas(inotify_event) std::byte events[1024];
    while (::read(events_.get(), events, sizeof events) > 0) {
    }
  }

  Log log_;
  Descriptor events_;
};

class FileLog final : public Transport {
 public:
  FileLog(const Options& options, std::vector<Descriptor>) : options_(options) {}

  std::string unsupported() const override {
    const Descriptor events(::inotify_init1(IN_CLOEXEC));
    return events.valid() ? std::string() : std::string("inotify_init1: ") + std::strerror(errno);
  }
  void create() override { Log(options_).create(options_.counter_start); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline) override {
    if (role == Role::producer) return std::make_unique<Producer>(options_, index);
    return std::make_unique<Consumer>(options_);
  }
  void destroy() noexcept override { ::unlink(Log(options_).path().c_str()); }

 private:
  const Options options_;
};

const Registered registered{
    {.name = "file_log",
     .summary = "append-only file with a shared read offset, robust mutex, inotify",
     .contract = kContract,
     .make = make_transport<FileLog>}};

}  // namespace
}  // namespace ipctorture
