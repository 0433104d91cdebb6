// What a worker process does with a job: builds its transports, works its lanes (a thread each),
// and accounts for its resources. Used by forked and by separately started workers.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/registry.h"

namespace ipctorture {

struct WorkerJob {
  const Scenario* scenario = nullptr;
  const Registration* registration = nullptr;
  std::vector<Options> options;                  // [channel]
  std::vector<std::vector<Descriptor>> handles;  // [channel]
  unsigned worker = 0;
  std::vector<Lane> lanes;  // of the whole scenario, by lane number; only this worker's are touched
  // Rung whenever a lane's state changes; null: the supervisor looks by itself.
  std::atomic<std::uint32_t>* bell = nullptr;
};

// What a storm sends: no transport of the project uses it.
inline constexpr int storm_signal = SIGUSR2;

// Returns when every lane of this worker is done or failed. Never throws.
void run_worker_job(WorkerJob job);

// Open descriptors of this process, the one used for counting left out; -1 where /proc is missing.
int count_descriptors();
// Mappings that other processes can see (MAP_SHARED) of objects that a transport may have made. The
// private ones of the allocator, of stacks and libraries come and go as they like; these do not.
int count_shared_mappings();

}  // namespace ipctorture
