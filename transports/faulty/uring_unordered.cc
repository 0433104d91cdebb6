// uring_unordered: frames over an inherited pipe, written by io_uring.
//
// The bug: the producer has up to 8 writes under way and counts on their being done in the order in
// which they were submitted. The kernel promises that only of linked ones: a write that finds the
// pipe full waits aside, and one that is submitted when the reader has just made room goes first.
// It fires when the pipe is full and several writes are under way: under load, after a while.
// Seen in: liburing #1359.
//
// The twin has one write under way: the next is submitted when it is done.
//
// Both accept a message when its write is submitted, and wait in close() for the last.
#include <fcntl.h>
#include <limits.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"
#include "harness/transport/shared_stream.h"

#if __has_include(<liburing.h>)
#include <liburing.h>
#endif

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .reports_closed = true,
    .message_min = 0,
    .message_max = 2048,
    .attach = AttachBy::inherited,
    .accepted_survives_close = true,
};

#if __has_include(<liburing.h>)

// As frame.h says: length, message, 1.
struct Frame {
  bool under_way;
  std::array<std::byte, contract.message_max + frame_overhead> bytes;
};
static_assert(sizeof(Frame::bytes) <= PIPE_BUF);  // the kernel takes a frame whole or not at all

template <unsigned depth>
class Producer final : public Endpoint {
 public:
  explicit Producer(Descriptor pipe) : pipe_(std::move(pipe)) {
    const int error = -::io_uring_queue_init(depth, &ring_, 0);
    if (error != 0) throw_system_error("io_uring_queue_init", "", error);
  }
  ~Producer() override { ::io_uring_queue_exit(&ring_); }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > contract.message_max) return IoResult::of(Outcome::too_large);
    const int error = await(depth - 1, deadline);
    if (error == EAGAIN) return IoResult::of(Outcome::full);
    if (error == ETIME) return IoResult::of(Outcome::timed_out);
    if (error != 0) return IoResult::failed(error);
    if (error_ == EPIPE) return IoResult::of(Outcome::closed);
    if (error_ != 0) return IoResult::failed(error_);
    unsigned next = 0;
    while (frames_[next].under_way) ++next;
    Frame& frame = frames_[next];
    const auto length = static_cast<std::uint32_t>(message.size());
    std::memcpy(frame.bytes.data(), &length, sizeof length);
    if (length > 0) std::memcpy(frame.bytes.data() + sizeof length, message.data(), length);
    frame.bytes[sizeof length + length] = std::byte{1};
    io_uring_sqe* const write = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_write(write, pipe_.get(), frame.bytes.data(),
                          static_cast<unsigned>(length + frame_overhead), 0);
    ::io_uring_sqe_set_data(write, &frame);
    frame.under_way = true;
    ++under_way_;
    const int submitted = ::io_uring_submit(&ring_);
    return submitted > 0 ? IoResult::sent() : IoResult::unknown(-submitted);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline deadline) override {
    const int error = await(0, deadline);
    if (error == EAGAIN || error == ETIME) return IoResult::of(Outcome::timed_out);
    return error == 0 ? IoResult::sent() : IoResult::failed(error);
  }

 private:
  // Waits until no more than `most` writes are under way: 0, or an errno, EAGAIN for `now`, ETIME.
  int await(unsigned most, Deadline deadline) {
    for (io_uring_cqe* done = nullptr;;) {
      while (::io_uring_peek_cqe(&ring_, &done) == 0) settle(done);
      if (under_way_ <= most) return 0;
      if (::io_uring_sq_ready(&ring_) > 0) ::io_uring_submit(&ring_);  // it could not be before
      if (deadline.is_now()) return EAGAIN;
      int error;
      if (deadline.is_never()) {
        error = -::io_uring_wait_cqe(&ring_, &done);
      } else {
        const timespec left = deadline.remaining_timespec();
        __kernel_timespec wait{.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
        error = -::io_uring_wait_cqe_timeout(&ring_, &done, &wait);
      }
      if (error == ETIME && deadline.passed()) return ETIME;
      if (error != 0 && error != ETIME && error != EINTR && error != EAGAIN) return error;
    }
  }

  void settle(io_uring_cqe* done) {
    static_cast<Frame*>(::io_uring_cqe_get_data(done))->under_way = false;
    if (done->res < 0) error_ = -done->res;
    --under_way_;
    ::io_uring_cqe_seen(&ring_, done);
  }

  SigpipeBlocked sigpipe_blocked_;
  Descriptor pipe_;
  io_uring ring_{};
  std::array<Frame, depth> frames_{};
  unsigned under_way_ = 0;
  int error_ = 0;  // of a write that was accepted
};

template <unsigned depth>
class UringUnordered final : public Transport {
 public:
  UringUnordered(const Options& options, std::vector<Descriptor> ends)
      : options_(options), ends_(std::move(ends)) {}

  std::string unsupported() const override {
    io_uring ring{};
    const int error = -::io_uring_queue_init(depth, &ring, 0);
    if (error == 0) ::io_uring_queue_exit(&ring);
    if (error == 0) return {};
    return "io_uring_setup: " + std::generic_category().message(error) +
           " (see /proc/sys/kernel/io_uring_disabled; containers often forbid it)";
  }

  void create() override {
    int ends[2];
    // Blocking: a write of the ring waits for room, and does not fail for want of it.
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", options_.name);
    ends_.emplace_back(ends[0]);
    ends_.emplace_back(ends[1]);
    set_pipe_size(ends[1], options_);
  }

  std::vector<Descriptor> take_handles() override { return std::move(ends_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    Descriptor mine = std::move(ends_.at(role == Role::consumer ? 0 : 1));
    ends_.clear();  // the peer's end too, or the stream never ends
    if (role == Role::consumer) {
      return std::make_unique<StreamConsumer>(options_, std::move(mine), nullptr);
    }
    return std::make_unique<Producer<depth>>(std::move(mine));
  }

  void destroy() noexcept override { ends_.clear(); }

 private:
  const Options options_;
  std::vector<Descriptor> ends_;
};

#else

template <unsigned depth>
class UringUnordered final : public Transport {
 public:
  UringUnordered(const Options&, std::vector<Descriptor>) {}
  std::string unsupported() const override { return "built without liburing"; }
  void create() override { throw_system_error("create", "io_uring", ENOSYS); }
  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    throw_system_error("attach", "io_uring", ENOSYS);
  }
  void destroy() noexcept override {}
};

#endif

template <unsigned depth>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<UringUnordered<depth>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<8>("uring_unordered", "several writes under way, unlinked")),
    Registered(registration<1>("uring_unordered_twin", "one write under way")),
};

}  // namespace
}  // namespace ipctorture
