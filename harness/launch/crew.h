// The worker processes of one engine, whichever way they are started. A worker is addressed by its
// number in the scenario (lane_plan.h); a worker runs one or more lanes, a thread each.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/history/lane.h"
#include "harness/launch/engine.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/registry.h"

namespace ipctorture {

// Everything the workers of one scenario share.
struct CrewJob {
  Scenario scenario;
  std::vector<Options> options;                  // [channel]
  std::vector<std::vector<Descriptor>> handles;  // [channel], of inherited transports
  StampSource stamp_source{};
  bool serialised = true;
  std::uint64_t journal_records = 0;  // per lane
  bool stays = false;                 // workers wait for further runs (LaneHeader::stays)
};

// How a worker ended: not in order. `status` is a wait status (0: it left in the middle); -1: it
// could not be started, `text` says why.
struct WorkerExit {
  unsigned worker = 0;
  int status = 0;
  std::string text;
};

// Processes that a transport left behind in workers that ended in order.
struct Strays {
  unsigned count = 0;
  std::string name;  // of one of them
};

class Crew {
 public:
  virtual ~Crew() = default;
  // Makes the lanes new and starts every worker. Handles stay the caller's. Throws
  // std::system_error.
  virtual void start(const CrewJob& job) = 0;
  // Valid from start() until the next start().
  virtual Lane lane(unsigned lane) const = 0;
  // How many records each lane has room for, whatever its header says: a worker may scribble there.
  virtual std::uint64_t lane_records() const = 0;
  // The worker has left its last operation and destroyed its objects, or is gone.
  virtual bool finished(unsigned worker) const = 0;
  // Sends SIGKILL, if it is still there. It is gone when finished() says so.
  virtual void kill(unsigned worker) = 0;
  // Sends a signal, if it is still there: to this thread of it, 0 means the whole process. Signals
  // to one worker, and its kill, arrive in the order in which they were sent.
  virtual void signal(unsigned worker, int signal, pid_t thread) = 0;
  // Every signal to the whole of this worker has been sent on, as collect_exits() has learnt.
  virtual bool delivered(unsigned worker) const = 0;
  // Workers that ended since the last call, by themselves or killed. A pooled worker that goes back
  // to the pool, and an orderly exit(0) after the work, are not reported.
  virtual std::vector<WorkerExit> collect_exits() = 0;
  // Sleeps until a worker says something or the deadline passes. May return early.
  virtual void wait(Deadline deadline) = 0;
  // Makes an order of the supervisor visible to a lane that waits for it.
  void give_order(Lane lane, std::uint32_t word) const;
  // Kills processes that workers started and left alone, after a grace of two seconds if there are
  // any, and says what it found. Call it between scenarios. Finds none of separate programs: their
  // orphans do not come to us.
  virtual Strays end_strays() = 0;
  // What the worker wrote to its standard output and error in this scenario (worker_output.h).
  virtual std::string output(unsigned worker) const = 0;
};

// Forked from a zygote that the constructor starts: call it in the main thread, early.
// `fresh_workers` of the scenario chooses between new processes and a pool.
std::unique_ptr<Crew> make_forked_crew();
// Separate programs (`worker_program worker`) that are told what to do over standard input, as
// docs/worker-protocol.md says. Their lanes are files in `directory`.
std::unique_ptr<Crew> make_exec_crew(const std::string& worker_program,
                                     const std::string& directory);

}  // namespace ipctorture
