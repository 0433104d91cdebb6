// The free engine: starts workers (forked from a zygote, fresh or pooled, or as separate programs),
// directs them through a scenario, watches them, and brings home the history. The kernel schedules.
//
// One Engine runs one scenario at a time and is used by one thread; several engines run side by
// side. Construct engines early, in the main thread, while the process is small and
// single-threaded: the constructor forks the zygote. Nothing an engine starts outlives its process
// (PR_SET_PDEATHSIG).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "harness/history/history.h"
#include "harness/launch/soak.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/registry.h"

namespace ipctorture {

struct EngineOptions {
  std::string run_directory;  // private (0700), existing; scenario directories are made below it
  std::string
      worker_program;  // executable for Launch::exec ("/proc/self/exe"); empty: exec is refused
  std::uint64_t journal_records =
      1u << 16;  // per lane at the least; scenarios ask for more by themselves
  StampProperties stamps;
  bool always_fenced = false;  // stamps; otherwise only where a scenario's verdict needs it
  const std::atomic<bool>* interrupted = nullptr;  // polled; true ends the scenario early
  // How long create() and destroy() of a transport, which run in this process, may take.
  std::int64_t transport_patience_ns = 30'000'000'000;
};

// Figures for tables; from the journals.
struct Traffic {
  std::uint64_t accepted = 0, received = 0, bytes_received = 0;
  std::int64_t traffic_ns = 0;  // first invocation to last response
  std::int64_t check_ns = 0;    // set by run_scenario
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();  // ends every process it started
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Options under which the next scenario runs are fresh each time: a random token and names from
  // it.
  struct Run {
    Options options;
    History history;          // spans into the engine's lanes: valid until the next run
    std::string unsupported;  // non-empty: why it did not run
    Traffic traffic;
    Round round;  // of a soak: the last
  };
  Run run(const Scenario& scenario, const Registration& registration);

  // Who judges the rounds of a soak (soak.h).
  class RoundJudge {
   public:
    virtual ~RoundJudge() = default;
    // Takes a round that is not the last. False: no further one follows, and the last has
    // everything of this one and the end of the scenario. The history is valid until the call
    // returns.
    virtual bool take(Run&& round) = 0;
  };
  // The result is the last round.
  Run run(const Scenario& scenario, const Registration& registration, const Soak& soak,
          RoundJudge& judge);

  // What every worker does now, a line each; safe from any thread (for SIGUSR1 and the key `t`).
  std::string describe_workers() const;

  // Non-empty when the transport has kept this engine inside create() or destroy() beyond the
  // patience: what hangs, since when, and its stack. Nobody can end such a call: whoever hears of
  // it ends the process. Safe from any thread.
  std::string overdue() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace ipctorture
