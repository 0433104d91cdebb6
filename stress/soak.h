// The soaks of a run (`run --soak`): after ordinary scenarios, which give every promise its
// occasion, each transport's time goes to one scenario that is repeated without end over the same
// endpoints. Every round counts as a scenario in the tables. After a violation, or an end that came
// early, another soak begins, with the next seed.
#pragma once

#include <functional>
#include <string>

#include "harness/run_soak.h"
#include "stress/campaign.h"

namespace ipctorture {

struct SoakTally {
  std::uint64_t soaks = 0, rounds = 0, messages = 0;
  std::int64_t flowed_ns = 0;  // of took_ns: messages flowed, rather than a verdict was awaited
  std::int64_t took_ns = 0;
  std::uint64_t memory_bytes = 0;  // the most that this process and its children held at a time
  std::string shape;               // of the last: "1x1, up to 64 B, capacity 8"
  std::string refusal;             // why there was none; empty: there was
};

// How a transport's time is divided: to soaks all but a tenth of it, which is 5 s at least (or
// half of the time) and a minute at most.
std::int64_t soak_share_ns(std::int64_t time_ns);

struct SoakListener {
  // Makes a result of a round, with bundles of what it found.
  std::function<CaseResult(const Case&, const ScenarioResult&)> result_of;
  std::function<void()> after_round;
  std::function<bool()> ended;  // asked after each round
};

SoakTally soak(Engine& engine, Campaign& campaign, std::size_t transport, Instant until,
               const SoakListener& listener);

std::string soak_shape(const Scenario& scenario);  // "1x1, up to 64 B, capacity 8"
std::string json_soak(const std::string& transport, const SoakTally& tally);
std::string soak_line(const std::string& transport, const SoakTally& tally);  // for people

// What this process and everything below it hold, shared pages by their share. Bytes; 0 where
// /proc does not say.
std::uint64_t memory_of_this_tree();

}  // namespace ipctorture
