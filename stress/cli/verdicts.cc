#include "stress/cli/verdicts.h"

#include <algorithm>

namespace ipctorture {
namespace {

// What a run of a few scenarios on a busy machine may say for itself: a want of occasions, or what
// the checkers saw of the load (check/timeline.cc, check/deadlines.cc).
bool excuses(const std::string& reason) {
  constexpr std::string_view known[] = {
      "no occasion to break it in", "; but others used ", "; but the machine was under ",
      "; but the machine was busy", "; but workers or the supervisor were kept from running"};
  return std::any_of(std::begin(known), std::end(known), [&](std::string_view words) {
    return reason.find(words) != std::string::npos;
  });
}

// Of the details below the table.
bool every_reason_excuses(const Ended& ended) {
  bool below_the_title = false, any = false;
  for (const std::string& line : lines_of(ended.out)) {
    if (!line.starts_with(" ")) below_the_title = line.ends_with(": inconclusive");
    const bool reason = below_the_title && line.starts_with("  ") && !line.starts_with("    ");
    if (reason && !excuses(line)) return false;
    any = any || reason;
  }
  return any;
}

}  // namespace

std::string disorder(const Ended& ended) {
  if (!ended.problem.empty()) return ended.problem;
  constexpr int known[] = {0, 1, 2, 3, 4, 64, 69, 130, 143};
  if (std::find(std::begin(known), std::end(known), ended.exit_code) != std::end(known)) return {};
  return "exit code " + std::to_string(ended.exit_code) + "\n" + ended.all();
}

std::string objection(const Ended& ended) {
  if (std::string found = disorder(ended); !found.empty()) return found;
  const bool doubt = ended.exit_code == 2 && every_reason_excuses(ended);
  if (ended.exit_code == 0 || doubt) return {};
  return "exit code " + std::to_string(ended.exit_code) + "\n" + ended.all();
}

std::vector<std::string> table_of(const Ended& ended) {
  std::vector<std::string> table;
  for (const std::string& line : lines_of(without_escapes(ended.out))) {
    if (line.starts_with("transport  ")) table.clear();
    if (line.empty() && !table.empty()) break;
    if (line.starts_with("transport  ") || !table.empty()) table.push_back(line);
  }
  return table;
}

std::string verdict_of(const Ended& ended, const std::string& transport) {
  for (const std::string& line : table_of(ended)) {
    if (line.starts_with(transport + " ")) return line.substr(line.rfind(' ') + 1);
  }
  return {};
}

}  // namespace ipctorture
