// short_read_desync: frames of [length | message] over an inherited pipe, whose reader forgets what
// a short read brought.
//
// The bug: read(2) may return less than was asked for. The reader takes that for "not yet", will
// try again later, and drops the bytes that it did get: the stream has lost them, and the next
// length is read from the middle of a frame.
// It fires at the first short read. A frame is written whole (at most PIPE_BUF) and so are the
// reads of its parts on an unhurried kernel: stress alone may never see it, injected short reads
// do. Seen in: grappa-irc #453, tlbx #25.
//
// The twin keeps what it has, in this receive and for the next, and reads on from there.
#include <fcntl.h>
#include <limits.h>
#include <poll.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "harness/transport/frame.h"
#include "harness/transport/registry.h"
#include "harness/transport/shared_stream.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .reports_closed = true,
    .exact_empty = true,
    .message_min = 0,
    .message_max = 2048,
    .attach = AttachBy::inherited,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

using Length = std::uint32_t;
using Frame = std::array<std::byte, sizeof(Length) + contract.message_max>;
static_assert(sizeof(Frame) <= PIPE_BUF);  // the kernel takes a frame whole or not at all

class Producer final : public Endpoint {
 public:
  Producer(Descriptor pipe, std::size_t message_max)
      : pipe_(std::move(pipe)), message_max_(message_max) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    Frame frame;
    const auto length = static_cast<Length>(message.size());
    std::memcpy(frame.data(), &length, sizeof length);
    if (length > 0) std::memcpy(frame.data() + sizeof length, message.data(), length);
    for (;;) {
      if (::write(pipe_.get(), frame.data(), sizeof length + length) >= 0) return IoResult::sent();
      if (errno == EINTR) continue;
      if (errno == EPIPE) return IoResult::of(Outcome::closed);
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (wait_ready(pipe_.get(), POLLOUT, deadline) == 0) return IoResult::of(Outcome::timed_out);
    }
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  SigpipeBlocked sigpipe_blocked_;
  Descriptor pipe_;
  std::size_t message_max_;
};

template <bool keeps>
class Consumer final : public Endpoint {
 public:
  explicit Consumer(Descriptor pipe) : pipe_(std::move(pipe)) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      Length length = 0;
      std::size_t wanted = sizeof length;
      if (have_ >= sizeof length) {
        std::memcpy(&length, frame_.data(), sizeof length);
        if (length > contract.message_max) return IoResult::failed(EBADMSG);
        if (length > buffer.size()) return IoResult::of(Outcome::too_large);
        wanted += length;
        if (have_ == wanted) {
          std::memcpy(buffer.data(), frame_.data() + sizeof length, length);
          have_ = 0;
          return IoResult::received(length);
        }
      }
      const ssize_t count = ::read(pipe_.get(), frame_.data() + have_, wanted - have_);
      if (count == 0) return IoResult::of(Outcome::closed);
      if (count > 0) {
        have_ += static_cast<std::size_t>(count);
        if (!keeps && have_ < wanted) have_ = 0;
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return IoResult::failed(errno);
      if (deadline.is_now()) return IoResult::of(Outcome::empty);
      if (wait_ready(pipe_.get(), POLLIN, deadline) == 0) return IoResult::of(Outcome::timed_out);
    }
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor pipe_;
  Frame frame_;
  std::size_t have_ = 0;  // bytes of the frame that were read
};

template <bool keeps>
class ShortReadDesync final : public Transport {
 public:
  ShortReadDesync(const Options& options, std::vector<Descriptor> ends)
      : options_(options), ends_(std::move(ends)) {}

  void create() override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw_system_error("pipe2", options_.name);
    ends_.emplace_back(ends[0]);
    ends_.emplace_back(ends[1]);
  }

  std::vector<Descriptor> take_handles() override { return std::move(ends_); }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    Descriptor mine = std::move(ends_.at(role == Role::consumer ? 0 : 1));
    ends_.clear();  // the peer's end too, or the stream never ends
    if (role == Role::consumer) return std::make_unique<Consumer<keeps>>(std::move(mine));
    return std::make_unique<Producer>(std::move(mine), options_.message_max);
  }

  void destroy() noexcept override { ends_.clear(); }

 private:
  const Options options_;
  std::vector<Descriptor> ends_;
};

template <bool keeps>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<ShortReadDesync<keeps>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("short_read_desync", "drops what a short read brought")),
    Registered(registration<true>("short_read_desync_twin", "reads on after a short read")),
};

}  // namespace
}  // namespace ipctorture
