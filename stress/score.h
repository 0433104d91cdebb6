// `ipctorture score`: what is the tool worth? Every transport with a planted bug, and its correct
// twin, goes through the default campaign (`run`) as a user would start it; counted are the bugs
// that are caught, how soon, by what, how well they replay, and the twins that are wrongly blamed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "stress/score_child.h"

namespace ipctorture {

struct Replayed {
  unsigned hits = 0, attempts = 0;
  bool exact = false;  // step by step, under control
};

struct BugScore {
  std::string name, summary;
  std::vector<ScoredRun> bug, twin;  // one per seed
  Replayed replay;                   // of the first bundle
  std::string size;                  // of the first failure: "2 departures, 3 messages"
};

struct Score {
  std::string version, machine, date, budget;
  unsigned seeds = 0;
  std::vector<BugScore> bugs;
};

// A share with its 95 % interval (Wilson, 1927).
struct Share {
  std::uint64_t of = 0, all = 0;
  double low = 0, high = 1;
};
Share share_of(std::uint64_t of, std::uint64_t all);
// On at least four of five seeds.
constexpr bool reliably(std::uint64_t caught, std::uint64_t runs) { return caught * 5 >= runs * 4; }
// The median of the runs that caught it; nothing: none did.
std::optional<double> median_seconds(const std::vector<ScoredRun>& runs);
unsigned seeds_caught(const BugScore& bug);
unsigned false_alarms(const BugScore& bug);

// The parts of docs/scoreboard.md, and of the terminal's table.
std::string score_page(const Score& score);
std::string score_table(const Score& score, std::size_t width);
std::string score_totals(const Score& score);
std::string score_json(const BugScore& bug);
nlohmann::ordered_json run_json(const ScoredRun& run);

}  // namespace ipctorture
