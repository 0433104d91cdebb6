// mutual_full_buffers: frames go through one pipe, and come back through another as receipts.
//
// The bug: the producer writes on until 16 receipts are due and reads none before. The consumer
// returns each frame, waiting for room, before it reads the next. Two frames fit into either pipe:
// when both are full, each waits for the other to read.
// It fires when more is sent without a pause than both pipes hold, here six frames: with ordinary
// pipes, large batches. Seen in: xania #102, i3 #2999.
//
// The twin has no more frames under way than the receipts' pipe holds: the consumer never waits.
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"
#include "harness/transport/shared_stream.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t frames_in_pipe = 2;
constexpr std::uint32_t large_window = 16;

// A whole page, so that a pipe of n pages holds n; taken by write(2) whole or not at all.
struct Frame {
  std::uint32_t size;
  std::array<std::byte, PIPE_BUF - sizeof(std::uint32_t)> bytes;
};
static_assert(sizeof(Frame) == PIPE_BUF);

constexpr Contract contract{
    .ordering = Ordering::total,
    .reports_closed = true,
    .message_min = 0,
    .message_max = sizeof(Frame::bytes),
    .attach = AttachBy::inherited,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

// One side's end of each pipe; all are O_NONBLOCK, waiting is poll(2)'s.
class Line {
 public:
  Line(Descriptor in, Descriptor out) : in_(std::move(in)), out_(std::move(out)) {}

  // ok, full, timed_out, closed, error.
  IoResult put(const Frame& frame, Deadline deadline) {
    const iovec whole{.iov_base = const_cast<Frame*>(&frame), .iov_len = sizeof frame};
    for (;;) {
      if (::writev(out_.get(), &whole, 1) >= 0) return IoResult::sent();
      if (errno == EPIPE) return IoResult::of(Outcome::closed);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (!wait_ready(out_.get(), POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
    }
  }
  // The next frame: ok, empty, timed_out, closed, error. What a short read brought is kept.
  IoResult get(Deadline deadline) {
    if (have_ == sizeof frame_) have_ = 0;
    while (have_ < sizeof frame_) {
      auto* to = reinterpret_cast<std::byte*>(&frame_) + have_;
      const ssize_t count = ::read(in_.get(), to, sizeof frame_ - have_);
      if (count > 0) have_ += static_cast<std::size_t>(count);
      if (count > 0 || (count < 0 && errno == EINTR)) continue;
      if (count == 0) return IoResult::of(Outcome::closed);
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (!wait_ready(in_.get(), POLLIN, deadline)) return IoResult::of(Outcome::timed_out);
    }
    return frame_.size <= sizeof frame_.bytes ? IoResult::sent() : IoResult::failed(EBADMSG);
  }
  const Frame& frame() const { return frame_; }

 private:
  Descriptor in_, out_;
  Frame frame_{};
  std::size_t have_ = 0;
};

template <std::uint32_t window>
class Producer final : public Endpoint {
 public:
  explicit Producer(Line line) : line_(std::move(line)) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > contract.message_max) return IoResult::of(Outcome::too_large);
    for (; under_way_ == window; --under_way_) {
      const IoResult receipt = line_.get(deadline);
      if (receipt.outcome == Outcome::empty) return IoResult::of(Outcome::full);
      if (receipt.outcome != Outcome::ok) return receipt;
    }
    frame_.size = static_cast<std::uint32_t>(message.size());
    if (!message.empty()) std::memcpy(frame_.bytes.data(), message.data(), message.size());
    const IoResult result = line_.put(frame_, deadline);
    if (result.outcome == Outcome::ok) ++under_way_;
    return result;
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  SigpipeBlocked sigpipe_blocked_;
  Line line_;
  Frame frame_{};
  std::uint32_t under_way_ = 0;
};

class Consumer final : public Endpoint {
 public:
  explicit Consumer(Line line) : line_(std::move(line)) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const IoResult result = line_.get(deadline);
    if (result.outcome != Outcome::ok) return result;
    const Frame& frame = line_.frame();
    // A producer that left wants no receipt.
    const IoResult receipt = line_.put(frame, Deadline::never());
    if (receipt.outcome == Outcome::error) return receipt;
    if (frame.size > buffer.size()) return IoResult::failed(EBADMSG);
    std::memcpy(buffer.data(), frame.bytes.data(), frame.size);
    return IoResult::received(frame.size);
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  SigpipeBlocked sigpipe_blocked_;
  Line line_;
};

template <std::uint32_t window>
class MutualFullBuffers final : public Transport {
 public:
  MutualFullBuffers(const Options& options, std::vector<Descriptor> ends)
      : options_(options), ends_(std::move(ends)) {}

  void create() override {
    for (int i = 0; i < 2; ++i) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw_system_error("pipe2", options_.name);
      ends_.emplace_back(ends[0]);
      ends_.emplace_back(ends[1]);
      if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(frames_in_pipe * sizeof(Frame))) < 0) {
        throw_system_error("fcntl F_SETPIPE_SZ", options_.name);
      }
    }
  }

  std::vector<Descriptor> take_handles() override { return std::move(ends_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    const std::size_t in = role == Role::consumer ? 0 : 2;
    Line line(std::move(ends_.at(in)), std::move(ends_.at(3 - in)));
    ends_.clear();  // the peer's ends too, or no pipe ever ends
    if (role == Role::consumer) return std::make_unique<Consumer>(std::move(line));
    return std::make_unique<Producer<window>>(std::move(line));
  }

  void destroy() noexcept override { ends_.clear(); }

 private:
  const Options options_;
  std::vector<Descriptor> ends_;  // of the frames' pipe, of the receipts': to read, to write
};

template <std::uint32_t window>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<MutualFullBuffers<window>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<large_window>("mutual_full_buffers", "more under way than fits")),
    Registered(registration<frames_in_pipe>("mutual_full_buffers_twin", "receipts always fit")),
};

}  // namespace
}  // namespace ipctorture
