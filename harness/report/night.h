// One night of ci/nightly: what its steps wrote, read without trust, merged into one list of
// failures, and compared with earlier nights. Values and pure functions; `ipctorture report`
// (stress/report_verb.cc) reads the files and night_page.h makes the page.
//
// A night is a folder: night.json, and per step a folder with step.json (what was asked for, how it
// ended), results.jsonl (what `run`, `explore` and `score` print with --json) and log.txt. Every
// text that comes out of these functions is one line, valid UTF-8 without control characters, and
// bounded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "harness/check/verdict.h"

namespace ipctorture {

inline constexpr std::size_t night_text_bytes_max = 600;     // of one text
inline constexpr std::size_t night_failures_max = 500;       // of a night, told apart
inline constexpr std::size_t night_steps_max = 500;          // that are read
inline constexpr std::size_t night_history_lines_max = 400;  // earlier nights that are kept

// One transport, as one step saw it.
struct NightCell {
  std::string transport;
  Verdict verdict = Verdict::inconclusive;
  std::uint64_t scenarios = 0;
  std::uint64_t schedules = 0;
  std::string why;  // unsupported or inconclusive: the reason
};

// One failure, as one step reported it.
struct NightSighting {
  std::string transport;  // of a fuzz target: "fuzz: bundle_reader"
  std::string fingerprint;
  std::string what;
  std::string bundle;      // a path: a bundle, or the input of a fuzz target; empty: none
  std::string again;       // flags of `run`, when there is no bundle; empty: none
  bool exact = false;      // of the controlled engine: its replay takes the same steps
  bool known = false;      // listed in known.toml
  bool is_input = false;   // `bundle` is an input of a fuzz target
  bool is_missed = false;  // a planted bug that score missed, or a twin that it blamed
};

struct FuzzFigures {
  std::uint64_t executions = 0;
  std::uint64_t executions_per_second = 0;
  std::uint64_t coverage = 0;      // edges, as libFuzzer counts them
  std::uint64_t corpus_files = 0;  // that are kept for the next night, minimised
};

struct ScoreFigures {
  std::uint64_t bugs = 0, caught = 0;
  std::uint64_t twins = 0, blamed = 0;
};

enum class StepState : std::uint8_t { finished, interrupted, not_run, running };

struct NightStep {
  std::string name;       // "run-asan"
  std::string engine;     // run, explore, fuzz, score, loaded, checks
  std::string sanitizer;  // plain, asan, tsan
  std::string program;    // path of what ran
  std::string target;     // of a fuzz step
  std::string started;    // "2026-01-31T02:00:00Z"
  std::string why;        // it did not run, or did not end well
  StepState state = StepState::running;
  bool superseded = false;  // interrupted, and begun again later
  double budget_s = 0, used_s = 0;
  int exit_code = -1;  // -1: none
  std::vector<NightCell> cells;
  std::vector<NightSighting> sightings;
  std::vector<std::string> harness_failures;
  std::optional<FuzzFigures> fuzz;
  ScoreFigures score;
  std::uint64_t unread = 0;  // lines that made no sense or were too many
};

// What a step's folder holds, as texts.
struct StepFiles {
  std::string folder;              // as it is named on the page
  std::string step;                // step.json
  std::string results;             // results.jsonl; empty: none
  std::string log;                 // log.txt, its end at least; empty: none
  std::vector<std::string> found;  // paths of inputs that a fuzz target failed on
};
// Never throws: what makes no sense is said in `why`.
NightStep read_night_step(const StepFiles& files);

// The end of libFuzzer's output. `sightings` gets one per input that was found.
void read_fuzz_log(std::string_view log, const std::vector<std::string>& found, NightStep* step);

struct NightBuild {
  std::string preset, why;  // why: it failed
  double seconds = 0;
};
// Of the night as a whole: night.json.
struct NightFrame {
  std::string night;                   // "2026-01-31", or "2026-01-31-2": the folder's name
  std::string date, commit, ended_by;  // ended_by: "SIGTERM", "SIGINT", or empty
  double budget_s = 0, rating_s = 0;
  std::vector<NightBuild> builds;
  std::vector<std::string> notes;
};
NightFrame read_night_frame(std::string_view json);

// How often replay showed a failure again: `replay --json`.
struct HitRate {
  std::uint64_t attempts = 0, reproduced = 0;
  bool exact = false;
};
std::optional<HitRate> read_hit_rate(std::string_view json);

// One earlier night, a line of history.jsonl.
struct NightFigures {
  std::string night, date, commit;
  int exit_code = 0;
  double used_s = 0;
  std::uint64_t scenarios = 0, schedules = 0, executions = 0, coverage = 0, corpus_files = 0;
  struct First {
    std::string date, commit;
  };
  std::map<std::pair<std::string, std::string>, First> failures;  // transport, fingerprint
};
std::string history_line(const NightFigures& figures);
// In the order of the lines; `unread` counts those that make no sense.
std::vector<NightFigures> read_history(std::string_view text, std::uint64_t* unread);
// `text` with the line of that night replaced or added at the end; at most night_history_lines_max.
std::string add_to_history(std::string_view text, const NightFigures& figures);

// A failure, over all steps that saw it.
struct NightFailure {
  NightSighting best;   // the one to replay: exact before free, without a sanitizer before with
  std::string program;  // that replays it
  std::string key;      // 16 hex digits, of transport and fingerprint: names of files
  std::set<std::string> engines, sanitizers;
  std::string step;  // of the best sighting
  std::uint64_t steps = 0;
  std::string first_date, first_commit;
  bool is_new = false;       // no earlier night had it
  std::uint64_t nights = 0;  // earlier ones that had it
  std::optional<HitRate> rate;
  std::string shrunk;          // path; empty: was not made smaller
  bool became_bundle = false;  // an input of a fuzz target that `shrunk` is a bundle of
};

struct Night {
  NightFrame frame;
  std::vector<NightStep> steps;
  std::vector<NightFailure> failures;  // new ones first, then by transport; known ones last
  std::vector<NightFigures> earlier;   // oldest first, without this night
  std::vector<std::pair<std::string, std::string>> gone;  // of the night before, not seen now
  std::uint64_t failures_left_out = 0, history_unread = 0;
};

// Merges; `rate` and `shrunk` of the failures are the caller's to fill.
Night merge_night(NightFrame frame, std::vector<NightStep> steps,
                  std::vector<NightFigures> earlier);
// What the night leaves for the ones after it.
NightFigures figures_of(const Night& night, int exit_code);
std::string failure_key(const std::string& transport, const std::string& fingerprint);
// The command that shows a failure again; empty: there is none.
std::string replay_command(const NightFailure& failure);

// One line, presentable, at most night_text_bytes_max bytes.
std::string night_text(std::string_view text);

}  // namespace ipctorture
