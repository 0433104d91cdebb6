// Reads what one step of a night wrote. Nothing in it is believed: texts are bounded, numbers are
// taken only where they are numbers, and lines that make no sense are counted.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/json_lines.h"
#include "harness/report/night.h"
#include "harness/report/presentable.h"

namespace ipctorture {
namespace {

using Json = nlohmann::json;

constexpr std::size_t line_bytes_max = 1 << 20;
constexpr std::size_t sightings_max = 2000, cells_max = 1000, harness_failures_max = 50;

// Nothing for what is no JSON object. The parser does not recurse: depth costs no stack.
Json parse_object(std::string_view text) {
  auto json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json();
}

std::uint64_t count_in(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

double seconds_in(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return 0;
  return std::clamp(found->get<double>(), 0.0, 1e7);
}

std::string line_in(const Json& json, std::string_view key) {
  return night_text(text_in(json, key));
}

bool flag_in(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

Verdict verdict_in(const Json& json) {
  const std::string word = text_in(json, "verdict");
  for (unsigned i = 0; i < verdict_count; ++i) {
    if (json_word(static_cast<Verdict>(i)) == word) return static_cast<Verdict>(i);
  }
  return Verdict::inconclusive;
}

void add_sighting(NightSighting sighting, NightStep* step) {
  if (step->sightings.size() >= sightings_max) {
    ++step->unread;
    return;
  }
  step->sightings.push_back(std::move(sighting));
}

void add_harness_failure(const Json& json, std::string_view key, NightStep* step) {
  if (step->harness_failures.size() >= harness_failures_max) return;
  const std::string who = line_in(json, "transport");
  step->harness_failures.push_back((who.empty() ? "" : who + ": ") + line_in(json, key));
}

NightSighting sighting_in(const Json& json, const std::string& transport) {
  return {.transport = transport,
          .fingerprint = line_in(json, "fingerprint"),
          .what = line_in(json, "what"),
          .bundle = line_in(json, "bundle"),
          .again = line_in(json, "again")};
}

// A promise that had no occasion, or whose occasions proved nothing.
std::string doubt_in(const Json& json) {
  const auto promises = json.find("promises");
  if (promises == json.end() || !promises->is_array()) return {};
  for (const Json& promise : *promises) {
    if (!promise.is_object() || text_in(promise, "verdict") != "inconclusive") continue;
    const std::string what = text_in(promise, "what");
    return night_text(text_in(promise, "promise") + ": " +
                      (what.empty() ? "not every term had an occasion" : what));
  }
  return {};
}

void add_cell(const Json& json, NightStep* step) {
  if (step->cells.size() >= cells_max) {
    ++step->unread;
    return;
  }
  NightCell cell{.transport = line_in(json, "transport"),
                 .verdict = verdict_in(json),
                 .scenarios = count_in(json, "scenarios"),
                 .schedules = count_in(json, "schedules")};
  for (const char* reason : {"unsupported_reason", "unsupported", "inconclusive_reason", "doubt"}) {
    const bool useful = cell.verdict != Verdict::pass && cell.verdict != Verdict::violation;
    if (useful && cell.why.empty()) cell.why = line_in(json, reason);
  }
  if (cell.verdict == Verdict::inconclusive && cell.why.empty()) cell.why = doubt_in(json);
  step->cells.push_back(std::move(cell));
}

// A line of `run`. Answers whether it was the last one.
bool read_run_line(const Json& json, NightStep* step) {
  const std::string event = text_in(json, "event");
  if (event == "failure" || event == "known") {
    if (event == "failure" && text_in(json, "verdict") != "violation") return false;
    NightSighting sighting = sighting_in(json, line_in(json, "transport"));
    sighting.exact = text_in(json, "engine") == "controlled";
    sighting.known = event == "known";
    add_sighting(std::move(sighting), step);
  } else if (event == "harness_failure") {
    add_harness_failure(json, "what", step);
  } else if (event == "transport") {
    add_cell(json, step);
  }
  return event == "end";
}

void read_explore_line(const Json& json, NightStep* step) {
  const std::size_t cells = step->cells.size();
  add_cell(json, step);
  if (step->cells.size() == cells) return;
  if (!text_in(json, "harness_failure").empty()) add_harness_failure(json, "harness_failure", step);
  const std::string transport = step->cells.back().transport;
  const auto known = json.find("known");
  if (known != json.end() && known->is_array()) {
    for (const Json& one : *known) {
      if (!one.is_object()) continue;
      NightSighting sighting = sighting_in(one, transport);
      sighting.known = true;
      add_sighting(std::move(sighting), step);
    }
  }
  const auto failure = json.find("failure");
  if (failure == json.end() || !failure->is_object()) return;
  NightSighting sighting = sighting_in(*failure, transport);
  sighting.exact = true;
  add_sighting(std::move(sighting), step);
}

// A planted bug is meant to be caught; what counts as a failure is the opposite.
void read_score_line(const Json& json, NightStep* step) {
  const std::string bug = line_in(json, "bug");
  const auto all = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_array() ? *found : Json::array();
  };
  const Json runs = all("runs"), twins = all("twin");
  const auto usable = [](const Json& run) {
    return run.is_object() && !flag_in(run, "unsupported") && !flag_in(run, "harness_failed");
  };
  if (std::ranges::any_of(runs, usable)) {
    ++step->score.bugs;
    const auto caught = [](const Json& run) { return run.is_object() && flag_in(run, "caught"); };
    if (std::ranges::any_of(runs, caught)) {
      ++step->score.caught;
    } else if (step->sanitizer == "plain" && step->exit_code == 1) {  // else nobody promises it
      add_sighting({.transport = bug,
                    .fingerprint = "score/missed",
                    .what = "the planted bug was not caught in the time that there was",
                    .is_missed = true},
                   step);
    }
  }
  for (const Json& run : twins) {
    if (!usable(run)) continue;
    ++step->score.twins;
    if (!flag_in(run, "caught")) continue;
    ++step->score.blamed;
    NightSighting sighting = sighting_in(run, bug + "_twin");
    sighting.what = "the correct twin was blamed: " + sighting.what;
    sighting.fingerprint = "score/" + sighting.fingerprint;
    add_sighting(std::move(sighting), step);
  }
}

void read_results(std::string_view results, NightStep* step) {
  bool ended = false, is_run = false;
  while (!results.empty()) {
    const std::size_t end = std::min(results.find('\n'), results.size());
    const std::string_view line = results.substr(0, end);
    results.remove_prefix(std::min(end + 1, results.size()));
    if (line.empty()) continue;
    const Json json = line.size() > line_bytes_max ? Json() : parse_object(line);
    const std::string schema = json.is_object() ? text_in(json, "schema") : "";
    if (schema == json_lines_schema) {
      is_run = true;
      ended = read_run_line(json, step) || ended;
    } else if (schema == "ipctorture-explore/1") {
      read_explore_line(json, step);
    } else if (schema == "ipctorture-score/1") {
      read_score_line(json, step);
    } else {
      ++step->unread;
    }
  }
  if (is_run && !ended && step->state == StepState::finished) {
    step->harness_failures.emplace_back("its results end in the middle");
  }
}

StepState state_of(const std::string& word) {
  if (word == "finished") return StepState::finished;
  if (word == "interrupted") return StepState::interrupted;
  return word == "not run" ? StepState::not_run : StepState::running;
}

}  // namespace

std::string night_text(std::string_view text) {
  std::string shown = presentable(text.substr(0, night_text_bytes_max * 4), night_text_bytes_max);
  for (char& c : shown) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return shown;
}

NightStep read_night_step(const StepFiles& files) {
  NightStep step{.name = night_text(files.folder)};
  const Json json = parse_object(files.step);
  if (!json.is_object()) {
    step.why = "step.json is missing or makes no sense";
    read_results(files.results, &step);
    return step;
  }
  step.engine = line_in(json, "engine");
  step.sanitizer = line_in(json, "sanitizer");
  step.program = line_in(json, "program");
  step.target = line_in(json, "target");
  step.started = line_in(json, "started");
  step.why = line_in(json, "why");
  step.state = state_of(text_in(json, "state"));
  step.superseded = flag_in(json, "superseded");
  step.budget_s = seconds_in(json, "budget_s");
  step.used_s = seconds_in(json, "used_s");
  if (const auto code = json.find("exit_code"); code != json.end() && code->is_number_unsigned()) {
    step.exit_code = static_cast<int>(std::min<std::uint64_t>(code->get<std::uint64_t>(), 255));
  }
  if (step.state == StepState::running && step.why.empty()) {
    step.why = "it was broken off without a word (killed, or the machine went down)";
  }
  if (!step.target.empty()) {
    step.fuzz = FuzzFigures{.corpus_files = count_in(json, "corpus_files")};
    read_fuzz_log(files.log, files.found, &step);
  }
  read_results(files.results, &step);
  return step;
}

NightFrame read_night_frame(std::string_view text) {
  NightFrame frame;
  const Json json = parse_object(text);
  if (!json.is_object()) {
    frame.notes.emplace_back("night.json is missing or makes no sense");
    return frame;
  }
  frame.night = line_in(json, "night");
  frame.date = line_in(json, "date");
  frame.commit = line_in(json, "commit");
  frame.ended_by = line_in(json, "ended_by");
  frame.budget_s = seconds_in(json, "budget_s");
  frame.rating_s = seconds_in(json, "rating_s");
  const auto builds = json.find("builds"), notes = json.find("notes");
  if (builds != json.end() && builds->is_array()) {
    for (const Json& one : *builds) {
      if (!one.is_object() || frame.builds.size() >= 20) continue;
      frame.builds.push_back({.preset = line_in(one, "preset"),
                              .why = line_in(one, "why"),
                              .seconds = seconds_in(one, "seconds")});
    }
  }
  if (notes != json.end() && notes->is_array()) {
    for (const Json& one : *notes) {
      if (one.is_string() && frame.notes.size() < 50) {
        frame.notes.push_back(night_text(one.get<std::string>()));
      }
    }
  }
  return frame;
}

std::optional<HitRate> read_hit_rate(std::string_view text) {
  const Json json = parse_object(text);
  if (!json.is_object() || text_in(json, "schema") != "ipctorture-replay/1") return std::nullopt;
  HitRate rate{.attempts = count_in(json, "attempts"),
               .reproduced = count_in(json, "reproduced"),
               .exact = flag_in(json, "exact")};
  if (rate.attempts == 0 || rate.reproduced > rate.attempts) return std::nullopt;
  return rate;
}

}  // namespace ipctorture
