// pipe(2): an unnamed byte stream between a process and those that inherit its descriptors.
//
// What makes it right:
//  - Messages are framed. Up to PIPE_BUF (4096) bytes the kernel keeps a write whole; above that
//    competing writers, and competing readers always, need a lock
//    (harness/transport/shared_stream.h). It lives in unnamed memory that is inherited beside the
//    pipe.
//  - The write end is O_NONBLOCK: waiting for room is poll(2)'s, with the deadline. The read end
//    blocks: only one reads at a time, so what poll(2) has seen is still there, and a reader
//    without a deadline needs no poll(2). The flag belongs to the open description, and the two
//    ends have one each: what is set once holds for all who inherit that end.
//  - Each worker closes the end it does not use as soon as it knows its role. One forgotten write
//  end
//    anywhere, and the readers never see end of file; one forgotten read end, and the writers wait
//    on a full pipe that nobody will drain. Until a worker attaches it holds both: so nobody sees
//    the end before every expected peer has come.
//  - SIGPIPE is blocked in a producer's thread: EPIPE is the answer `closed`.
//
// Where it stops: `now` cannot send what is larger than the pipe (64 KiB, up to 1 MiB where
// allowed). Who is killed while a frame above PIPE_BUF moves breaks the stream for the others.
#include <fcntl.h>
#include <unistd.h>

#include <memory>

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
    .attach = AttachBy::inherited,
    .now_message_max = 4096,  // PIPE_BUF
    .accepted_survives_close = true,
};

class Pipe : public Transport {
 public:
  Pipe(const Options& options, std::vector<Descriptor> handles) : options_(options) {
    if (handles.size() < 2) return;
    read_end_ = std::move(handles[0]);
    write_end_ = std::move(handles[1]);
    if (handles.size() > 2) memory_ = std::move(handles[2]);
  }

  void create() override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", options_.name);
    read_end_ = Descriptor(ends[0]);
    write_end_ = Descriptor(ends[1]);
    if (::fcntl(write_end_.get(), F_SETFL, O_NONBLOCK) != 0) {
      throw_system_error("fcntl O_NONBLOCK", options_.name);
    }
    set_pipe_size(write_end_.get(), options_);
    if (!SharedStream::needed(options_)) return;
    const std::size_t bytes = SharedStream::bytes(options_);
    memory_ = create_unnamed_memory("ipctorture-pipe", bytes, Backing::sparse);
    SharedStream::create(SharedMapping(memory_.get(), bytes, "pipe's locks").data());
  }

  std::vector<Descriptor> take_handles() override {
    std::vector<Descriptor> handles;
    handles.push_back(std::move(read_end_));
    handles.push_back(std::move(write_end_));
    if (memory_.valid()) handles.push_back(std::move(memory_));
    return handles;
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    auto mapping = std::make_shared<SharedMapping>();
    if (SharedStream::needed(options_)) {
      *mapping = SharedMapping(memory_.get(), SharedStream::bytes(options_), "pipe's locks");
    }
    memory_.reset();
    if (role == Role::producer) {
      read_end_.reset();
      return std::make_unique<StreamProducer>(options_, std::move(write_end_), std::move(mapping));
    }
    write_end_.reset();
    return std::make_unique<StreamConsumer>(options_, std::move(read_end_), std::move(mapping));
  }

  // No name, nothing to remove.
  void destroy() noexcept override {
    read_end_.reset();
    write_end_.reset();
    memory_.reset();
  }

 private:
  const Options options_;
  Descriptor read_end_;
  Descriptor write_end_;
  Descriptor memory_;  // invalid when no lock is needed
};

const Registered registered{{.name = "pipe",
                             .summary = "pipe(2), inherited; frames stay whole above PIPE_BUF",
                             .contract = contract,
                             .make = make_transport<Pipe>}};

}  // namespace
}  // namespace ipctorture
