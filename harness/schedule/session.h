// One scenario under control, in this process and its children: sets the transport up, starts the
// lanes, runs schedules one after the other, and returns everything to the beginning in between.
//
// Backends: fibers in one address space (fast; only for transports whose contract says that
// endpoints may share one), or a process per worker (true private futexes, descriptors, statics,
// and SIGKILL). In both, attaching is not part of the schedule: lanes attach in order, and the
// first step comes after.
//
// A process has at most one Session at a time, since the lanes' memory, the arena and the control
// block are its own. It forks: construct it in a single-threaded process. Not thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/history/history.h"
#include "harness/scenario/scenario.h"
#include "harness/schedule/control.h"
#include "harness/transport/registry.h"

namespace ipctorture::schedule {

enum class Backend : std::uint8_t { fibers, processes };
constexpr std::string_view to_string(Backend backend) {
  return backend == Backend::fibers ? "fibers" : "processes";
}

// How one schedule is to be run.
struct Plan {
  Source source = Source::listed;
  std::vector<GlobalDeparture> listed;  // at most listed_max, by step
  Departures keyed;                     // Source::keyed
  std::vector<Step> expected;           // strict replay: the recorded trace, from step 1
  std::uint64_t seed = 0;               // of random sources
  std::uint32_t walk_one_in = 2;
  std::uint32_t priority_changes = 0;  // PCT
  std::uint32_t steps_guess = 200;     // PCT: how long a schedule is likely to be
  bool detect_races = true;
  bool weak_memory = false;
  bool questions = false;
  bool shortages = false;
  bool hostile = false;
  bool keep_log = false;
  std::uint32_t step_budget = 20'000;
};

// What the scenario's late lanes are for.
enum class LateLanes : std::uint8_t {
  come_anyway,  // they attach within the schedule
  succeed,      // each attaches when one of its role was killed, or not at all
};

class Session {
 public:
  // `options`: one per channel (scenario/options.h). Throws std::system_error.
  Session(const Scenario& scenario, const Registration& registration, Backend backend,
          std::vector<Options> options, LateLanes late_lanes = LateLanes::come_anyway);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Why it cannot run on this machine; empty: it can.
  std::string unsupported();
  // Runs one schedule. Never `ready`, `killed` or `running`. Throws when the harness fails.
  Ending run(const Plan& plan);
  // What happened, as the checkers want it; its spans point into the lanes: valid until the next
  // run.
  History history() const;
  // A hash of what the checkers could tell from it: equal hashes, equal verdicts.
  std::uint64_t history_hash() const;
  // The last schedule ended before all lanes were attached.
  bool ended_in_attach() const;
  const Control& state() const;
  // "lane 0", and those that the transport started: "thread of worker 0".
  std::vector<std::string> names() const;
  // What every lane waits for, a line each.
  std::vector<std::string> waiting() const;
  bool maps_shared_memory() const;
  // Returning to the start does without the kernel.
  bool returns_by_snapshot() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// Variables of the transport's shared object in which schedule after schedule goes on counting (a
// fuzzer's coverage): a return to the start leaves them as they are. For sessions that are made
// later; the bytes stay there.
void go_on_counting(std::span<std::byte> bytes);

}  // namespace ipctorture::schedule
