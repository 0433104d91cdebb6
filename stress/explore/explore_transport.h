// Explores one transport: shards, each a process on a core of its own, go through the trials; what
// one finds is confirmed by this process in real worker processes, made small, and told as an
// interleaving.
//
// A find of the fibers that processes do not reproduce is a failure of the harness, not dropped.
// Forks: call it in a single-threaded process. Nothing it starts outlives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "harness/check/verdict.h"
#include "harness/history/history.h"
#include "harness/schedule/trials.h"

namespace ipctorture {

struct ExploreOptions {
  std::string directory;  // private (0700), existing, of at most 46 characters
  std::int64_t time_ns = 60'000'000'000;
  std::uint64_t schedules = UINT64_MAX;  // of all shards of all parts together
  std::uint64_t seed = 0;
  unsigned jobs = 1;
  // Which part of the exploration is this one, of how many (0-based): together they run what one
  // with as many jobs as all of them has run, process by process, with the same seed and the same
  // budget of schedules. They need not have equally many jobs: then exhaustive trials are still
  // shared without gap or overlap.
  unsigned part = 0, parts = 1;
  // Of an earlier exploration that this one resumes: trials that are done, by name, and random
  // rounds that were begun.
  std::set<std::string> complete;
  std::uint64_t first_round = 0;
  // Fingerprints of failures that are no find: counted, and the search goes on past them. At most
  // 256.
  std::vector<std::string> known;
  const std::atomic<bool>* interrupted = nullptr;
};

struct ExploreProgress {
  std::uint64_t schedules = 0, points = 0, kill_points = 0;
  std::string now;  // the trial
};

// One step of an explained schedule.
struct ToldStep {
  schedule::Step step;
  const void* pc = nullptr;  // in the transport's code
  std::uint64_t value = 0;
};

struct ExploreFailure {
  schedule::Trial trial;  // as made small; always in processes
  schedule::Departures departures;
  std::vector<schedule::Step> trace;
  std::uint64_t trace_hash = 0;
  std::vector<ToldStep> told;
  Judgement judgement;
  History history;  // owns its records
  Options options;
  std::vector<std::string> lanes;    // "lane 0", ..., "thread of worker 0": of the transport's own
  std::vector<std::string> waiting;  // who waited for what when it ended
  std::size_t departures_found = 0;  // before it was made small
  std::string found_in;              // the trial's name
};

struct KnownSeen {
  std::string fingerprint;
  std::string what;             // the first time, in no worker processes perhaps
  std::uint64_t histories = 0;  // that showed it, told apart
};

struct TrialCoverage {
  std::string name;
  bool begun = false;
  bool exhausted = false;  // an exhaustive trial was completed by all shards
  bool exhaustive = false;
};

struct ExploreResult {
  std::string unsupported;      // why it cannot run here
  std::string uncontrolled;     // what could not be controlled, the first
  std::string harness_failure;  // exit 3
  bool interrupted = false;
  std::uint64_t schedules = 0, points = 0, kill_points = 0, distinct = 0, over_budget = 0;
  std::uint64_t shared_accesses = 0;
  bool maps_shared_memory = false;
  std::uint64_t rounds = 0;  // random ones begun, the earlier ones included
  std::int64_t elapsed_ns = 0, in_processes_ns = 0;
  std::vector<TrialCoverage> trials;
  std::array<std::uint64_t, promise_count> occasions{};
  std::vector<ExploreFailure> failures;
  std::vector<KnownSeen> known;  // those that were seen
};

ExploreResult explore_transport(const Registration& registration, const ExploreOptions& options,
                                const std::function<void(const ExploreProgress&)>& progress);

// One schedule, strictly or by its departures alone: what replay and regress do. Runs in worker
// processes.
struct ControlledRun {
  schedule::Ending ending{};
  std::string said;
  Judgement judgement;
  std::uint64_t trace_hash = 0;
  std::uint64_t schedules = 1;
};
ControlledRun run_schedule(const Registration& registration, const schedule::Trial& trial,
                           const schedule::Plan& plan, const std::string& directory);

// The same failure near given departures: with up to two more, with some left out, by kills
// elsewhere, and by random schedules. The judgement is empty when it was not found.
ControlledRun search_around(const Registration& registration, const schedule::Trial& trial,
                            const schedule::Departures& departures, const std::string& fingerprint,
                            const std::string& directory, std::int64_t patience_ns,
                            const std::atomic<bool>& stop);

}  // namespace ipctorture
