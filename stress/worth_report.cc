// How the worth of a pass is told: tables and totals for the terminal, a page, JSON lines.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/json_lines.h"
#include "harness/report/summary.h"
#include "harness/report/table.h"
#include "stress/score.h"
#include "stress/worth.h"

namespace ipctorture {
namespace {

using Json = nlohmann::ordered_json;
using Cells = std::vector<std::string>;

constexpr std::string_view json_schema = "ipctorture-score/1";

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "-" : fmt::format("{}", fmt::join(words, ", "));
}

template <typename Value>
std::vector<std::string> words_of(const std::vector<Value>& values) {
  std::vector<std::string> words;
  for (const Value value : values) words.emplace_back(to_string(value));
  return words;
}

// Two digits at the least, so that many scenarios are told from few: "1.5 %", "0.041 %", "100 %".
std::string percent(double share) {
  const double value = share * 100;
  const char* const form = value >= 10 ? "{:.0f} %" : value >= 1 ? "{:.1f} %" : "{:.2g} %";
  return fmt::format(fmt::runtime(form), value);
}

std::string name_of(const WorthRow& row) {
  return std::string(row.term ? to_string(*row.term) : to_string(row.promise));
}

// One table, for the terminal and for the page.
struct Sheet {
  std::vector<Column> columns;
  std::vector<Cells> rows;

  std::string text(std::size_t width) const {
    Table table(columns);
    for (const Cells& cells : rows) table.add(cells);
    return table.text(width);
  }
  std::string markdown() const {
    std::string text = "|", line = "|";
    for (const Column& column : columns) {
      text += fmt::format(" {} |", column.title);
      line += column.align == Align::right ? "--:|" : "---|";
    }
    text += "\n" + line + "\n";
    for (const Cells& cells : rows) {
      text += "|";
      for (const std::string& cell : cells) text += fmt::format(" {} |", cell);
      text += "\n";
    }
    return text;
  }
};

enum class Indent : std::uint8_t { no, yes };

Sheet promises_sheet(const Worth& worth, Indent indent) {
  Sheet sheet;
  sheet.columns = {{.title = "promise", .importance = 9},
                   {.title = "occasions", .align = Align::right, .importance = 3},
                   {.title = "scenarios", .align = Align::right, .importance = 6},
                   {.title = "breaks in <", .align = Align::right, .importance = 5},
                   {.title = "mutants", .importance = 7},
                   {.title = "verdict", .importance = 8}};
  for (const WorthRow& row : worth_rows(worth)) {
    const char* const before = !row.term ? "" : indent == Indent::yes ? "  " : "- ";
    sheet.rows.push_back({before + name_of(row), human_count(static_cast<double>(row.occasions)),
                          human_count(static_cast<double>(row.scenarios)),
                          percent(broken_share_max(row.scenarios)),
                          row.mutants == 0 ? "-" : fmt::format("{} of {}", row.caught, row.mutants),
                          std::string(to_string(row.verdict))});
  }
  return sheet;
}

std::string seconds_text(const MutantScore& mutant) {
  const auto seconds = median_seconds(mutant.runs);
  return seconds ? fmt::format("{:.1f} s", *seconds) : "-";
}

Sheet mutants_sheet(const Worth& worth) {
  Sheet sheet;
  sheet.columns = {{.title = "mutant", .importance = 9},
                   {.title = "caught", .importance = 8},
                   {.title = "by", .importance = 6},
                   {.title = "after", .align = Align::right, .importance = 5},
                   {.title = "engine", .importance = 1},
                   {.title = "breaks", .importance = 3}};
  for (const MutantScore& mutant : worth.mutants) {
    if (!mutant.applies()) continue;
    const auto first = std::ranges::find_if(mutant.runs, &ScoredRun::caught);
    const std::string caught = mutant.runs.empty()        ? "not run"
                               : is_caught(mutant, worth) ? "yes"
                                                          : "NO";
    sheet.rows.push_back({std::string(to_string(mutant.mutation)), caught,
                          joined(caught_by(mutant, worth)), seconds_text(mutant),
                          first == mutant.runs.end() ? "-" : first->engine,
                          joined(words_of(mutant.aim.promises))});
  }
  return sheet;
}

// What cannot matter, by its reason.
std::vector<std::string> not_applicable(const Worth& worth) {
  std::vector<std::string> lines;
  for (const MutantScore& mutant : worth.mutants) {
    if (mutant.applies()) continue;
    lines.push_back(fmt::format("{}: {}", to_string(mutant.mutation), mutant.aim.why_not));
  }
  return lines;
}

struct Totals {
  unsigned parts = 0, tried = 0;  // terms, and promises without
  unsigned mutants = 0, caught = 0, not_applicable = 0;
  const WorthRow* least = nullptr;  // that was tried least
};

Totals totals_of(const Worth& worth, const std::vector<WorthRow>& rows) {
  Totals t;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool has_terms = !rows[i].term && i + 1 < rows.size() && rows[i + 1].term;
    if (has_terms) continue;
    ++t.parts;
    if (rows[i].occasions == 0) continue;
    ++t.tried;
    if (t.least == nullptr || rows[i].scenarios < t.least->scenarios) t.least = &rows[i];
  }
  for (const MutantScore& mutant : worth.mutants) {
    if (!mutant.applies()) {
      ++t.not_applicable;
    } else {
      ++t.mutants;
      t.caught += is_caught(mutant, worth) ? 1 : 0;
    }
  }
  return t;
}

// In sentences, one a line.
std::vector<std::string> sentences(const Worth& worth) {
  if (worth.own.unsupported) {
    return {
        fmt::format("{} cannot run here: {}", worth.transport, worth.own.tally.unsupported_reason)};
  }
  const std::vector<WorthRow> rows = worth_rows(worth);
  const Totals t = totals_of(worth, rows);
  const std::uint64_t n = worth.own.tally.scenarios;
  std::vector<std::string> all;
  all.push_back(fmt::format(
      "A pass on {} is worth: {} scenarios, {} schedules under control; of what it promises, {} of "
      "{} parts had an occasion to be broken.",
      worth.transport, n, worth.own.tally.schedules, t.tried, t.parts));
  if (!worth.own.caught && n > 0) {
    all.push_back(fmt::format(
        "With 95 % confidence fewer than {} of such scenarios break anything that the oracles see.",
        percent(broken_share_max(n))));
  }
  if (t.least != nullptr && !worth.own.caught) {
    all.push_back(
        fmt::format("Tried least: {}, in {} scenario{}: up to {} of such scenarios may break it.",
                    name_of(*t.least), t.least->scenarios, t.least->scenarios == 1 ? "" : "s",
                    percent(broken_share_max(t.least->scenarios))));
  }
  std::vector<ScoredRun> runs;
  for (const MutantScore& mutant : worth.mutants) {
    runs.insert(runs.end(), mutant.runs.begin(), mutant.runs.end());
  }
  const auto median = median_seconds(runs);
  all.push_back(fmt::format(
      "{} of {} mutants were caught{}; {} cannot matter under its contract.", t.caught, t.mutants,
      median ? fmt::format(", half of them within {:.1f} s", *median) : "", t.not_applicable));
  for (const WorthRow& row : rows) {
    if (row.verdict == Verdict::pass || row.term) continue;
    all.push_back(fmt::format("{}: {}: {}.", name_of(row), to_string(row.verdict), row.why));
  }
  const bool doubtful = worth.own.tally.verdict == Verdict::inconclusive;
  if (doubtful && !worth.own.tally.inconclusive_reason.empty()) {
    all.push_back(fmt::format("{} of its scenarios were inconclusive, mostly: {}.",
                              worth.own.tally.inconclusive_scenarios,
                              worth.own.tally.inconclusive_reason));
  }
  if (!worth.own.tally.doubt.empty()) {
    all.push_back(fmt::format("Under control: {}.", worth.own.tally.doubt));
  }
  if (const unsigned failed = harness_failures(worth); failed > 0) {
    all.push_back(fmt::format("In {} of the runs the harness failed.", failed));
  }
  all.push_back(fmt::format("{}: {}", worth.transport, to_string(worth_verdict(worth))));
  return all;
}

// At blanks, so that lines are no wider where that is possible; later ones are indented.
std::string wrapped(const std::string& sentence, std::size_t width) {
  std::string text;
  std::size_t column = 0;
  for (std::size_t at = 0; at < sentence.size();) {
    const std::size_t end = std::min(sentence.find(' ', at), sentence.size());
    const std::string word = sentence.substr(at, end - at);
    if (column > 0 && column + 1 + text_width(word) > width) {
      text += "\n  ";
      column = 2;
    } else if (column > 0) {
      text += ' ';
      ++column;
    }
    text += word;
    column += text_width(word);
    at = end + 1;
  }
  return text + "\n";
}

}  // namespace

std::string worth_tables(const Worth& worth, std::size_t width) {
  if (worth.own.unsupported) return {};
  std::string text =
      promises_sheet(worth, Indent::yes).text(width) + "\n" + mutants_sheet(worth).text(width);
  const std::vector<std::string> idle = not_applicable(worth);
  if (!idle.empty()) text += "\nnot applicable:\n";
  for (const std::string& line : idle) text += wrapped("  " + line, width);
  return text;
}

std::string worth_totals(const Worth& worth, std::size_t width) {
  std::string text;
  for (const std::string& sentence : sentences(worth)) text += wrapped(sentence, width);
  return text;
}

std::string worth_page(const Worth& worth) {
  std::string text = fmt::format(
      "# What a pass on {0} is worth\n\n"
      "Written by `ipctorture score --transport {0} --page`, version {1}, {2}.\n{3}\n\n"
      "{0} was run for {4} as `ipctorture run {0}`, and each of its mutants (the transport made "
      "wrong in one way, `{0}__lose` and so on) for up to {5}. *occasions* counts how often the "
      "promise could have been broken, *scenarios* in how many; *breaks in <* is what is left "
      "open: with 95 % confidence fewer of such scenarios break it (about 3/n after n). *mutants*: "
      "how many of those that break it were caught.\n\n",
      worth.transport, worth.version, worth.date, worth.machine, human_duration(worth.time_ns),
      human_duration(worth.mutant_time_ns));
  if (!worth.own.unsupported) {
    text += promises_sheet(worth, Indent::no).markdown() + "\n" + mutants_sheet(worth).markdown();
    const std::vector<std::string> idle = not_applicable(worth);
    if (!idle.empty()) text += "\nNot applicable under its contract:\n\n";
    for (const std::string& line : idle) text += "- " + line + "\n";
    text += "\n";
  }
  for (const std::string& sentence : sentences(worth)) text += "- " + sentence + "\n";
  return text;
}

std::string mutant_json(const MutantScore& mutant, const Worth& worth) {
  Json json = {{"schema", json_schema},
               {"mutant", fmt::format("{}__{}", worth.transport, to_string(mutant.mutation))}};
  if (!mutant.applies()) {
    json["not_applicable"] = mutant.aim.why_not;
    return json_line(json);
  }
  json["breaks"] = words_of(mutant.aim.promises);
  json["terms"] = words_of(mutant.aim.terms);
  json["caught"] = is_caught(mutant, worth);
  json["by"] = caught_by(mutant, worth);
  json["runs"] = Json::array();
  for (const ScoredRun& run : mutant.runs) json["runs"].push_back(run_json(run));
  return json_line(json);
}

std::string worth_json(const Worth& worth) {
  std::string lines;
  const std::vector<WorthRow> rows = worth_rows(worth);
  for (const WorthRow& row : rows) {
    Json json = {{"schema", json_schema}, {"promise", to_string(row.promise)}};
    if (row.term) json["term"] = to_string(*row.term);
    json["occasions"] = row.occasions;
    json["scenarios"] = row.scenarios;
    json["broken_share_max"] = broken_share_max(row.scenarios);
    json["mutants"] = row.mutants;
    json["caught"] = row.caught;
    json["verdict"] = json_word(row.verdict);
    if (!row.why.empty()) json["why"] = row.why;
    lines += json_line(json);
  }
  const Totals t = totals_of(worth, rows);
  Json json = {{"schema", json_schema},
               {"transport", worth.transport},
               {"verdict", json_word(worth_verdict(worth))},
               {"scenarios", worth.own.tally.scenarios},
               {"schedules", worth.own.tally.schedules},
               {"parts", t.parts},
               {"tried", t.tried},
               {"mutants", t.mutants},
               {"caught", t.caught},
               {"not_applicable", t.not_applicable},
               {"run", run_json(worth.own)}};
  if (worth.own.unsupported) json["unsupported_reason"] = worth.own.tally.unsupported_reason;
  return lines + json_line(json);
}

}  // namespace ipctorture
