// FIFO (mkfifo(3)): a pipe with a name in the file system; whoever may open the name takes part.
//
// What makes it right, beside what holds for every pipe (pipe.cc: framing, locks, O_NONBLOCK and
// poll(2), SIGPIPE); the locks live in a file beside the FIFO that everyone maps:
//  - A FIFO has contents only while somebody holds it open. So a producer waits until a consumer is
//    there: open(O_WRONLY | O_NONBLOCK) says ENXIO before. The usual trick, O_RDWR, would let it
//    write into a FIFO that vanishes with it, and would hide both end of file and EPIPE.
//  - The same holds at the end: the last to leave would take along what is in the FIFO, though
//    consumers are yet to come. So whoever leaves last and leaves something behind waits in close()
//    for the next consumer, which then holds it. Nobody adds to it meanwhile: without readers
//    write(2) is EPIPE.
//  - End of file means that no writer is there *now*, which is also so before the first has come.
//    The map counts who has come: only when everyone expected had come before a read(2) that saw
//    end of file is it the end. EPIPE likewise. Until then the next arrival is awaited on a futex:
//    poll(2) would return POLLHUP at once, for ever.
//  - Opening for reading must not wait for a writer (O_NONBLOCK); reading may, so the flag goes
//    again.
//  - Consumers never open for writing, and producers never for reading, so both ends are exact.
//
// Where it stops: as pipe.cc. A close() that waits for a consumer may time out, and what is in the
// FIFO then goes with it; likewise when every consumer has come and gone. Who was killed counts as
// one that still holds it: nobody waits any more.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <new>

#include "harness/base/futex.h"
#include "harness/transport/registry.h"
#include "harness/transport/shared_stream.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .reports_closed = true,
    .when_full = WhenFull::blocks,
    .message_min = 0,
    .message_max = 1u << 20,
    .producers_max = 8,
    .consumers_max = 8,
    .attach = AttachBy::named,
    .now_message_max = 4096,  // PIPE_BUF
    .accepted_survives_close = true,
};

// Who came and went, at the end of the mapping, behind the SharedStream.
struct Arrivals {
  std::atomic<std::uint32_t> producers{0};  // how many have opened their end, ever; futex words
  std::atomic<std::uint32_t> consumers{0};
  std::atomic<std::uint32_t> holders{0};  // how many hold an end now
};
using Word = std::atomic<std::uint32_t>;

std::size_t arrivals_offset(const Options& options) {
  return (SharedStream::bytes(options) + 63) / 64 * 64;
}
std::size_t mapping_bytes(const Options& options) {
  return arrivals_offset(options) + sizeof(Arrivals);
}
Arrivals& arrivals_of(const SharedMapping& mapping, const Options& options) {
  return *std::launder(reinterpret_cast<Arrivals*>(mapping.data() + arrivals_offset(options)));
}

void announce(Arrivals& arrivals, Word& role) {
  arrivals.holders.fetch_add(1, std::memory_order_seq_cst);
  role.fetch_add(1, std::memory_order_seq_cst);
  futex_wake(role);
}

// To be called before an end is closed. Of those who leave at once, the one that counts down to 0
// comes last and still holds its end: what the others left behind is not lost. ok: close it.
IoResult await_heir(Arrivals& arrivals, const Options& options, int end, Deadline deadline) {
  if (arrivals.holders.fetch_sub(1, std::memory_order_seq_cst) > 1) return IoResult::sent();
  for (;;) {
    const std::uint32_t came = arrivals.consumers.load(std::memory_order_seq_cst);
    if (came >= options.consumers || arrivals.holders.load(std::memory_order_seq_cst) > 0) break;
    int left_behind = 0;
    if (::ioctl(end, FIONREAD, &left_behind) != 0) return IoResult::failed(errno);
    if (left_behind == 0) break;
    if (deadline.passed()) return IoResult::of(Outcome::timed_out);
    futex_wait(arrivals.consumers, came, deadline);
  }
  return IoResult::sent();
}

// The far end is deserted. Was everybody there (`came` of `expected`) before that was found? If
// not, waits for the next one to come; `closed` and `timed_out` are answers, ok means: try again.
Outcome await_arrival(const Word& word, std::uint32_t came, std::uint32_t expected,
                      Deadline deadline, Outcome now_answer) {
  if (came >= expected) return Outcome::closed;
  if (word.load(std::memory_order_seq_cst) != came) return Outcome::ok;
  if (deadline.is_now()) return now_answer;
  if (deadline.passed()) return Outcome::timed_out;
  futex_wait(word, came, deadline);
  return Outcome::ok;
}

class FifoProducer : public StreamProducer {
 public:
  FifoProducer(const Options& options, Descriptor end, std::shared_ptr<SharedMapping> mapping)
      : StreamProducer(options, std::move(end), mapping),
        options_(options),
        arrivals_(arrivals_of(*mapping, options)) {}

  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override {
    for (;;) {
      const std::uint32_t came = arrivals_.consumers.load(std::memory_order_seq_cst);
      const IoResult result = StreamProducer::send(message, options, deadline);
      if (result.outcome != Outcome::closed) return result;
      const Outcome next =
          await_arrival(arrivals_.consumers, came, options_.consumers, deadline, Outcome::full);
      if (next != Outcome::ok) return IoResult::of(next);
    }
  }

  IoResult close(Deadline deadline) override {
    const IoResult heir = await_heir(arrivals_, options_, end(), deadline);
    return heir.outcome == Outcome::ok ? StreamProducer::close(deadline) : heir;
  }

 private:
  const Options options_;
  Arrivals& arrivals_;
};

class FifoConsumer : public StreamConsumer {
 public:
  FifoConsumer(const Options& options, Descriptor end, std::shared_ptr<SharedMapping> mapping)
      : StreamConsumer(options, std::move(end), mapping),
        options_(options),
        arrivals_(arrivals_of(*mapping, options)) {}

  IoResult close(Deadline deadline) override {
    const IoResult heir = await_heir(arrivals_, options_, end(), deadline);
    return heir.outcome == Outcome::ok ? StreamConsumer::close(deadline) : heir;
  }

 private:
  IoResult receive_alone(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const std::uint32_t came = arrivals_.producers.load(std::memory_order_seq_cst);
      const IoResult result = StreamConsumer::receive_alone(buffer, deadline);
      if (result.outcome != Outcome::closed) return result;
      const Outcome next =
          await_arrival(arrivals_.producers, came, options_.producers, deadline, Outcome::empty);
      if (next != Outcome::ok) return IoResult::of(next);
    }
  }

  const Options options_;
  Arrivals& arrivals_;
};

class Fifo : public Transport {
 public:
  Fifo(const Options& options, std::vector<Descriptor>)
      : options_(options),
        path_(options.directory + "/" + options.name + ".fifo"),
        map_path_(options.directory + "/" + options.name + ".map") {}

  void create() override {
    const Descriptor map = own_descriptor(
        ::open(map_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open", map_path_);
    try {
      const std::size_t bytes = mapping_bytes(options_);
      reserve_backing(map.get(), bytes, map_path_);
      const SharedMapping mapping(map.get(), bytes, map_path_);
      SharedStream::create(mapping.data());
      new (mapping.data() + arrivals_offset(options_)) Arrivals;
      if (::mkfifo(path_.c_str(), 0600) != 0) throw_system_error("mkfifo", path_);
    } catch (...) {
      ::unlink(map_path_.c_str());
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline deadline) override {
    auto mapping = std::make_shared<SharedMapping>(open_map());
    Arrivals& arrivals = arrivals_of(*mapping, options_);
    if (role == Role::producer) {
      Descriptor end = open_for_writing(arrivals.consumers, deadline);
      announce(arrivals, arrivals.producers);
      return std::make_unique<FifoProducer>(options_, std::move(end), std::move(mapping));
    }
    Descriptor end = own_descriptor(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                                    "open for reading", path_);
    // poll(2) hides the end of file from a reader until a writer has come since it opened. Who
    // comes after the last writer left would wait for ever: so one writer comes, and goes at once.
    own_descriptor(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), "open for writing",
                   path_)
        .reset();
    if (::fcntl(end.get(), F_SETFL, 0) != 0) throw_system_error("fcntl", path_);
    set_pipe_size(end.get(), options_);
    announce(arrivals, arrivals.consumers);
    return std::make_unique<FifoConsumer>(options_, std::move(end), std::move(mapping));
  }

  void destroy() noexcept override {
    ::unlink(path_.c_str());
    ::unlink(map_path_.c_str());
  }

 private:
  SharedMapping open_map() const {
    const Descriptor map =
        own_descriptor(::open(map_path_.c_str(), O_RDWR | O_CLOEXEC), "open", map_path_);
    struct stat status{};
    if (::fstat(map.get(), &status) != 0) throw_system_error("fstat", map_path_);
    const std::size_t bytes = mapping_bytes(options_);
    if (static_cast<std::size_t>(status.st_size) < bytes) {
      throw_system_error("size of", map_path_, EINVAL);
    }
    return SharedMapping(map.get(), bytes, map_path_);
  }

  Descriptor open_for_writing(const Word& consumers, Deadline deadline) const {
    for (;;) {
      const std::uint32_t came = consumers.load(std::memory_order_seq_cst);
      const int end = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
      if (end >= 0) return Descriptor(end);
      if (errno != ENXIO && errno != EINTR) throw_system_error("open for writing", path_);
      if (deadline.passed()) throw_system_error("wait for a reader of", path_, ETIMEDOUT);
      futex_wait(consumers, came, deadline);
    }
  }

  const Options options_;
  const std::string path_;
  const std::string map_path_;
};

const Registered registered{{.name = "fifo",
                             .summary = "mkfifo(3), named; frames stay whole above PIPE_BUF",
                             .contract = contract,
                             .make = make_transport<Fifo>}};

}  // namespace
}  // namespace ipctorture
