#include "harness/report/night_page.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture {
namespace {

constexpr std::size_t trend_nights = 14;
constexpr std::size_t annotations_max = 10;

using Row = std::vector<PageCell>;
using Rows = std::vector<Row>;

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

std::string minutes(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.1f} min", seconds / 60);
}

Tone tone_of(Verdict verdict) {
  if (verdict == Verdict::violation) return Tone::bad;
  if (verdict == Verdict::pass) return Tone::good;
  return verdict == Verdict::unsupported ? Tone::plain : Tone::doubtful;
}

Tone tone_of(int exit_code) {
  if (exit_code == 0) return Tone::good;
  return exit_code == 1 || exit_code == 3 ? Tone::bad : Tone::doubtful;
}

std::string joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string rate_text(const NightFailure& failure) {
  if (!failure.rate) return "not measured";
  const HitRate& rate = *failure.rate;
  const std::string text = fmt::format("{}/{}", rate.reproduced, rate.attempts);
  return rate.exact ? text + ", exact" : text;
}

std::string first_text(const NightFailure& failure) {
  const std::string when = failure.first_date + " " + failure.first_commit;
  return failure.is_new ? "new: " + when
                        : fmt::format("{} (in {} earlier nights)", when, failure.nights);
}

double used_s(const Night& night) {
  double sum = 0;
  for (const NightStep& step : night.steps) {
    if (step.engine != "checks") sum += step.used_s;
  }
  return sum;
}

std::string budget_text(const Night& night) {
  const double used = used_s(night);
  std::string text = minutes(used);
  if (night.frame.budget_s > 0) {
    text += fmt::format(" of {} on running ({:.0f} %)", minutes(night.frame.budget_s),
                        100 * used / night.frame.budget_s);
  }
  double builds = 0;
  for (const NightBuild& build : night.frame.builds) builds += build.seconds;
  return text + fmt::format("; beside that {} on building, {} on rating failures", minutes(builds),
                            minutes(night.frame.rating_s));
}

std::string step_result(const NightStep& step) {
  if (step.state == StepState::not_run) return "not run";
  if (step.state == StepState::interrupted) return "interrupted";
  if (step.state == StepState::running) return "broken off";
  return std::string(night_verdict(step.exit_code));
}

void add_failures(const Night& night, Page* page) {
  page->heading(2, "Failures");
  if (night.failures.empty()) {
    page->paragraph("None.");
    return;
  }
  Rows rows;
  for (const NightFailure& failure : night.failures) {
    const bool known = failure.best.known;
    rows.push_back({{known ? "known" : "VIOLATION", known ? Tone::doubtful : Tone::bad},
                    {failure.best.transport},
                    {failure.best.fingerprint},
                    {failure.best.what},
                    {joined(failure.engines)},
                    {joined(failure.sanitizers)},
                    {first_text(failure), failure.is_new ? Tone::bad : Tone::plain},
                    {rate_text(failure)},
                    {failure.best.exact       ? "by explore"
                     : failure.shrunk.empty() ? "no"
                                              : "yes"},
                    {replay_command(failure), Tone::code},
                    {failure.best.bundle, Tone::code}});
  }
  page->table({"verdict", "transport", "fingerprint", "what", "engine", "sanitizer", "first seen",
               "hit rate", "shrunk", "replay", "bundle"},
              std::move(rows));
  page->paragraph(fmt::format(
      "Hit rate: how often replay showed the same failure again; exact: the same steps each time. "
      "This night's commit: {}.",
      night.frame.commit));
  if (night.failures_left_out > 0) {
    page->paragraph(
        fmt::format("Left out: {} further sightings; more than {} different failures "
                    "are not told apart.",
                    night.failures_left_out, night_failures_max));
  }
}

void add_troubles(const Night& night, Page* page) {
  Rows rows;
  for (const NightBuild& build : night.frame.builds) {
    if (!build.why.empty()) rows.push_back({{"build " + build.preset}, {build.why, Tone::bad}});
  }
  for (const NightStep& step : night.steps) {
    const std::string trouble = step_trouble(step);
    if (!trouble.empty()) {
      rows.push_back({{step.name}, {trouble, step.superseded ? Tone::plain : Tone::bad}});
    }
    for (const std::string& what : step.harness_failures) {
      rows.push_back({{step.name}, {"the harness failed: " + what, Tone::bad}});
    }
    if (step.unread > 0) {
      rows.push_back({{step.name},
                      {fmt::format("{} lines of its results are left out: they make no sense, or "
                                   "are too many",
                                   step.unread)}});
    }
  }
  for (const std::string& note : night.frame.notes) rows.push_back({{"note"}, {note}});
  if (night.history_unread > 0) {
    rows.push_back({{"history"},
                    {fmt::format("{} lines about earlier nights make no sense and are left out",
                                 night.history_unread)}});
  }
  if (rows.empty()) return;
  page->heading(2, "What did not go as planned");
  page->table({"step", "what"}, std::move(rows));
}

void add_steps(const Night& night, Page* page) {
  page->heading(2, "Steps");
  Rows rows;
  for (const NightStep& step : night.steps) {
    std::uint64_t scenarios = 0, schedules = 0;
    for (const NightCell& cell : step.cells) {
      scenarios += cell.scenarios;
      schedules += cell.schedules;
    }
    const bool finished = step.state == StepState::finished;
    rows.push_back({{step.name},
                    {step.engine},
                    {step.sanitizer},
                    {step_result(step), finished ? tone_of(step.exit_code) : Tone::doubtful},
                    {minutes(step.budget_s)},
                    {minutes(step.used_s)},
                    {grouped(scenarios)},
                    {grouped(schedules)}});
  }
  page->table({"step", "engine", "sanitizer", "result", "share", "used", "scenarios", "schedules"},
              std::move(rows));
}

// A row a transport, a column an engine with a sanitizer.
void add_transports(const Night& night, Page* page) {
  std::vector<std::string> titles = {"transport"};
  std::map<std::string, Row> rows;
  for (const NightStep& step : night.steps) {
    if (step.cells.empty()) continue;
    titles.push_back(fmt::format("{}, {}{}", step.engine, step.sanitizer,
                                 step.superseded ? " (interrupted)" : ""));
    for (const NightCell& cell : step.cells) {
      Row& row = rows[cell.transport];
      row.resize(titles.size());
      const bool by_schedules = cell.scenarios == 0;
      std::string text = fmt::format("{}: {} {}", to_string(cell.verdict),
                                     grouped(by_schedules ? cell.schedules : cell.scenarios),
                                     by_schedules ? "schedules" : "scenarios");
      if (!cell.why.empty()) text += " (" + cell.why + ")";
      row.back() = {text, tone_of(cell.verdict)};
    }
  }
  if (rows.empty()) return;
  Rows table;
  for (auto& [name, row] : rows) {
    row.resize(titles.size());
    row.front() = {name};
    table.push_back(std::move(row));
  }
  page->heading(2, "Transports");
  page->table(std::move(titles), std::move(table));
}

void add_fuzz(const Night& night, Page* page) {
  Rows rows;
  for (const NightStep& step : night.steps) {
    if (!step.fuzz) continue;
    const bool found = !step.sightings.empty();
    rows.push_back({{step.target},
                    {found                        ? "VIOLATION"
                     : step_trouble(step).empty() ? "pass"
                                                  : step_result(step),
                     found                        ? Tone::bad
                     : step_trouble(step).empty() ? Tone::good
                                                  : Tone::doubtful},
                    {grouped(step.fuzz->executions)},
                    {grouped(step.fuzz->executions_per_second)},
                    {grouped(step.fuzz->coverage)},
                    {grouped(step.fuzz->corpus_files)},
                    {std::to_string(step.sightings.size())}});
  }
  if (rows.empty()) return;
  page->heading(2, "Fuzz targets");
  page->table({"target", "result", "executions", "executions/s", "coverage (edges)",
               "corpus (files)", "finds"},
              std::move(rows));
}

void add_score(const Night& night, Page* page) {
  for (const NightStep& step : night.steps) {
    const ScoreFigures& score = step.score;
    if (score.bugs + score.twins == 0) continue;
    page->paragraph(
        fmt::format("Planted bugs ({}): {} of {} caught; {} of {} correct twins "
                    "blamed.",
                    step.name, score.caught, score.bugs, score.blamed, score.twins));
  }
}

std::string change(std::uint64_t now, std::uint64_t before) {
  if (before == 0 || now == before) return grouped(now);
  const double percent =
      100 * (static_cast<double>(now) - static_cast<double>(before)) / static_cast<double>(before);
  return fmt::format("{} ({:+.0f} %)", grouped(now), percent);
}

void add_trends(const Night& night, int exit_code, Page* page) {
  std::vector<NightFigures> nights = night.earlier;
  nights.push_back(figures_of(night, exit_code));
  page->heading(2, "Trends");
  Rows rows;
  for (std::size_t i = nights.size(); i-- > 0 && rows.size() < trend_nights;) {
    const NightFigures& now = nights[i];
    const NightFigures& before = i > 0 ? nights[i - 1] : now;
    rows.push_back({{now.night},
                    {now.commit},
                    {std::string(night_verdict(now.exit_code)), tone_of(now.exit_code)},
                    {minutes(now.used_s)},
                    {change(now.scenarios, before.scenarios)},
                    {change(now.schedules, before.schedules)},
                    {change(now.executions, before.executions)},
                    {change(now.coverage, before.coverage)},
                    {change(now.corpus_files, before.corpus_files)},
                    {std::to_string(now.failures.size())}});
  }
  page->table({"night", "commit", "verdict", "used", "scenarios", "schedules", "fuzz executions",
               "fuzz coverage", "corpus", "failures"},
              std::move(rows));
  if (night.earlier.empty()) page->paragraph("This is the first night that is kept.");
}

void add_gone(const Night& night, Page* page) {
  if (night.gone.empty()) return;
  page->heading(2, "Seen the night before, not this night");
  page->paragraph("That proves nothing: rare failures stay away for many nights.");
  Rows rows;
  for (const auto& [transport, fingerprint] : night.gone) {
    rows.push_back({{transport}, {fingerprint}});
  }
  page->table({"transport", "fingerprint"}, std::move(rows));
}

void add_builds(const Night& night, Page* page) {
  if (night.frame.builds.empty()) return;
  page->heading(2, "Builds");
  Rows rows;
  for (const NightBuild& build : night.frame.builds) {
    const bool good = build.why.empty();
    rows.push_back({{build.preset},
                    {minutes(build.seconds)},
                    {good ? "built" : "failed", good ? Tone::good : Tone::bad}});
  }
  page->table({"preset", "took", "result"}, std::move(rows));
}

// GitHub's own escapes; what is left cannot end the command or begin another.
std::string annotation_text(std::string_view text, std::string_view also) {
  std::string shown;
  for (const char c : text) {
    if (c == '%' || c == '\r' || c == '\n' || also.find(c) != std::string_view::npos) {
      shown += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      shown += c;
    }
  }
  return shown;
}

std::string annotation(const std::string& title, const std::string& text) {
  return fmt::format("::error title={}::{}\n", annotation_text(title, ":,"),
                     annotation_text(text, ""));
}

struct Told {
  std::string title, text;
};

// What must be mended, the most important first: failures, then what did not run.
std::vector<Told> what_is_wrong(const Night& night) {
  std::vector<Told> all;
  for (const NightFailure& failure : night.failures) {
    if (failure.best.known) continue;
    std::string text = fmt::format("{}; {}; hit rate {}", failure.best.what, first_text(failure),
                                   rate_text(failure));
    const std::string command = replay_command(failure);
    if (!command.empty()) text += "; replay: " + command;
    all.push_back({failure.best.transport + ": " + failure.best.fingerprint, text});
  }
  for (const NightBuild& build : night.frame.builds) {
    if (!build.why.empty()) all.push_back({"build " + build.preset, build.why});
  }
  for (const NightStep& step : night.steps) {
    if (step.superseded) continue;
    if (const std::string trouble = step_trouble(step); !trouble.empty()) {
      all.push_back({step.name, trouble});
    }
    for (const std::string& what : step.harness_failures) {
      all.push_back({step.name, "the harness failed: " + what});
    }
  }
  return all;
}

}  // namespace

std::string_view night_verdict(int exit_code) {
  switch (exit_code) {
    case 0:
      return "pass";
    case 1:
      return "VIOLATION";
    case 2:
      return "inconclusive";
    case 69:
      return "unsupported here";
    case 130:
    case 143:
      return "interrupted";
    default:
      return "the harness failed";
  }
}

std::string step_trouble(const NightStep& step) {
  switch (step.state) {
    case StepState::not_run:
      return "not run: " + (step.why.empty() ? "nobody says why" : step.why);
    case StepState::interrupted:
      return step.superseded ? "interrupted, and begun again later" : "interrupted";
    case StepState::running:
      return step.why;
    case StepState::finished:
      break;
  }
  if (!step.why.empty()) return step.why;
  const bool verdict = step.exit_code >= 0 && step.exit_code <= 3;
  if (verdict || step.exit_code == 69) return "";
  return fmt::format("it ended with exit code {}", step.exit_code);
}

Page night_page(const Night& night, int exit_code) {
  const NightFrame& frame = night.frame;
  Page page(fmt::format("Night {}: {}", frame.night, night_verdict(exit_code)));
  const auto news = std::ranges::count_if(night.failures, [](const NightFailure& failure) {
    return failure.is_new && !failure.best.known;
  });
  page.paragraph(fmt::format("Commit {}, begun on {}. {} failure{}, {} of them new. {}.",
                             frame.commit, frame.date, night.failures.size(),
                             night.failures.size() == 1 ? "" : "s", news, budget_text(night)));
  if (!frame.ended_by.empty()) {
    page.paragraph(
        fmt::format("Interrupted by {}: what follows is complete until then. "
                    "ci/nightly goes on from here.",
                    frame.ended_by));
  }
  add_failures(night, &page);
  add_troubles(night, &page);
  add_transports(night, &page);
  add_fuzz(night, &page);
  add_score(night, &page);
  add_trends(night, exit_code, &page);
  add_gone(night, &page);
  add_steps(night, &page);
  add_builds(night, &page);
  return page;
}

std::string night_digest(const Night& night, int exit_code) {
  std::string text = fmt::format("night {}, commit {}: {}\n{}\n", night.frame.night,
                                 night.frame.commit, night_verdict(exit_code), budget_text(night));
  for (const NightFailure& failure : night.failures) {
    text += fmt::format("{}: {}: {}\n  {}\n  {}; hit rate {}\n",
                        failure.best.known ? "known" : "VIOLATION", failure.best.transport,
                        failure.best.fingerprint, failure.best.what, first_text(failure),
                        rate_text(failure));
    const std::string command = replay_command(failure);
    if (!command.empty()) text += "  replay: " + command + "\n";
  }
  for (const Told& told : what_is_wrong(night)) {
    const bool failure = std::ranges::any_of(night.failures, [&](const NightFailure& one) {
      return one.best.transport + ": " + one.best.fingerprint == told.title;
    });
    if (!failure) text += fmt::format("{}: {}\n", told.title, told.text);
  }
  return text;
}

std::string night_annotations(const Night& night, int exit_code) {
  const std::vector<Told> all = what_is_wrong(night);
  std::string text;
  const std::size_t shown = all.size() > annotations_max ? annotations_max - 1 : all.size();
  for (std::size_t i = 0; i < shown; ++i) text += annotation(all[i].title, all[i].text);
  if (shown < all.size()) {
    text += annotation(fmt::format("{} more", all.size() - shown),
                       "GitHub shows ten; the summary of this run has all");
  }
  if (all.empty() && exit_code != 0) {
    text += annotation(fmt::format("Night {}", night.frame.night),
                       std::string(night_verdict(exit_code)));
  }
  return text;
}

}  // namespace ipctorture
