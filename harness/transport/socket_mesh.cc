#include "harness/transport/socket_mesh.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "harness/transport/rendezvous.h"

namespace ipctorture {
namespace {

// Messages up to this size are offered to a full socket without asking: a unix socket takes them
// whole or not at all, and what TCP takes of one is small. A larger one is begun only where poll(2)
// promises room, so that a frame is rarely given up half-way.
constexpr std::size_t offered_max_bytes = 32 * 1024;
// Connections that have not said Hello; beyond that the oldest is dropped.
constexpr std::size_t strangers_max = 64;
// Connections accepted before the next look at those that are there.
constexpr unsigned accepted_at_once_max = 16;
constexpr unsigned shortages_borne = 100;  // of the kernel, by one hello
// How long strangers can hold up a `now` receive; within the slack of every contract.
constexpr std::chrono::milliseconds sorting_max{5};

bool means_closed(int error) {
  return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN;
}

// ppoll(2) until something is ready or the deadline passes: how many are ready.
int wait_any(std::span<pollfd> polled, Deadline deadline) {
  for (;;) {
    timespec left{};
    if (deadline.is_timed()) left = deadline.remaining_timespec();
    const int ready =
        ::ppoll(polled.data(), polled.size(), deadline.is_never() ? nullptr : &left, nullptr);
    if (ready > 0) return ready;
    if (deadline.passed()) return 0;
  }
}

IoResult nothing(Deadline deadline) {
  return IoResult::of(deadline.is_now() ? Outcome::empty : Outcome::timed_out);
}

IoResult write_packet(int socket, std::span<const std::byte> message, Deadline deadline) {
  const int flags = MSG_NOSIGNAL | (deadline.is_never() ? 0 : MSG_DONTWAIT);
  for (;;) {
    if (::send(socket, message.data(), message.size(), flags) >= 0) return IoResult::sent();
    if (errno == EAGAIN) {
      if (deadline.is_now()) return IoResult::of(Outcome::full);
      if (!wait_ready(socket, POLLOUT, deadline)) return IoResult::of(Outcome::timed_out);
    } else if (means_closed(errno)) {
      return IoResult::of(Outcome::closed);
    } else if (errno != EINTR) {
      return IoResult::failed(errno);
    }
  }
}

// False: the consumer is gone. A kernel without memory is asked again: others have been told.
bool say_hello(int socket, const Hello& hello) {
  std::span<const std::byte> rest = std::as_bytes(std::span(&hello, 1));
  for (unsigned shortages = 0; !rest.empty();) {
    const ssize_t count = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      rest = rest.subspan(static_cast<std::size_t>(count));
    } else if (means_closed(errno)) {
      return false;
    } else if (errno != EINTR && (errno != ENOBUFS || ++shortages == shortages_borne)) {
      throw_system_error("send", "hello");
    }
  }
  return true;
}

}  // namespace

void say_hello_to_all(std::vector<Descriptor>& sockets, const Options& options, unsigned producer) {
  const Hello hello{.token = options.token, .producer = producer};
  std::erase_if(sockets, [&](const Descriptor& s) { return !say_hello(s.get(), hello); });
}

// --- producer ------------------------------------------------------------------------------------

MeshProducer::MeshProducer(Wire wire, std::vector<Descriptor> sockets, std::size_t message_max)
    : wire_(wire), message_max_(message_max) {
  for (Descriptor& socket : sockets) outlets_.push_back({.socket = std::move(socket)});
}

IoResult MeshProducer::send(std::span<const std::byte> message, SendOptions, Deadline deadline) {
  if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
  if (wire_ == Wire::packets && message.empty()) return IoResult::failed(EINVAL);
  const bool offered = message.size() <= offered_max_bytes;
  for (;;) {
    if (outlets_.empty()) return IoResult::of(Outcome::closed);
    if (outlets_.size() == 1 && deadline.is_never()) {
      const IoResult result = write(outlets_[0], message, deadline);
      if (result.outcome == Outcome::closed) drop(0);
      return result;
    }
    if (offered) {
      const IoResult result = offer_to_each(message);
      if (result.outcome != Outcome::full || deadline.is_now()) return result;
    }
    const int writable = wait_writable(deadline);
    if (writable < 0) continue;  // somebody left: perhaps nobody is left
    if (writable == 0) return IoResult::of(deadline.is_now() ? Outcome::full : Outcome::timed_out);
    if (offered) continue;
    // From its first byte on the message belongs to one consumer, and waits for that one only.
    const IoResult result = write(outlets_[next_], message, deadline);
    if (result.outcome == Outcome::closed) {
      drop(next_);
      continue;
    }
    next_ = (next_ + 1) % outlets_.size();
    return result;
  }
}

// One try with every consumer, in turn: full when none has room.
IoResult MeshProducer::offer_to_each(std::span<const std::byte> message) {
  for (std::size_t tried = 0; tried < outlets_.size();) {
    if (next_ >= outlets_.size()) next_ = 0;
    const IoResult result = write(outlets_[next_], message, Deadline::now());
    if (result.outcome == Outcome::closed) {
      drop(next_);
      continue;
    }
    ++next_;
    if (result.outcome != Outcome::full) return result;
    ++tried;
  }
  return IoResult::of(outlets_.empty() ? Outcome::closed : Outcome::full);
}

IoResult MeshProducer::write(Outlet& outlet, std::span<const std::byte> message,
                             Deadline deadline) {
  if (wire_ == Wire::packets) return write_packet(outlet.socket.get(), message, deadline);
  return write_frame(outlet.socket.get(), StreamKind::socket, message, outlet.owed, deadline);
}

// Waits for room anywhere and gives the turn to the first in turn that has it. Returns 1, 0 at the
// deadline, and -1 when a consumer left, which shows here as its end of the stream.
int MeshProducer::wait_writable(Deadline deadline) {
  polled_.clear();
  for (const Outlet& outlet : outlets_) {
    polled_.push_back({.fd = outlet.socket.get(), .events = POLLOUT | POLLRDHUP, .revents = 0});
  }
  if (wait_any(polled_, deadline) == 0) return 0;
  const std::size_t before = outlets_.size();
  for (std::size_t i = before; i-- > 0;) {
    if ((polled_[i].revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0) drop(i);
  }
  if (outlets_.size() < before) return -1;
  if (next_ >= outlets_.size()) next_ = 0;
  while ((polled_[next_].revents & POLLOUT) == 0) next_ = (next_ + 1) % outlets_.size();
  return 1;
}

void MeshProducer::drop(std::size_t index) {
  outlets_.erase(outlets_.begin() + static_cast<std::ptrdiff_t>(index));
  if (next_ > index) --next_;
  if (next_ >= outlets_.size()) next_ = 0;
}

IoResult MeshProducer::receive(std::span<std::byte>, Deadline) { return IoResult::failed(EBADF); }

// There is nothing to flush: what was accepted is in the kernel, which delivers it after the
// descriptor and even the process are gone. A frame that was given up ends here unfinished; its
// reader discards it.
IoResult MeshProducer::close(Deadline) {
  for (const Outlet& outlet : outlets_) ::shutdown(outlet.socket.get(), SHUT_WR);
  outlets_.clear();
  return IoResult::sent();
}

// --- consumer ------------------------------------------------------------------------------------

MeshConsumer::MeshConsumer(Wire wire, Descriptor listener, Descriptor claim, const Options& options,
                           unsigned index, std::size_t message_max)
    : wire_(wire),
      listener_(std::move(listener)),
      claim_(std::move(claim)),
      options_(options),
      index_(index),
      message_max_(message_max),
      seen_(options.producers) {
  // accept(2) must never wait: who was announced by poll(2) may have gone again.
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_system_error("fcntl", "listening socket");
  }
}

IoResult MeshConsumer::send(std::span<const std::byte>, SendOptions, Deadline) {
  return IoResult::failed(EBADF);
}

IoResult MeshConsumer::receive(std::span<std::byte> buffer, Deadline deadline) {
  const Deadline patience = deadline.is_now() ? Deadline::in(sorting_max) : deadline;
  for (bool looked = false;; looked = true) {
    const IoResult taken = take_next(buffer);
    if (taken.outcome != Outcome::empty) return taken;
    if (inlets_.empty() && all_seen()) return IoResult::of(Outcome::closed);
    // There may always be something to read that is no message: strangers, bits of frames.
    if (looked && patience.passed()) return nothing(deadline);
    if (wire_ == Wire::frames && deadline.is_never() && all_seen() && inlets_.size() == 1) {
      const IoResult read = read_sole(inlets_[0], buffer);
      if (read.outcome != Outcome::closed) return read;
      continue;
    }
    const IoResult gathered = gather(deadline);
    if (gathered.outcome != Outcome::ok) return gathered;
  }
}

// The only stream there will ever be, and time: the frame reader waits better than poll(2) would.
IoResult MeshConsumer::read_sole(Inlet& inlet, std::span<std::byte> buffer) {
  const IoResult result =
      FrameReader(inlet.intake, {inlet.memory.get(), memory_bytes()}, message_max_)
          .read(inlet.socket.get(), buffer, Deadline::never());
  if (result.outcome == Outcome::closed || result.outcome == Outcome::error) {
    inlet.end();
    drop_ended();
  }
  return result;
}

// The next message that is already here, in turn; empty: there is none.
IoResult MeshConsumer::take_next(std::span<std::byte> buffer) {
  for (std::size_t tried = 0; tried < inlets_.size(); ++tried) {
    if (next_ >= inlets_.size()) next_ = 0;
    Inlet& inlet = inlets_[next_++];
    if (!inlet.memory) continue;
    const IoResult result = take(inlet, buffer);
    if (result.outcome == Outcome::error) {
      inlet.end();
      drop_ended();
    }
    if (result.outcome != Outcome::empty) return result;
  }
  return IoResult::of(Outcome::empty);
}

IoResult MeshConsumer::take(Inlet& inlet, std::span<std::byte> buffer) {
  if (wire_ == Wire::frames) {
    return FrameReader(inlet.intake, {inlet.memory.get(), memory_bytes()}, message_max_)
        .take(buffer);
  }
  if (inlet.packet_bytes == 0) return IoResult::of(Outcome::empty);
  if (inlet.packet_bytes > buffer.size()) return IoResult::of(Outcome::too_large);
  std::memcpy(buffer.data(), inlet.memory.get(), inlet.packet_bytes);
  return IoResult::received(std::exchange(inlet.packet_bytes, 0));
}

// Waits until somebody has something and reads it, once from each: ok; empty or timed_out at the
// deadline; error. Nothing that could be taken is left when this is called, so a connection that
// ends here has nothing more to give but perhaps the beginning of a frame that nobody accepted.
IoResult MeshConsumer::gather(Deadline deadline) {
  // The only connection there will ever be: let the read itself wait.
  const bool sole = all_seen() && inlets_.size() == 1;
  if (!sole || !deadline.is_never()) {
    polled_.clear();
    for (const Inlet& inlet : inlets_) {
      polled_.push_back({.fd = inlet.socket.get(), .events = POLLIN, .revents = 0});
    }
    if (!all_seen()) {
      polled_.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
    }
    if (wait_any(polled_, deadline) == 0) return nothing(deadline);
  }
  IoResult result = IoResult::sent();
  const std::size_t known = inlets_.size();
  for (std::size_t i = 0; i < known; ++i) {
    if (inlets_[i].ended || (!sole && polled_[i].revents == 0)) continue;
    const IoResult read = intake(inlets_[i]);
    if (read.outcome == Outcome::error) result = read;
  }
  if (!all_seen() && polled_.size() > known && polled_[known].revents != 0) {
    const IoResult accepted = accept_waiting();
    if (accepted.outcome == Outcome::error) result = accepted;
  }
  drop_ended();
  return result;
}

IoResult MeshConsumer::accept_waiting() {
  for (unsigned tried = 0; tried < accepted_at_once_max; ++tried) {
    Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.valid()) {
      // A connection that broke off while it waited is its own affair.
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return errno == EAGAIN ? IoResult::sent() : IoResult::failed(errno);
    }
    inlets_.push_back({.socket = std::move(socket)});
    hear_hello(inlets_.back());
    if (all_seen()) return IoResult::sent();
    const auto is_stranger = [](const Inlet& inlet) { return !inlet.memory && !inlet.ended; };
    if (std::count_if(inlets_.begin(), inlets_.end(), is_stranger) >
        static_cast<std::ptrdiff_t>(strangers_max)) {
      std::find_if(inlets_.begin(), inlets_.end(), is_stranger)->end();
    }
  }
  return IoResult::sent();
}

// Reads as much of Hello as is here.
void MeshConsumer::hear_hello(Inlet& inlet) {
  const ssize_t count = ::recv(inlet.socket.get(), inlet.hello.data() + inlet.hello_bytes,
                               sizeof(Hello) - inlet.hello_bytes, MSG_DONTWAIT);
  if (count <= 0) {
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) inlet.end();
    return;
  }
  inlet.hello_bytes += static_cast<std::size_t>(count);
  if (inlet.hello_bytes < sizeof(Hello)) return;
  Hello hello;
  std::memcpy(&hello, inlet.hello.data(), sizeof hello);
  if (hello.token != options_.token || hello.producer >= seen_.size() || seen_[hello.producer]) {
    inlet.end();
    return;
  }
  inlet.memory = std::make_unique_for_overwrite<std::byte[]>(memory_bytes());
  seen_[hello.producer] = true;
  if (std::find(seen_.begin(), seen_.end(), false) != seen_.end()) return;
  // In this order: who still finds the entry finds the port its own, or nobody there.
  Rendezvous::withdraw(options_, index_);
  listener_.reset();
  claim_.reset();
  for (Inlet& other : inlets_) {
    if (!other.memory) other.end();
  }
}

// Reads once from a connection that is ready, or whose turn it is to wait.
IoResult MeshConsumer::intake(Inlet& inlet) {
  if (!inlet.memory) {
    hear_hello(inlet);
    return IoResult::sent();
  }
  const IoResult result =
      wire_ == Wire::packets
          ? intake_packet(inlet)
          : FrameReader(inlet.intake, {inlet.memory.get(), memory_bytes()}, message_max_)
                .fill(inlet.socket.get());
  if (result.outcome == Outcome::closed || result.outcome == Outcome::error) inlet.end();
  return result;
}

IoResult MeshConsumer::intake_packet(Inlet& inlet) {
  ssize_t count;
  do {
    // MSG_TRUNC: the true length, even of a packet that is longer than the memory.
    count = ::recv(inlet.socket.get(), inlet.memory.get(), message_max_, MSG_TRUNC);
  } while (count < 0 && errno == EINTR);
  if (count == 0 || (count < 0 && means_closed(errno))) return IoResult::of(Outcome::closed);
  if (count < 0) return IoResult::failed(errno);
  if (static_cast<std::size_t>(count) > message_max_) return IoResult::failed(EMSGSIZE);
  inlet.packet_bytes = static_cast<std::size_t>(count);
  return IoResult::sent();
}

void MeshConsumer::drop_ended() {
  for (std::size_t i = inlets_.size(); i-- > 0;) {
    if (!inlets_[i].ended) continue;
    inlets_.erase(inlets_.begin() + static_cast<std::ptrdiff_t>(i));
    if (next_ > i) --next_;
  }
}

std::size_t MeshConsumer::memory_bytes() const {
  return wire_ == Wire::packets ? message_max_ : FrameReader::memory_bytes(message_max_);
}

// What was bound to this consumer and not received is lost with it.
IoResult MeshConsumer::close(Deadline) {
  inlets_.clear();
  listener_.reset();
  claim_.reset();
  return IoResult::sent();
}

}  // namespace ipctorture
