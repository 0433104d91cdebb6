// The adapter: two small classes that every transport implements. docs/add-a-transport.md is the
// tutorial; transports/pipe.cc a lesson.
//
// Who calls what, in which process:
//   creator  Transport t(options, {}); unsupported(); create(); take_handles() ... destroy()
//   worker   Transport t(options, handles); attach(role, index, deadline) -> Endpoint
//            send/receive ...; close(deadline); ~Endpoint; ~Transport
// The creator process never attaches. A worker never calls create or destroy. Every process builds
// its own Transport object, never a forked copy. Each thread attaches an endpoint of its own; no
// object is ever used by two threads at once.
//
// Rules for adapters: resume what the kernel cut short (EINTR, short counts) until the deadline;
// never retry a refusal; never log, sleep, poll or check on behalf of the harness. While setting
// up, throw std::system_error that names the call and the object; on the data path answer with
// IoResult.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"
#include "harness/base/outcome.h"
#include "harness/base/prng.h"
#include "harness/transport/contract.h"

namespace ipctorture {

enum class Role : std::uint8_t { producer, consumer };
constexpr std::string_view to_string(Role role) {
  return role == Role::producer ? "producer" : "consumer";
}

// Everything a process needs to know to take part; a named transport can be attached to, and
// cleaned up after its creator's death, from Options alone.
struct Options {
  // Unique and unguessable, [a-z0-9-], at most 48 characters: prefix every name you make with it.
  std::string name;
  // Private to this run (0700), empty at the start; files and sockets go here. At most 64
  // characters.
  std::string directory;
  // Random; what has no mode (ports, signals) checks it. Also the source of System V keys.
  std::uint64_t token = 0;
  std::uint32_t producers = 1;  // how many will attach in all, over time
  std::uint32_t consumers = 1;
  std::uint32_t capacity =
      64;  // messages; binding where the contract has capacity_max, else a hint
  std::uint32_t message_max =
      0;  // largest message of this run, <= Contract::message_max; larger
          // ones (up to Contract::message_max + 1) may be refused as too_large
  std::uint64_t counter_start = 0;  // where free-running counters begin (often near 2^16 or 2^32)
};

// The key for the System V objects of a run (a segment, a queue and a semaphore set may share it):
// unguessable, never IPC_PRIVATE, and how the harness finds what was not removed.
inline key_t system_v_key(const Options& options) {
  return static_cast<key_t>(mix64(options.token) >> 33) | 1;
}

struct SendOptions {
  std::uint8_t priority = 0;
};

class Endpoint {
 public:
  Endpoint() = default;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  virtual ~Endpoint() = default;  // without close: an abrupt departure, as by a crash

  // Producer: ok (accepted), full, timed_out, closed, too_large, error; unknown if it cannot tell.
  virtual IoResult send(std::span<const std::byte> message, SendOptions options,
                        Deadline deadline) = 0;
  // Consumer: ok with size (and missed, priority), empty, timed_out, closed, error. The buffer
  // holds at least Options::message_max bytes.
  virtual IoResult receive(std::span<std::byte> buffer, Deadline deadline) = 0;
  // Orderly departure, by the deadline. The object is destroyed next, whatever the answer.
  virtual IoResult close(Deadline deadline) = 0;
};

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // Why it cannot run on this machine with these options ("mq_open: msgsize_max is 1024, needs
  // 8192"); empty: it can. Leaves nothing behind.
  virtual std::string unsupported() const { return {}; }
  // Creator only, before any worker attaches. Throws std::system_error and leaves nothing behind
  // then.
  virtual void create() = 0;
  // Creator, once after create(): hands over the descriptors that an inheriting worker needs. They
  // arrive in the workers' `handles` in the same order; the harness closes its own copies when all
  // workers have theirs. A worker owns the copies it is given (duplicates, close-on-exec).
  virtual std::vector<Descriptor> take_handles() { return {}; }
  // Worker: index counts within the role, from 0. Attaches run concurrently and in any order.
  // Throws std::system_error (ETIMEDOUT when the deadline passed waiting for a peer); after that it
  // may be tried again.
  virtual std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) = 0;
  // Creator, or whoever cleans up by Options after its death: removes every name. Idempotent; may
  // be called when nothing was created.
  virtual void destroy() noexcept = 0;
};

}  // namespace ipctorture
