// The lanes of one process, whichever backend: their fibers, and for a worker process its life
// between batons. Internal to session.cc.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "harness/schedule/choices.h"
#include "harness/schedule/fiber.h"
#include "harness/schedule/lane_variables.h"
#include "harness/schedule/snapshot.h"
#include "harness/transport/registry.h"

namespace ipctorture::schedule {

// What a process with a baton is to do.
enum class ProcessCommand : std::uint32_t { run = 0, save, quit };

// What lanes need beside the Setting. One per process; inherited by forked workers.
struct Crew {
  const Registration* registration = nullptr;
  std::vector<Options> options;                                    // [channel]
  std::vector<std::vector<std::vector<Descriptor>>> lane_handles;  // [lane][channel]
  const void* code = nullptr;                  // an address in the transport's shared object
  std::vector<std::span<std::byte>> counting;  // session.h, go_on_counting(); sorted
  unsigned process = 0;                        // ours; of the session with fibers: 0
  bool forked = false;                         // this is a worker process, or a child of one
  bool is_child = false;                       // ... that the transport started
  Fiber main;
  Fiber fiber[lanes_max];
  LaneVariables variables;
  Snapshot snapshot;
  std::uint32_t generation = 0;  // of the lanes' state here; see ProcessState
};
extern Crew crew;

// In shared memory: which state the lanes of every process are to be in before they run on.
struct ProcessState {
  std::uint32_t generation = 0;  // a process that has another one first returns to
  bool from_snapshot = false;    // ... its snapshot, or to the very beginning
  bool shared_restored = false;  // somebody has put shared memory back
  bool saved = true;             // all snapshots were taken
};
extern ProcessState* process_state;

// Installs the handover between lanes (scheduler.h).
void install_handover();
// Brings the lanes of this process to the state that process_state asks for.
void renew_lanes();
bool save_lanes();
// The fiber of a new auxiliary lane of this process, which runs a thread of the transport's.
void prepare_thread(unsigned lane);
// In a process that the transport just started: the running lane goes on as `lane`, which leads the
// process, when that has its turn.
void live_as_child(unsigned lane, unsigned process, pid_t parent);
// The running lane's process ends, as by exit(3).
[[noreturn]] void leave_process(int status);
// A worker process, from its fork to its end.
[[noreturn]] void live_as_worker(unsigned process, pid_t parent);
// The session's process: runs lanes from Control::current on until the schedule is over.
void run_fibers();

void post(std::atomic<std::uint32_t>& word);
// Waits until `word` is posted, or for so long; false: it was not. ns < 0: for ever.
bool await(std::atomic<std::uint32_t>& word, std::int64_t ns);

}  // namespace ipctorture::schedule
