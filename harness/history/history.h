// What happened in one scenario: every lane's records in their order, plus evidence from outside.
// The only input of the checkers. In memory the records stay where the workers wrote them.
//
// A History never owns a live lane: the engine copies or freezes lanes (their workers are gone or
// parked) before it hands them out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/base/clock.h"
#include "harness/history/event.h"

namespace ipctorture {

// What one worker thread did. `records` are complete but for the last one, which may be open.
struct LaneHistory {
  unsigned worker = 0;  // process
  unsigned thread = 0;  // within the process
  // Index within the role on each channel; -1: this lane has no such endpoint.
  std::vector<int> producer_on;  // [channel]
  std::vector<int> consumer_on;
  std::span<const Record> records;
  std::string name() const;  // "producer 0", "consumer 3", "client 1": for people
};

// A fact observed from outside a worker. `from`..`to` are stamps of the same clock as the records.
enum class Fact : std::uint8_t {
  asleep,           // lane: not runnable, no context switch, no new record throughout from..to;
                    // value: 1 when the operation it sleeps in has no deadline
  starved,          // lane: runnable but not running for `value` ns within from..to
  machine_stalled,  // the supervisor itself was not run for `value` ns, or the control group was
                    // throttled for so long (text says so)
  deadlocked,   // every thread of every worker asleep in an untimed wait, two samples 100 ms apart
  no_progress,  // nothing was completed from..to, and something was awaited
  killed,  // lane: ended by the harness with SIGKILL, sent at `from`; value: 1 when that was an
           // injected fault, 0 also at the end of the scenario; text: at what moment
  died,    // lane: ended by itself; value: wait status (signal or exit code), text: what it said
  worker_failed,  // lane: attach threw, or something else did; value: errno; text
  leaked,         // value: how many; text: what ("descriptors", "name /dev/shm/...")
  sanitizer,      // lane; text: first lines of the report
  waiting_in,     // lane: the stack or wait channel of the moment; text
  loaded,         // value: per mille of the machine's time that others used
  pressure,       // text: the kernel killed for want of memory
  interrupted,    // the person ended the run: whatever is missing is not the transport's fault
  truncated,      // the harness ended traffic early (journal full, time budget); value: lane
  not_started,    // lane: its worker could not be started; text: why
  shortage,       // lane: one of its calls was made to fail, as on a machine that is full; value:
                  // errno; text: the call
  paused,         // lane: its process was stopped (SIGSTOP) by the harness throughout from..to
  signalled,      // lane: `value` signals within from..to, whose handler does nothing
  limited,        // lane: ran under low limits; value: descriptors; text: all of them
  calls_cut,  // lane: `value` of its calls were cut short or interrupted; text: how many of each
};
inline constexpr unsigned fact_count = 21;
inline constexpr std::uint64_t killed_as_fault = 1;  // value of Fact::killed
std::string_view to_string(Fact fact);

struct Evidence {
  Fact fact{};
  int lane = -1;  // -1: the whole scenario
  Stamp from = 0;
  Stamp to = 0;
  std::uint64_t value = 0;
  std::string text;
};

// A message of an earlier round of a soak that nobody has received. Of channel 0.
struct Unreceived {
  std::uint8_t producer = 0;
  std::uint64_t sequence = 0;
  bool accepted = false;  // else nobody knows
  auto operator<=>(const Unreceived&) const = default;
};

struct History {
  std::vector<LaneHistory> lanes;
  std::vector<Evidence> evidence;
  StampProperties stamps;
  bool serialised = true;  // lanes' stamps were fenced
  unsigned channels = 1;
  // A round of a soak: earlier ones came before it, and it begins with every message received but
  // `unreceived` (ascending by producer and sequence). Where `unreceived_known` is false more may
  // be: nothing is claimed of them then.
  bool continues = false;
  std::vector<Unreceived> unreceived;
  bool unreceived_known = true;
  bool goes_on = false;  // further rounds follow
  // Keeps alive whatever the spans point into (mappings, or vectors loaded from a bundle).
  std::vector<std::shared_ptr<const void>> storage;

  std::int64_t ns(Stamp ticks) const {
    return static_cast<std::int64_t>(static_cast<double>(ticks) / stamps.ticks_per_ns);
  }
  bool has(Fact fact) const;
};

// With records of its own: it stays when the lanes are gone, or written on.
History detached(History history);

// Faults of form in a history: a response before its invocation, stamps running backwards within a
// lane, an open record that is not the last, an unknown op or outcome, a message beyond its lane's
// producers. Empty when well formed. Loaders refuse, the engine calls it a failure of the harness.
std::vector<std::string> history_faults(const History& history);

}  // namespace ipctorture
