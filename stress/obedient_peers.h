// Tests only: producers and consumers that do one operation at a time, when they are told to, each
// in a process of its own: endpoints need not share an address space, and the test process never
// attaches (transport.h). They die with the test.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "harness/base/descriptor.h"
#include "harness/scenario/message.h"
#include "harness/transport/registry.h"

namespace ipctorture {

struct Order {
  enum class Kind : std::uint8_t { attach, send, receive, close } kind = Kind::attach;
  MessageId id;            // of a send
  std::uint32_t size = 0;  // likewise
  std::uint8_t priority = 0;
  std::int64_t patience_ns = 0;  // the deadline, from when the peer hears of it; 0: now
};

struct Answer {
  IoResult result;
  MessageId id;  // of what was received
  Content content = Content::intact;
  char failure[120] = {};  // why attach threw
};

class ObedientPeer {
 public:
  ObedientPeer(const Registration& registration, const Options& options,
               const std::vector<Descriptor>& handles, Role role, unsigned index) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      throw_system_error("socketpair", "");
    }
    ours_ = Descriptor(ends[0]);
    Descriptor theirs(ends[1]);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw_system_error("fork", "");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);
    ours_.reset();
    obey(registration, options, handles, role, index, theirs.get());
    ::_exit(0);
  }
  ObedientPeer(const ObedientPeer&) = delete;
  ObedientPeer& operator=(const ObedientPeer&) = delete;
  // Where it stands. (Its neighbours hold copies of our end: it would never hear that we are gone.)
  ~ObedientPeer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void tell(const Order& order) {
    if (::send(ours_.get(), &order, sizeof order, MSG_NOSIGNAL) != sizeof order) {
      throw std::runtime_error("a peer is gone");
    }
  }
  Answer hear() {
    Answer answer;
    if (::recv(ours_.get(), &answer, sizeof answer, 0) != sizeof answer) {
      throw std::runtime_error("a peer died");
    }
    return answer;
  }
  Answer ask(const Order& order) {
    tell(order);
    return hear();
  }

 private:
  static void obey(const Registration& registration, const Options& options,
                   const std::vector<Descriptor>& handles, Role role, unsigned index, int from) {
    ::signal(SIGPIPE, SIG_IGN);
    std::vector<Descriptor> mine;
    for (const Descriptor& handle : handles) {
      mine.push_back(own_descriptor(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0), "fcntl", ""));
    }
    // This process's copies of what the test holds: end-of-file must not wait for them.
    for (const Descriptor& handle : handles) ::close(handle.get());
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Endpoint> endpoint;
    std::vector<std::byte> buffer(options.message_max + 16);
    Order order;
    while (::recv(from, &order, sizeof order, 0) == sizeof order) {
      Answer answer;
      try {
        const Deadline deadline = order.patience_ns == 0
                                      ? Deadline::now()
                                      : Deadline::at(monotonic_now() + order.patience_ns);
        if (order.kind == Order::Kind::attach) {
          transport = registration.build(options, std::move(mine));
          endpoint = transport->attach(role, index, deadline);
          answer.result = IoResult::sent();
        } else {
          answer = done(*endpoint, options, order, deadline, buffer);
        }
        if (order.kind == Order::Kind::close) endpoint.reset();
      } catch (const std::exception& error) {
        answer.result = IoResult::failed(EIO);
        std::strncpy(answer.failure, error.what(), sizeof answer.failure - 1);
      }
      if (::send(from, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) break;
    }
    endpoint.reset();
    transport.reset();
  }

  static Answer done(Endpoint& endpoint, const Options& options, const Order& order,
                     Deadline deadline, std::vector<std::byte>& buffer) {
    Answer answer;
    if (order.kind == Order::Kind::close) {
      answer.result = endpoint.close(deadline);
    } else if (order.kind == Order::Kind::send) {
      std::vector<std::byte> message(order.size);
      compose_message(message, order.id, 0, options.token);
      answer.result = endpoint.send(message, {.priority = order.priority}, deadline);
    } else {
      answer.result = endpoint.receive(buffer, deadline);
      if (answer.result.outcome != Outcome::ok) return answer;
      const std::size_t size = std::min(answer.result.size, buffer.size());
      const Examined seen = examine_message(std::span(buffer).first(size), 0, options.token);
      answer.id = seen.id;
      answer.content = seen.content;
    }
    return answer;
  }

  Descriptor ours_;
  pid_t pid_ = -1;
};

}  // namespace ipctorture
