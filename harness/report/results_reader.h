// Reads results.jsonl, which `run --out` leaves (json_lines.h), and that of `explore` (explored.h):
// what `run --json` prints, as values again. Pure; the text is read as hostile input.
//
// Fields and events that are not known are skipped, fields that came later may be missing. A last
// line without its end, as a killed run leaves it, is no error. Texts come back fit for a terminal.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/report/explored.h"
#include "harness/report/json_lines.h"
#include "harness/report/tally.h"

namespace ipctorture {

inline constexpr std::size_t results_bytes_max = 64u << 20;  // of a file
inline constexpr std::size_t results_line_max = 4u << 20;

struct ResultLines {
  std::string file;       // that they were read from
  bool explored = false;  // of `explore`, else of `run`
  CampaignStart start;
  std::vector<Failure> failures;  // known ones too, by their verdict
  std::vector<std::pair<std::string, std::string>> harness_failures;  // transport, what
  std::vector<Failure> exact;              // events "exact": transport, fingerprint, bundle
  std::vector<std::string> holes;          // events "hole" of results that were merged
  CampaignTally tally;                     // of `run`
  std::vector<ExploreTally> explorations;  // of `explore`
  std::optional<int> exit_code;            // nothing: it has no end, the run was cut short
};

// `file` begins the message of errors: "shard-2/results.jsonl:17: start: seed: is missing". Throws
// std::invalid_argument; also when the first line is no start.
ResultLines read_results(std::string_view text, const std::string& file);

// The same as lines, in the order of a run's.
std::string results_text(const ResultLines& lines);

// `change` gets each path of a bundle that is not empty, as often as it is named.
void for_each_bundle(ResultLines* lines, const std::function<void(std::string*)>& change);

}  // namespace ipctorture
