#include "stress/cli/verdicts.h"

#include <algorithm>

namespace ipctorture {
namespace {

constexpr int attempts_max = 3;

// Of the details below the table: every reason to doubt is a want of occasions.
bool only_occasions_are_missing(const Ended& ended) {
  if (ended.exit_code != 2) return false;
  bool below_the_title = false;
  for (const std::string& line : lines_of(ended.out)) {
    if (!line.starts_with(" ")) below_the_title = line.ends_with(": inconclusive");
    const bool reason = below_the_title && line.starts_with("  ");
    if (reason && line.find("no occasion to break it in") == std::string::npos) return false;
  }
  return true;
}

}  // namespace

Ended run_until_decided(const Scratch& scratch, const std::vector<std::string>& arguments,
                        const Surroundings& surroundings) {
  Ended ended;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    ended = run_program(scratch, arguments, surroundings);
    if (ended.exit_code != 2 || only_occasions_are_missing(ended)) break;
  }
  return ended;
}

std::string disorder(const Ended& ended) {
  if (!ended.problem.empty()) return ended.problem;
  constexpr int known[] = {0, 1, 2, 3, 4, 64, 69, 130, 143};
  if (std::find(std::begin(known), std::end(known), ended.exit_code) != std::end(known)) return {};
  return "exit code " + std::to_string(ended.exit_code) + "\n" + ended.all();
}

std::string objection(const Ended& ended) {
  if (std::string found = disorder(ended); !found.empty()) return found;
  if (ended.exit_code == 0 || only_occasions_are_missing(ended)) return {};
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
