// pipe_interleave: frames of more than PIPE_BUF bytes from several producers over one pipe.
//
// The bug: write(2) keeps up to PIPE_BUF bytes (4096) together. A longer frame goes in as far as
// there is room, and while its writer waits for more, another writes its own into the middle.
// Nobody locks the pipe for the length of a frame.
// It fires with two producers as soon as the pipe fills up, unless frames are whole pages: their
// writers found whole pages free whenever that was tried. Seen in: pipe(7), httpd PR #49.
//
// The twin holds a lock, which the producers share, for one frame.
#include <fcntl.h>

#include <memory>
#include <string>
#include <utility>

#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"
#include "harness/transport/shared_stream.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::per_producer,
    .late_producer = true,
    .reports_closed = true,
    .message_min = 4096,  // small records are somebody else's
    .message_max = 65536,
    .producers_max = 4,
    .attach = AttachBy::inherited,
    .now_message_max = 4096,
    .accepted_survives_close = true,
};

template <bool locks>
class PipeInterleave final : public Transport {
 public:
  // A lone producer takes no lock; without the lock, each takes itself for one.
  PipeInterleave(const Options& options, std::vector<Descriptor> handles)
      : options_(options), handles_(std::move(handles)) {
    if (!locks) options_.producers = 1;
  }

  void create() override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", options_.name);
    handles_.emplace_back(ends[0]);
    handles_.emplace_back(ends[1]);
    if (::fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0) {
      throw_system_error("fcntl O_NONBLOCK", options_.name);
    }
    set_pipe_size(ends[1], options_);
    if (!SharedStream::needed(options_)) return;
    const std::size_t bytes = SharedStream::bytes(options_);
    handles_.push_back(create_unnamed_memory("ipctorture-pipe-lock", bytes, Backing::reserved));
    SharedStream::create(SharedMapping(handles_[2].get(), bytes, "the pipe's lock").data());
  }

  std::vector<Descriptor> take_handles() override { return std::move(handles_); }

  // Whichever end is not used goes at once, or the stream would never end.
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    auto lock = std::make_shared<SharedMapping>();
    if (SharedStream::needed(options_)) {
      *lock = SharedMapping(handles_.at(2).get(), SharedStream::bytes(options_), "the pipe's lock");
    }
    std::vector<Descriptor> handles = std::move(handles_);
    handles_.clear();
    if (role == Role::producer) {
      return std::make_unique<StreamProducer>(options_, std::move(handles.at(1)), std::move(lock));
    }
    return std::make_unique<StreamConsumer>(options_, std::move(handles.at(0)), std::move(lock));
  }

  void destroy() noexcept override { handles_.clear(); }

 private:
  Options options_;
  std::vector<Descriptor> handles_;  // to read, to write, the lock's memory if there is a lock
};

template <bool locks>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<PipeInterleave<locks>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("pipe_interleave", "frames above PIPE_BUF, no lock")),
    Registered(registration<true>("pipe_interleave_twin", "frames above PIPE_BUF, under a lock")),
};

}  // namespace
}  // namespace ipctorture
