// For tests: small transports that are written beside them, over one pipe that workers inherit.
// They are part of the test program, so what they do to memory is not seen; their calls are.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {

inline constexpr std::uint32_t planted_bytes = 24;  // of every message

// One producer, one consumer, messages of one size. `Producer` and `Consumer` are endpoints that
// are made from their end of the pipe.
template <typename Producer, typename Consumer>
class Planted final : public Transport {
 public:
  Planted(const Options&, std::vector<Descriptor> handles) {
    if (handles.size() != 2) return;
    read_end_ = std::move(handles[0]);
    write_end_ = std::move(handles[1]);
  }
  void create() override {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", "a planted transport");
    read_end_ = Descriptor(ends[0]);
    write_end_ = Descriptor(ends[1]);
  }
  std::vector<Descriptor> take_handles() override {
    std::vector<Descriptor> handles;
    handles.push_back(std::move(read_end_));
    handles.push_back(std::move(write_end_));
    return handles;
  }
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    if (role == Role::producer) {
      read_end_.reset();
      return std::make_unique<Producer>(std::move(write_end_));
    }
    write_end_.reset();
    return std::make_unique<Consumer>(std::move(read_end_));
  }
  void destroy() noexcept override {}

 private:
  Descriptor read_end_, write_end_;
};

template <typename Producer, typename Consumer>
Registration planted() {
  return {.name = "planted",
          .summary = "of a test",
          .contract = {.delivery = Delivery::exactly_once,
                       .ordering = Ordering::per_producer,
                       .message_min = planted_bytes,
                       .message_max = planted_bytes,
                       .attach = AttachBy::inherited,
                       .deadline_now = false,
                       .deadline_at = false,
                       .accepted_survives_close = true},
          .make = make_transport<Planted<Producer, Consumer>>};
}

// Writes each message at once.
class PlainProducer : public Endpoint {
 public:
  explicit PlainProducer(Descriptor end) : end_(std::move(end)) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    const ssize_t count = ::write(end_.get(), message.data(), message.size());
    return count == ssize_t{planted_bytes} ? IoResult::sent() : IoResult::failed(EIO);
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EBADF); }
  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  Descriptor end_;
};

// Reads each message in as many pieces as it comes in.
class PlainConsumer : public Endpoint {
 public:
  explicit PlainConsumer(Descriptor end) : end_(std::move(end)) {}
  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EBADF);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline) override {
    std::size_t have = 0;
    while (have < planted_bytes) {
      const ssize_t count = ::read(end_.get(), buffer.data() + have, planted_bytes - have);
      if (count == 0) return IoResult::of(Outcome::closed);
      if (count < 0 && errno != EINTR) return IoResult::failed(errno);
      have += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    return IoResult::received(have);
  }
  IoResult close(Deadline) override { return IoResult::sent(); }

 protected:
  int end() const { return end_.get(); }

 private:
  Descriptor end_;
};

inline Scenario planted_scenario(const Registration& registration, std::uint64_t messages) {
  Scenario scenario = first_trial(registration).scenario;
  scenario.messages = messages;
  return scenario;
}

}  // namespace ipctorture::schedule
