// Toys that a hostile peer breaks, one for each thing that its fuzz target must see: a pair of
// stream sockets, frames of [u32 length | message]. In the fuzz target's own tests only
// (hostile_peer_test.cc, fuzz_hostile_toys); `toy_sound` is their twin.
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

enum class Toy {
  sound,
  overreads,    // trusts the length, and copies from behind what it has
  overwrites,   // trusts the length, and copies behind the caller's buffer
  allocates,    // as much as the length says
  forgets,      // to free a frame that is too long
  repeats,      // an empty message for ever
  spins,        // waits for the rest of a frame by looking again and again
  keeps,        // descriptors that were passed
  throws_up,    // where it should answer
  answers_odd,  // with what no receive answers
};

constexpr Contract contract{
    .ordering = Ordering::total,
    .reports_closed = true,
    .message_min = 0,
    .message_max = 256,
    .attach = AttachBy::inherited,
    .hostile = Hostile::only_errors,
};
constexpr std::size_t header_bytes = sizeof(std::uint32_t);

class Producer final : public Endpoint {
 public:
  explicit Producer(Descriptor socket) : socket_(std::move(socket)) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > contract.message_max) return IoResult::of(Outcome::too_large);
    std::array<std::byte, header_bytes + contract.message_max> frame;
    const auto length = static_cast<std::uint32_t>(message.size());
    std::memcpy(frame.data(), &length, sizeof length);
    if (length > 0) std::memcpy(frame.data() + header_bytes, message.data(), length);
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (::send(socket_.get(), frame.data(), header_bytes + length, flags) >= 0) {
      return IoResult::sent();
    }
    return errno == EAGAIN ? IoResult::of(Outcome::full) : IoResult::of(Outcome::closed);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor socket_;
};

template <Toy toy>
class Consumer final : public Endpoint {
 public:
  explicit Consumer(Descriptor socket)
      : socket_(std::move(socket)),
        frame_(std::make_unique<std::byte[]>(header_bytes + contract.message_max)) {}

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      if (have_ >= header_bytes) {
        std::uint32_t length = 0;
        std::memcpy(&length, frame_.get(), sizeof length);
        if (length > contract.message_max) return too_long(buffer, length);
        if (length > buffer.size()) return IoResult::of(Outcome::too_large);
        if (have_ >= header_bytes + length) return take(buffer, length);
        if (toy == Toy::spins && length == contract.message_max) continue;
      }
      const ssize_t count = read_more();
      if (count > 0) {
        have_ += static_cast<std::size_t>(count);
        continue;
      }
      if (count == 0) return IoResult::of(Outcome::closed);
      if (errno == ECONNRESET) return IoResult::of(Outcome::closed);
      if (errno != EAGAIN && errno != EINTR) return IoResult::failed(errno);
      return IoResult::of(deadline.is_now() ? Outcome::empty : Outcome::timed_out);
    }
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  ssize_t read_more() {
    iovec part{.iov_base = frame_.get() + have_,
               .iov_len = header_bytes + contract.message_max - have_};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(4 * sizeof(int))> control{};
    if (toy == Toy::keeps) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
    }
    return ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  }
  IoResult take(std::span<std::byte> buffer, std::size_t length) {
    if (length > 0) std::memcpy(buffer.data(), frame_.get() + header_bytes, length);
    if (toy == Toy::repeats && length == 0) return IoResult::received(0);
    have_ -= header_bytes + length;
    std::memmove(frame_.get(), frame_.get() + header_bytes + length, have_);
    return IoResult::received(length);
  }
  IoResult too_long(std::span<std::byte> buffer, std::size_t length) {
    switch (toy) {
      case Toy::overreads: {
        unsigned sum = 0;
        for (std::size_t i = 0; i < length; ++i) sum += std::to_integer<unsigned>(frame_[i]);
        return IoResult::failed(sum == 0 ? EPROTO : EBADMSG);
      }
      case Toy::overwrites:
        if (length < buffer.size() + 32) std::memset(buffer.data(), 0, length);
        return IoResult::failed(EBADMSG);
      case Toy::allocates:
        frame_ = std::make_unique<std::byte[]>(length + header_bytes);
        return IoResult::failed(EBADMSG);
      case Toy::forgets:
        static_cast<void>(::operator new(64));  // a call that the compiler keeps
        return IoResult::failed(EBADMSG);
      case Toy::throws_up:
        throw std::length_error("a frame of " + std::to_string(length));
      case Toy::answers_odd:
        return IoResult::of(Outcome::full);
      default:
        return IoResult::failed(EBADMSG);
    }
  }

  Descriptor socket_;
  std::unique_ptr<std::byte[]> frame_;
  std::size_t have_ = 0;
};

template <Toy toy>
class ToyTransport final : public Transport {
 public:
  ToyTransport(const Options& options, std::vector<Descriptor> ends)
      : name_(options.name), ends_(std::move(ends)) {}
  void create() override {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw_system_error("socketpair", name_);
    }
    ends_.emplace_back(ends[0]);
    ends_.emplace_back(ends[1]);
  }
  std::vector<Descriptor> take_handles() override { return std::move(ends_); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    Descriptor mine = std::move(ends_.at(role == Role::consumer ? 0 : 1));
    ends_.clear();
    if (role == Role::consumer) return std::make_unique<Consumer<toy>>(std::move(mine));
    return std::make_unique<Producer>(std::move(mine));
  }
  void destroy() noexcept override { ends_.clear(); }

 private:
  const std::string name_;
  std::vector<Descriptor> ends_;
};

template <Toy toy>
Registered registered(std::string_view name) {
  return Registered({.name = name,
                     .summary = "a toy",
                     .contract = contract,
                     .make = make_transport<ToyTransport<toy>>});
}

const Registered all[] = {
    registered<Toy::sound>("toy_sound"),           registered<Toy::overreads>("toy_overreads"),
    registered<Toy::overwrites>("toy_overwrites"), registered<Toy::allocates>("toy_allocates"),
    registered<Toy::forgets>("toy_forgets"),       registered<Toy::repeats>("toy_repeats"),
    registered<Toy::spins>("toy_spins"),           registered<Toy::keeps>("toy_keeps"),
    registered<Toy::throws_up>("toy_throws"),      registered<Toy::answers_odd>("toy_answers_odd"),
};

}  // namespace
}  // namespace ipctorture
