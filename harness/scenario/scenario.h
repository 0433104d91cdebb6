// One experiment as a plain value: enough, with the transport's code, to do it again.
//
// Trivially copyable, so that it reaches pooled workers by memcpy and fuzzers can overlay it; as
// text it is JSON (codec.h). Whoever makes one from outside data calls scenario_faults before
// running it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "harness/transport/contract.h"
#include "harness/transport/transport.h"

namespace ipctorture {

enum class Workload : std::uint8_t {
  stream,         // producers send, consumers receive
  request_reply,  // channel 0 carries requests, channel 1 replies; clients wait for each reply
                  // (window)
  broadcast,      // every consumer receives everything
  latest_value,   // producers publish, consumers watch
};
constexpr std::string_view to_string(Workload w) {
  constexpr std::string_view names[] = {"stream", "request_reply", "broadcast", "latest_value"};
  return names[static_cast<unsigned>(w) % 4];
}

enum class Launch : std::uint8_t {
  fork,  // forked from the zygote
  exec,  // separate programs that know nothing of each other but a name
};
constexpr std::string_view to_string(Launch l) { return l == Launch::fork ? "fork" : "exec"; }

enum class Pinning : std::uint8_t { none, one_core, spread };
constexpr std::string_view to_string(Pinning p) {
  constexpr std::string_view names[] = {"none", "one_core", "spread"};
  return names[static_cast<unsigned>(p) % 3];
}

// How often (per mille of operations) a side uses each kind of deadline; the rest is `never`.
struct DeadlineMix {
  std::uint16_t now_permille = 0;
  std::uint16_t at_permille = 0;
  std::uint32_t at_us = 1000;  // how far ahead
  bool operator==(const DeadlineMix&) const = default;
};

// What a side does between operations, drawn per operation.
struct Noise {
  std::uint16_t yield_permille = 0;
  std::uint16_t spin_permille = 0;
  std::uint16_t sleep_permille = 0;
  std::uint32_t spin_max_ns = 1000;
  std::uint32_t sleep_max_us = 100;
  bool operator==(const Noise&) const = default;
};

// What is done to the workers while they are at it, from outside (launch/nemesis.h) or to the calls
// of the transport (launch/failing_calls.h); when and to whom is drawn from the scenario's seed.
struct Faults {
  // So many workers of the role are killed with SIGKILL. Each death lets the next late one of its
  // role in, as its successor: these come for no other reason then.
  std::uint32_t producer_kills = 0;
  std::uint32_t consumer_kills = 0;
  bool same_identity = false;  // a successor attaches with the index of the one it succeeds
  std::uint32_t pauses = 0;    // some worker is stopped (SIGSTOP) for pause_us and goes on
  std::uint32_t pause_us = 0;  // longer than deadlines, or than the progress bound: as drawn
  // Signals to some thread each, storm_gap_us apart; their handler does nothing and restarts no
  // call (no SA_RESTART).
  std::uint32_t signals = 0;
  std::uint32_t signal_gap_us = 200;
  // Limits of each worker, set before it attaches; 0: as they are.
  std::uint32_t spare_descriptors = 0;  // RLIMIT_NOFILE: so many above those that are open
  std::uint32_t spare_signals = 0;      // RLIMIT_SIGPENDING: so many above those now pending
  std::uint32_t queue_bytes = 0;        // RLIMIT_MSGQUEUE
  // Of 10,000 calls inside the transport's operations so many, where the call allows it
  // (base/call_errors.h): fail as on a machine that is full; are short, or interrupted (EINTR).
  std::uint32_t failing_calls = 0;
  std::uint32_t short_calls = 0;
  bool operator==(const Faults&) const = default;

  bool kills() const { return producer_kills + consumer_kills > 0; }
  bool limits() const { return spare_descriptors + spare_signals + queue_bytes > 0; }
  bool calls() const { return failing_calls + short_calls > 0; }
  bool any() const { return kills() || limits() || calls() || pauses + signals > 0; }
};

inline constexpr unsigned workers_max = 32;  // threads over all workers, successors not counted
inline constexpr unsigned lives_max = 255;   // lanes of a role, successors counted
inline constexpr unsigned lanes_in_all_max = workers_max + lives_max;
inline constexpr unsigned sizes_max = 16;
inline constexpr std::uint64_t messages_max = 1u << 26;  // per producer

struct Scenario {
  static constexpr std::uint32_t current_version = 1;
  std::uint32_t version = current_version;
  std::array<char, 48> transport{};  // zero-terminated name
  std::uint64_t seed = 0;            // of every draw that the workers make
  Workload workload = Workload::stream;
  Launch launch = Launch::fork;
  bool fresh_workers = true;    // fork: new processes; otherwise from the pool
  std::uint32_t producers = 1;  // request_reply: clients
  std::uint32_t consumers = 1;  // request_reply: servers
  std::uint32_t threads = 1;    // per worker process: roles fill processes in groups of this many
  std::uint64_t messages = 10;  // per producer
  std::uint32_t size_count = 1;
  std::array<std::uint32_t, sizes_max> sizes{64};  // each message draws one of the first size_count
  std::uint32_t capacity = 64;                     // Options::capacity
  std::uint64_t counter_start = 0;                 // Options::counter_start
  DeadlineMix send_deadlines;
  DeadlineMix receive_deadlines;
  Noise producer_noise;
  Noise consumer_noise;
  Pinning pinning = Pinning::none;
  std::uint32_t nice_max = 0;        // worker i runs at nice (i * 7 % (nice_max + 1))
  std::uint32_t starved_worker = 0;  // 1 + index of a worker that sleeps sleep_max_us after every
                                     // operation during the middle third of its quota; 0: none
  std::uint32_t burst = 0;           // messages between pauses of a producer; 0: none
  std::uint32_t burst_pause_us = 0;
  std::uint32_t consumer_delay_us = 0;  // after every receive: a slow consumer
  // Before the workload: producers send until full (or the first gap, or the end) while consumers
  // wait.
  bool fill_first = false;
  // After this many of its messages a producer waits until everything was received, then gap_ms
  // more.
  std::uint64_t gap_after = 0;  // 0: no gap
  std::uint32_t gap_ms = 0;
  bool handoff = false;              // at the end each consumer alone is handed one message
  std::uint32_t late_consumers = 0;  // the last so many consumers attach when half was sent
  std::uint32_t late_producers = 0;  // likewise producers
  std::uint32_t early_producers =
      0;  // the first so many producers send a tenth of their quota and leave
  std::uint32_t early_consumers =
      0;  // the first so many consumers leave after a tenth of what would be their share
  std::uint16_t repeat_permille = 0;  // latest value: how often identical content is written again
  std::uint16_t oversize_permille =
      0;                         // extra sends of message_max + 1 bytes, which must be refused
  std::uint32_t window = 1;      // request_reply: requests in flight per client
  bool count_resources = false;  // workers count their descriptors and mappings (about 0.2 ms each)
  Faults faults;
  bool operator==(const Scenario&) const = default;

  std::string_view transport_name() const { return std::string_view(transport.data()); }
  void set_transport(std::string_view name);  // throws std::invalid_argument when it does not fit
  std::uint32_t largest_message() const;      // of sizes
  unsigned channels() const { return workload == Workload::request_reply ? 2 : 1; }
  unsigned lanes() const { return producers + consumers; }
  // So many indices are attached with, over time.
  std::uint32_t identities(Role role) const {
    const bool produces = role == Role::producer;
    const std::uint32_t all = produces ? producers : consumers;
    const std::uint32_t late = produces ? late_producers : late_consumers;
    return faults.same_identity ? all - std::min(all, late) : all;
  }
  // The late ones of this role come only when one of it was killed.
  bool late_are_successors(Role role) const {
    return (role == Role::producer ? faults.producer_kills : faults.consumer_kills) > 0;
  }
};
static_assert(std::is_trivially_copyable_v<Scenario>);

// Why this scenario must not be run over a transport of this contract (too many producers, a size
// above the maximum, a gap without a handover that can end it ...), one sentence each; empty: it is
// valid. Bounds every field, so that a hostile scenario cannot exhaust the machine.
std::vector<std::string> scenario_faults(const Scenario& scenario, const Contract& contract);

// The faults in words, "2 producers killed, 40 signals"; empty when there are none.
std::string fault_words(const Faults& faults);

// The least spare_descriptors with which every worker can keep the contract: its peers', and some
// of its own.
std::uint32_t spare_descriptors_least(const Scenario& scenario);

// About how long it takes at least, from its pauses alone: for budgets.
std::int64_t planned_pause_ns(const Scenario& scenario);

}  // namespace ipctorture
