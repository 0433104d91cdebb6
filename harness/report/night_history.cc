// The earlier nights: a file of JSON lines, one a night, that is read as hostile input and written
// anew each night. It carries when each failure was first seen.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/json_lines.h"
#include "harness/report/night.h"

namespace ipctorture {
namespace {

using Json = nlohmann::json;

constexpr std::string_view history_schema = "ipctorture-night/1";
constexpr std::size_t line_bytes_max = 1 << 20;

std::uint64_t count_in(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string line_in(const Json& json, std::string_view key) {
  return night_text(text_in(json, key));
}

void read_failures(const Json& json, NightFigures* figures) {
  const auto failures = json.find("failures");
  if (failures == json.end() || !failures->is_array()) return;
  for (const Json& one : *failures) {
    if (!one.is_object() || figures->failures.size() >= night_failures_max) continue;
    figures->failures[{line_in(one, "transport"), line_in(one, "fingerprint")}] = {
        .date = line_in(one, "first_date"), .commit = line_in(one, "first_commit")};
  }
}

// A night without a name could not be told from another.
std::optional<NightFigures> read_line(std::string_view line) {
  if (line.size() > line_bytes_max) return std::nullopt;
  const auto json = Json::parse(line, nullptr, false);
  if (!json.is_object() || text_in(json, "schema") != history_schema) return std::nullopt;
  NightFigures figures{
      .night = line_in(json, "night"),
      .date = line_in(json, "date"),
      .commit = line_in(json, "commit"),
      .exit_code = static_cast<int>(std::min<std::uint64_t>(count_in(json, "exit_code"), 255)),
      .used_s = static_cast<double>(count_in(json, "used_s")),
      .scenarios = count_in(json, "scenarios"),
      .schedules = count_in(json, "schedules"),
      .executions = count_in(json, "executions"),
      .coverage = count_in(json, "coverage"),
      .corpus_files = count_in(json, "corpus_files")};
  if (figures.night.empty()) return std::nullopt;
  read_failures(json, &figures);
  return figures;
}

}  // namespace

std::string history_line(const NightFigures& figures) {
  nlohmann::ordered_json json = {{"schema", history_schema},
                                 {"night", figures.night},
                                 {"date", figures.date},
                                 {"commit", figures.commit},
                                 {"exit_code", figures.exit_code},
                                 {"used_s", static_cast<std::uint64_t>(figures.used_s)},
                                 {"scenarios", figures.scenarios},
                                 {"schedules", figures.schedules},
                                 {"executions", figures.executions},
                                 {"coverage", figures.coverage},
                                 {"corpus_files", figures.corpus_files}};
  json["failures"] = nlohmann::ordered_json::array();
  for (const auto& [name, first] : figures.failures) {
    json["failures"].push_back({{"transport", name.first},
                                {"fingerprint", name.second},
                                {"first_date", first.date},
                                {"first_commit", first.commit}});
  }
  return json_line(json);
}

std::vector<NightFigures> read_history(std::string_view text, std::uint64_t* unread) {
  std::vector<NightFigures> nights;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (auto night = read_line(line)) {
      nights.push_back(std::move(*night));
    } else {
      ++*unread;
    }
  }
  if (nights.size() > night_history_lines_max) {
    nights.erase(nights.begin(), nights.end() - night_history_lines_max);
  }
  return nights;
}

std::string add_to_history(std::string_view text, const NightFigures& figures) {
  std::uint64_t unread = 0;
  std::vector<NightFigures> nights = read_history(text, &unread);
  std::erase_if(nights, [&](const NightFigures& one) { return one.night == figures.night; });
  nights.push_back(figures);
  const std::size_t first =
      nights.size() > night_history_lines_max ? nights.size() - night_history_lines_max : 0;
  std::string lines;
  for (std::size_t i = first; i < nights.size(); ++i) lines += history_line(nights[i]);
  return lines;
}

}  // namespace ipctorture
