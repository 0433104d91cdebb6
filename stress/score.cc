#include "stress/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/report/json_lines.h"
#include "harness/report/table.h"

namespace ipctorture {
namespace {

constexpr double soon_s = 5;

const ScoredRun* first_caught(const BugScore& bug) {
  const auto found =
      std::find_if(bug.bug.begin(), bug.bug.end(), [](const auto& run) { return run.caught; });
  return found == bug.bug.end() ? nullptr : &*found;
}

unsigned count(const std::vector<ScoredRun>& runs, bool ScoredRun::* what) {
  return static_cast<unsigned>(
      std::count_if(runs.begin(), runs.end(), [&](const auto& run) { return run.*what; }));
}

bool could_not_run(const BugScore& bug) {
  return !bug.bug.empty() && count(bug.bug, &ScoredRun::unsupported) == bug.bug.size();
}

std::string share_text(const Share& share) {
  return fmt::format("{} of {} ({:.0f} % to {:.0f} %)", share.of, share.all, share.low * 100,
                     share.high * 100);
}

std::string replay_text(const BugScore& bug) {
  const Replayed& replay = bug.replay;
  if (replay.attempts == 0) return "-";
  if (replay.exact && replay.hits == replay.attempts) return "exact";
  const Share share = share_of(replay.hits, replay.attempts);
  return fmt::format("{}/{} ({:.0f}-{:.0f} %)", replay.hits, replay.attempts, share.low * 100,
                     share.high * 100);
}

std::string seconds_text(const BugScore& bug) {
  const auto seconds = median_seconds(bug.bug);
  return seconds ? fmt::format("{:.1f} s", *seconds) : "-";
}

// The cells of one bug: the same for the terminal and the page.
std::vector<std::string> cells(const BugScore& bug) {
  const ScoredRun* caught = first_caught(bug);
  const std::string seeds =
      could_not_run(bug) ? "not run" : fmt::format("{}/{}", seeds_caught(bug), bug.bug.size());
  return {bug.name,
          seeds,
          seconds_text(bug),
          caught == nullptr ? "-" : caught->engine,
          caught == nullptr ? "-" : promise_of(caught->fingerprint),
          replay_text(bug),
          bug.size.empty() ? "-" : bug.size,
          fmt::format("{}/{}", false_alarms(bug), bug.twin.size())};
}

constexpr const char* titles[] = {"bug",    "caught", "after", "engine",
                                  "oracle", "replay", "size",  "twin blamed"};

struct Totals {
  std::uint64_t bugs = 0, caught = 0, soon = 0, not_run = 0;
  std::uint64_t runs = 0, runs_caught = 0, twins = 0, alarms = 0, inconclusive = 0, failed = 0;
};

Totals totals_of(const Score& score) {
  Totals t;
  for (const BugScore& bug : score.bugs) {
    t.failed += count(bug.bug, &ScoredRun::harness_failed);
    t.failed += count(bug.twin, &ScoredRun::harness_failed);
    if (could_not_run(bug)) {
      ++t.not_run;
      continue;
    }
    const bool often = reliably(seeds_caught(bug), bug.bug.size());
    ++t.bugs;
    t.caught += often ? 1 : 0;
    t.soon += often && median_seconds(bug.bug).value_or(soon_s) < soon_s ? 1 : 0;
    t.runs += bug.bug.size();
    t.runs_caught += seeds_caught(bug);
    t.twins += bug.twin.size();
    t.alarms += false_alarms(bug);
    t.inconclusive += count(bug.twin, &ScoredRun::inconclusive);
  }
  return t;
}

}  // namespace

Share share_of(std::uint64_t of, std::uint64_t all) {
  Share share{.of = of, .all = all};
  if (all == 0) return share;
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(all);
  const double p = static_cast<double>(of) / n;
  const double centre = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  share.low = std::max(0.0, (centre - half) / (1 + z * z / n));
  share.high = std::min(1.0, (centre + half) / (1 + z * z / n));
  return share;
}

std::optional<double> median_seconds(const std::vector<ScoredRun>& runs) {
  std::vector<double> seconds;
  for (const ScoredRun& run : runs) {
    if (run.caught) seconds.push_back(run.seconds);
  }
  if (seconds.empty()) return std::nullopt;
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  return seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
}

unsigned seeds_caught(const BugScore& bug) { return count(bug.bug, &ScoredRun::caught); }
unsigned false_alarms(const BugScore& bug) { return count(bug.twin, &ScoredRun::caught); }

std::string score_table(const Score& score, std::size_t width) {
  std::vector<Column> columns;
  constexpr unsigned importance[] = {9, 8, 7, 3, 4, 2, 1, 6};
  for (std::size_t i = 0; i < std::size(titles); ++i) {
    columns.push_back({.title = titles[i], .importance = importance[i]});
  }
  Table table(std::move(columns));
  for (const BugScore& bug : score.bugs) table.add(cells(bug));
  return table.text(width);
}

std::string score_totals(const Score& score) {
  const Totals t = totals_of(score);
  std::string text = fmt::format(
      "caught on at least four of five seeds: {}\n  of these within {:.0f} s (median): {}\n"
      "single runs that caught it: {}\ntwins blamed: {}; inconclusive: {}\n",
      share_text(share_of(t.caught, t.bugs)), soon_s, t.soon,
      share_text(share_of(t.runs_caught, t.runs)), share_text(share_of(t.alarms, t.twins)),
      t.inconclusive);
  if (t.not_run > 0) text += fmt::format("cannot run on this machine: {}\n", t.not_run);
  if (t.failed > 0) text += fmt::format("the harness failed: {} times\n", t.failed);
  return text;
}

std::string score_page(const Score& score) {
  std::string text = fmt::format(
      "# Scoreboard\n\n"
      "Written by `ipctorture score --page`, version {}, {}.\n{}\n\n"
      "Nearly every bug below once happened in real software (each file under "
      "`transports/faulty` says where). Each was run as `ipctorture run NAME`, with nothing that "
      "hints at the bug: {}, {} "
      "seed{}. *After* is the median time until it was reported and made small; *replay* is what "
      "`ipctorture replay` makes of the first failure's bundle; *size* is that of the failure; the "
      "last column counts the runs in which the correct twin was blamed.\n\n",
      score.version, score.date, score.machine, score.budget, score.seeds,
      score.seeds == 1 ? "" : "s");
  text += "|";
  for (const char* title : titles) text += fmt::format(" {} |", title);
  text += "\n|";
  for (std::size_t i = 0; i < std::size(titles); ++i) text += "---|";
  text += "\n";
  for (const BugScore& bug : score.bugs) {
    text += "|";
    for (const std::string& cell : cells(bug)) text += fmt::format(" {} |", cell);
    text += "\n";
  }
  text += "\nIn all, with 95 % intervals:\n\n";
  std::string totals = score_totals(score);
  for (std::size_t at = 0; at < totals.size();) {
    const std::size_t end = totals.find('\n', at);
    const std::size_t word = totals.find_first_not_of(' ', at);
    text += fmt::format("{}- {}\n", std::string(word - at, ' '), totals.substr(word, end - word));
    at = end + 1;
  }
  return text;
}

nlohmann::ordered_json run_json(const ScoredRun& run) {
  nlohmann::ordered_json json = {{"caught", run.caught}, {"seconds", run.seconds}};
  if (run.unsupported) json["unsupported"] = true;
  if (run.inconclusive) json["inconclusive"] = true;
  if (run.harness_failed) json["harness_failed"] = true;
  if (!run.caught) return json;
  json["engine"] = run.engine;
  json["fingerprint"] = run.fingerprint;
  json["what"] = run.what;
  json["bundle"] = run.bundle;
  return json;
}

std::string score_json(const BugScore& bug) {
  const auto runs = [](const std::vector<ScoredRun>& all) {
    auto list = nlohmann::ordered_json::array();
    for (const ScoredRun& run : all) list.push_back(run_json(run));
    return list;
  };
  nlohmann::ordered_json json = {
      {"schema", "ipctorture-score/1"}, {"bug", bug.name},
      {"runs", runs(bug.bug)},          {"twin", runs(bug.twin)},
      {"hits", bug.replay.hits},        {"attempts", bug.replay.attempts},
      {"exact", bug.replay.exact},      {"size", bug.size}};
  if (const auto seconds = median_seconds(bug.bug)) json["seconds"] = *seconds;
  return json_line(json);
}

}  // namespace ipctorture
