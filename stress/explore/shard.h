// One shard of an exploration: a process on one core that goes through the trials, and the board in
// shared memory on which it tells what it did. Everything on a board is read with bounds: a
// transport under test may have scribbled over it.
#pragma once

#include <atomic>
#include <cstdint>

#include "harness/check/verdict.h"
#include "stress/explore/explore_transport.h"

namespace ipctorture {

inline constexpr unsigned trials_max = 64;
inline constexpr std::uint32_t found_text_max = 1u << 16;
inline constexpr std::size_t known_max = 256;  // of one transport

// How often a known failure was seen: of ExploreOptions::known the one with the same index.
struct KnownSightings {
  std::atomic<std::uint64_t> histories{0};
  char what[400] = {};  // the first time; complete once `histories` is not 0
};

enum class TrialState : std::uint8_t { not_begun, partly, exhausted };

struct ShardBoard {
  std::atomic<std::uint64_t> schedules{0}, points{0}, kill_points{0}, over_budget{0};
  std::atomic<std::uint64_t> shared_accesses{0}, distinct{0}, kernel_calls{0};
  std::atomic<std::int64_t> in_processes_ns{0};
  std::atomic<std::uint32_t> trial{0};   // that it is at
  std::atomic<std::uint64_t> rounds{0};  // random ones begun
  std::atomic<std::uint32_t> found{0};   // 1: the fields below are complete
  std::atomic<std::uint32_t> maps_shared_memory{0};
  std::atomic<TrialState> state[trials_max];
  std::uint64_t occasions[promise_count] = {};
  std::uint32_t found_trial = 0;
  std::uint64_t found_seed = 0;  // of its scenario
  bool found_races = true;       // were looked for
  KnownSightings known[known_max];
  char departures[found_text_max] = {};
  char fingerprint[256] = {};
  char uncontrolled[256] = {};
  char unsupported[256] = {};
  char failure[256] = {};  // of the harness
};

// In a forked child: never returns. `until`: when it stops by itself.
[[noreturn]] void live_as_shard(const Registration& registration,
                                const std::vector<schedule::Trial>& trials,
                                const ExploreOptions& options, unsigned shard, Instant until,
                                ShardBoard& board, pid_t parent);

// Of the worst violation; empty: there is none.
std::string controlled_fingerprint(const Judgement& judgement);
// A violation with this fingerprint is among the findings: the same failure.
bool shows(const Judgement& judgement, const std::string& fingerprint);

}  // namespace ipctorture
