// What `explore` found out about one transport, as values: what its text, its JSON and the union of
// several parts (stress/merge.h) are made of.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "harness/check/verdict.h"

namespace ipctorture {

inline constexpr std::string_view explore_schema = "ipctorture-explore/1";

struct ExploreTally {
  std::string transport;
  std::string seed;  // "g1:..."
  std::uint64_t schedules = 0, points = 0, kill_points = 0;
  std::uint64_t distinct = 0;     // histories told apart, within each shard
  std::uint64_t over_budget = 0;  // schedules that were cut
  std::uint64_t shared_accesses = 0;
  bool maps_shared_memory = false;
  double seconds = 0, seconds_in_processes = 0;
  std::string uncontrolled, unsupported, harness_failure;  // empty: not so
  bool interrupted = false;
  struct Trial {
    std::string name;
    bool complete = false;    // by all
    bool exhaustive = false;  // else at random
    bool operator==(const Trial&) const = default;
  };
  std::vector<Trial> trials;  // that were begun
  std::array<std::uint64_t, promise_count> occasions{};
  struct Known {
    std::string fingerprint, what;
    std::uint64_t histories = 0;
  };
  std::vector<Known> known;
  struct Failure {
    std::string promise, fingerprint, what, departures, found_in, bundle;
    std::uint64_t departures_found = 0, messages = 0;
    bool operator==(const Failure&) const = default;
  };
  std::vector<Failure> failures;  // one at the most of an exploration, several of united ones
};

// Why a pass would claim too much; empty: it would not.
std::string explore_doubt(const ExploreTally& tally);
Verdict explore_verdict(const ExploreTally& tally);
// "  4000 schedules, ...": what was covered, without the failure.
std::string explore_coverage(const ExploreTally& tally);

// One line with its newline.
std::string json_explored(const ExploreTally& tally);
// From one; `json` was parsed from a stranger's text. Throws std::invalid_argument with `what`.
ExploreTally explored_from_json(const nlohmann::json& json, const std::string& what);

}  // namespace ipctorture
