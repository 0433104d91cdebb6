// FIFO (mkfifo(3)): a pipe with a name in the file system; whoever may open the name takes part.
//
// What makes it right, beside what holds for every pipe (pipe.cc: framing, locks, O_NONBLOCK and
// poll(2), SIGPIPE); the locks live in a file beside the FIFO that everyone maps:
//  - A FIFO has contents only while somebody holds it open. So a producer waits until a consumer is
//    there: open(O_WRONLY | O_NONBLOCK) says ENXIO before. The usual trick, O_RDWR, would let it
//    write into a FIFO that vanishes with it, and would hide both end of file and EPIPE.
//  - End of file means that no writer is there *now*, which is also so before the first has come.
//  The
//    map counts who has come: only when everyone expected had come before a read(2) that saw end of
//    file is it the end. EPIPE likewise. Until then the next arrival is awaited on a futex: poll(2)
//    would return POLLHUP at once, for ever.
//  - Opening for reading must not wait for a writer (O_NONBLOCK); reading may, so the flag goes
//  again.
//  - Consumers never open for writing, and producers never for reading, so both ends are exact.
//
// Where it stops: as pipe.cc; and with all consumers gone, what the last producer sent goes with
// it.
#include <fcntl.h>
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

// How many have opened their end, ever. At the end of the mapping, behind the SharedStream.
struct Arrivals {
  std::atomic<std::uint32_t> producers{0};  // futex words
  std::atomic<std::uint32_t> consumers{0};
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

void announce(Word& word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  futex_wake(word);
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
        consumers_(arrivals_of(*mapping, options).consumers),
        expected_(options.consumers) {}

  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override {
    for (;;) {
      const std::uint32_t came = consumers_.load(std::memory_order_seq_cst);
      const IoResult result = StreamProducer::send(message, options, deadline);
      if (result.outcome != Outcome::closed) return result;
      const Outcome next = await_arrival(consumers_, came, expected_, deadline, Outcome::full);
      if (next != Outcome::ok) return IoResult::of(next);
    }
  }

 private:
  const Word& consumers_;
  const std::uint32_t expected_;
};

class FifoConsumer : public StreamConsumer {
 public:
  FifoConsumer(const Options& options, Descriptor end, std::shared_ptr<SharedMapping> mapping)
      : StreamConsumer(options, std::move(end), mapping),
        producers_(arrivals_of(*mapping, options).producers),
        expected_(options.producers) {}

 private:
  IoResult receive_alone(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const std::uint32_t came = producers_.load(std::memory_order_seq_cst);
      const IoResult result = StreamConsumer::receive_alone(buffer, deadline);
      if (result.outcome != Outcome::closed) return result;
      const Outcome next = await_arrival(producers_, came, expected_, deadline, Outcome::empty);
      if (next != Outcome::ok) return IoResult::of(next);
    }
  }

  const Word& producers_;
  const std::uint32_t expected_;
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
      announce(arrivals.producers);
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
    announce(arrivals.consumers);
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
