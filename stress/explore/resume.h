// What an exploration got done, so that a later one goes on: `explore --resume FILE`. One JSON file
// (schema "ipctorture-explore-state/1"): seed, number of shards, which part of how many, and for
// each transport the trials that were completed and how many random rounds were begun. Trials are
// known by their names: one that changed with the program is done again. Read as hostile input.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace ipctorture {

struct ExploreState {
  std::uint64_t seed = 0;
  unsigned jobs = 0;
  unsigned part = 0, parts = 1;  // ExploreOptions
  struct Transport {
    std::set<std::string> complete;
    std::uint64_t rounds = 0;
  };
  std::map<std::string, Transport> transports;
};

// Nothing (jobs 0) when there is no such file. Throws UsageError that names the file and the place.
ExploreState read_explore_state(const std::string& path);
// Replaces the file in one step. Throws std::system_error.
void write_explore_state(const std::string& path, const ExploreState& state);

}  // namespace ipctorture
