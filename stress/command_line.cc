#include "stress/command_line.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "harness/launch/exec_worker.h"
#include "harness/launch/start_line.h"
#include "harness/report/presentable.h"
#include "harness/scenario/fuzz_input_header.h"
#include "harness/scenario/generate.h"
#include "harness/transport/registry.h"
#include "stress/bench/bench.h"
#include "stress/command_texts.h"
#include "stress/fuzz_file.h"
#include "stress/hand_over.h"
#include "stress/nearest.h"
#include "stress/recheck_flags.h"
#include "stress/report_verb.h"
#include "stress/settings.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::size_t error_bytes_max = 4096;

// What the parser fills; the verbs read it afterwards.
struct Parsed {
  Settings settings;
  Selection selection;
  std::string path;
  std::vector<std::string> folders;
  RecheckRequest recheck;
  ReportRequest report;
  std::string config;
  Clean clean = Clean::no;
};

class Parser {
 public:
  explicit Parser(const ControlledVerbs& controlled)
      : app_(program_text, "ipctorture"), controlled_(controlled) {
    app_.footer(program_footer);
    app_.set_version_flag(
        "--version", fmt::format("ipctorture {} (generator g{}, worker protocol {})", version_text,
                                 generator_version, worker_protocol_version));
    app_.get_formatter()->column_width(28);
    app_.require_subcommand(0, 1);
    add_run();
    add_explore();
    add_list();
    add_on_bundles();
    add_doctor();
    add_score();
    add_merge();
    add_report();
    worker_ = app_.add_subcommand("worker", "")->group("");  // started by `run --launch exec` only
  }

  // An exit code that ends the program at once (help, version), or nothing: then a verb was chosen.
  std::optional<ExitCode> parse(int argc, char** argv);
  ExitCode run_verb(char** argv);

 private:
  std::string names_of_verbs() const;
  [[noreturn]] void refuse_extras() const;

  // --name TEXT into the settings.
  void setting(CLI::App* verb, const std::string& name, const std::string& type,
               const std::string& help, const std::string& group) {
    verb->add_option_function<std::string>(
            "--" + name,
            [this, name](const std::string& text) { parsed_.settings.set_flag(name, text); }, help)
        ->type_name(type)
        ->group(group);
  }
  void toggle(CLI::App* verb, const std::string& name, const std::string& help,
              const std::string& group) {
    verb->add_flag_callback(
            "--" + name, [this, name] { parsed_.settings.set_flag(name, "true"); }, help)
        ->group(group);
  }
  CLI::App* add_verb(const char* name, const char* help) {
    CLI::App* verb = app_.add_subcommand(name, help);
    verb->get_formatter()->column_width(28);
    setting(verb, "color", "WHEN", "auto, always or never (NO_COLOR is honoured)", "Output");
    verb->add_option("--config", parsed_.config,
                     "settings from this file instead of ipctorture.toml")
        ->type_name("FILE")
        ->group("Other");
    return verb;
  }
  void add_selection(CLI::App* verb) {
    verb->add_option("transports", parsed_.selection.names, "names and globs; none: all shipped")
        ->type_name("TRANSPORT");
    verb->add_option_function<std::vector<std::string>>(
            "--exclude",
            [this](const std::vector<std::string>& globs) {
              for (const std::string& glob : globs) parsed_.settings.add_flag("exclude", glob);
            },
            "leave out; may be given several times")
        ->type_name("GLOB")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group("Selection");
    verb->add_flag("--faulty", parsed_.selection.faulty, "with transports that have a planted bug")
        ->group("Selection");
    verb->add_flag("--canary", parsed_.selection.canary,
                   "with the broken ones that prove the oracles")
        ->group("Selection");
  }
  void add_known(CLI::App* verb) {
    setting(verb, "known", "FILE", "failures to live with for now [known.toml, if there is one]",
            "Selection");
  }
  void add_run();
  void add_explore();
  void add_list();
  void add_on_bundles();
  void add_doctor();
  void add_score();
  void add_merge();
  void add_report();

  CLI::App app_;
  Parsed parsed_;
  const ControlledVerbs controlled_;
  CLI::App *run_ = nullptr, *explore_ = nullptr, *regress_ = nullptr, *list_ = nullptr,
           *replay_ = nullptr, *recheck_ = nullptr, *explain_ = nullptr, *doctor_ = nullptr,
           *score_ = nullptr, *merge_ = nullptr, *shrink_ = nullptr, *report_ = nullptr,
           *show_ = nullptr, *worker_ = nullptr;
};

void Parser::add_run() {
  run_ = add_verb("run", "Torture transports and judge what they did");
  run_->footer(run_footer);
  add_selection(run_);
  add_known(run_);
  setting(run_, "time", "TIME", "60s, 10m ...: of everything, or of each when named [60s]",
          "Budget");
  setting(run_, "runs", "N", "scenarios of each transport (then no time limit by itself)",
          "Budget");
  setting(run_, "seed", "g1:HEX", "of the whole campaign; a run prints it [random]", "Budget");
  setting(run_, "case", "K", "case number K alone, whatever the budget; a run names it", "Budget");
  setting(
      run_, "shard", "I/N",
      "only every N-th case, beginning with the I-th; auto: as Kubernetes, GitLab, Slurm, Bazel "
      "or GoogleTest say",
      "Budget");
  setting(run_, "jobs", "N", "scenarios at once [number of cores]", "Budget");
  setting(run_, "control", "PERCENT",
          "of the time for `explore`, which decides who takes the next step [40; 0: none]",
          "Budget");
  toggle(run_, "soak",
         "most of the time: one scenario again and again over the same endpoints, without a pause",
         "Budget");
  setting(run_, "hand-over", "TIME",
          "more of that for what only the kernel's schedule broke, for an exact replay [60s]",
          "Budget");
  setting(run_, "launch", "HOW", "only fork, or only exec (separate programs)", "Budget");
  setting(run_, "failing-calls", "N",
          "of 10,000 calls of the transport so many fail, in every scenario [as drawn]", "Budget");
  setting(run_, "short-calls", "N", "likewise: are short, or interrupted [as drawn]", "Budget");
  toggle(run_, "fail-fast", "end at the first violation", "Budget");
  run_->add_flag("--dry-run", parsed_.selection.dry_run, "print what would be run, and end")
      ->group("Budget");
  run_->add_flag("--bench", parsed_.selection.bench,
                 "measure the harness itself: traffic against bare loops, scenarios a second")
      ->group("Budget");
  setting(run_, "out", "DIR", "where bundles go [ipctorture-out/<run>/, and latest]", "Output");
  setting(run_, "junit", "FILE", "also write JUnit XML", "Output");
  run_->add_option("--export", parsed_.selection.export_file,
                   "write the history of one scenario, for recheck --contract; -: standard output")
      ->type_name("FILE")
      ->excludes("--bench")
      ->excludes("--dry-run")
      ->group("Output");
  toggle(run_, "json", "JSON lines instead of text", "Output");
  toggle(run_, "quiet", "no progress", "Output");
}

void Parser::add_explore() {
  explore_ = add_verb("explore", "Search the interleavings of a transport, step by step");
  explore_->footer(explore_footer);
  add_selection(explore_);
  add_known(explore_);
  setting(explore_, "time", "TIME", "60s, 10m ...: of everything, or of each when named [60s]",
          "Budget");
  setting(explore_, "schedules", "N", "schedules of each transport (then no time limit by itself)",
          "Budget");
  setting(explore_, "seed", "g1:HEX", "of the random part; it is printed [random]", "Budget");
  setting(explore_, "jobs", "N", "shards, each on a core [number of cores]", "Budget");
  setting(explore_, "shard", "I/N", "the I-th of N parts; auto: as of run", "Budget");
  setting(explore_, "resume", "FILE", "go on where the exploration that wrote it stopped; make it",
          "Budget");
  toggle(explore_, "fail-fast", "end at the first transport with a violation", "Budget");
  explore_
      ->add_flag("--bench", parsed_.selection.bench,
                 "measure the engine itself: schedules a second, bounds, time to find")
      ->group("Budget");
  setting(explore_, "out", "DIR", "where bundles go [ipctorture-out/<run>/, and latest]", "Output");
  toggle(explore_, "json", "JSON lines instead of text", "Output");
  toggle(explore_, "quiet", "no progress", "Output");
}

void Parser::add_list() {
  list_ = add_verb("list", "Show the transports and what they promise");
  add_contracts_flag(*list_, parsed_.selection);
  add_selection(list_);
  toggle(list_, "json", "every term of the contracts, as JSON lines", "Output");
}

void Parser::add_on_bundles() {
  replay_ = add_verb("replay", "Run a failure's scenario again and count how often it comes back");
  replay_
      ->add_option("path", parsed_.path,
                   "a bundle, a scenario as JSON, or a fuzz input that is one")
      ->required()
      ->type_name("BUNDLE");
  setting(replay_, "attempts", "K", "how often [20]", "Budget");
  toggle(replay_, "fail-fast", "end at the first attempt that reproduces it", "Budget");
  toggle(replay_, "debugger", "of a bundle of explore: once, under gdb", "Other");
  toggle(replay_, "quiet", "no progress", "Output");
  toggle(replay_, "json", "one line of JSON instead of text", "Output");
  replay_->footer("Exit codes: 1 reproduced, 0 not in K attempts, 2 all inconclusive.");
  regress_ =
      add_verb("regress", "Does a failure of explore still happen, after changes of the code?");
  regress_->add_option("path", parsed_.path, "a bundle of explore")
      ->required()
      ->type_name("BUNDLE");
  setting(regress_, "time", "TIME", "for the search around the recorded schedule [10s]", "Budget");
  regress_->footer("Exit codes: 1 still broken, 0 not found again, 2 cannot be controlled.");
  shrink_ = add_verb("shrink", "Make a failure of run, or of a fuzzer, small");
  shrink_->add_option("path", parsed_.path, "a bundle, a scenario as JSON, or a fuzz input")
      ->required()
      ->type_name("BUNDLE");
  setting(shrink_, "time", "TIME", "for the search; 20 replays of what it found come on top [60s]",
          "Budget");
  toggle(shrink_, "quiet", "no progress", "Output");
  toggle(shrink_, "json", "one line of JSON instead of text", "Output");
  shrink_->footer(
      "Writes a bundle of what is small beside the old one, BUNDLE-small; ^C leaves the\n"
      "smallest so far. Exit codes: 1 it still fails, 0 not reproduced, 2 all inconclusive.");
  show_ = add_verb("show", "Say in words what a fuzz input does");
  show_->add_option("path", parsed_.path, "of ci/fuzz: what it found or keeps")
      ->required()
      ->type_name("FILE");
  toggle(show_, "json", "one line of JSON instead of text", "Output");
  recheck_ = add_verb("recheck", "Judge a recorded history, running nothing");
  add_recheck_flags(*recheck_, parsed_.recheck);
  toggle(recheck_, "json", "one line of JSON instead of text", "Output");
  explain_ = add_verb("explain", "Say in words what a bundle shows");
  explain_->add_option("path", parsed_.path, "a bundle")->required()->type_name("BUNDLE");
}

void Parser::add_doctor() {
  doctor_ = add_verb("doctor", "Say what this machine lacks, and how to mend it");
  doctor_->add_flag_callback(
      "--clean", [this] { parsed_.clean = Clean::yes; }, "remove what dead runs left, and end");
  toggle(doctor_, "json", "JSON lines", "Output");
  doctor_->footer("Exit codes: 0 nothing is lacking, 69 something is.");
}

void Parser::add_score() {
  score_ = add_verb("score", "Measure what the tool finds: planted bugs and their correct twins");
  score_->footer(score_footer);
  add_selection(score_);
  score_
      ->add_option("--transport", parsed_.selection.transport,
                   "what is a pass on this one worth? Runs it, and mutants of it")
      ->type_name("NAME")
      ->group("Selection");
  setting(score_, "time", "TIME", "of each run of a bug, at the most, or of the transport [60s]",
          "Budget");
  setting(score_, "twin-time", "TIME", "of each run of a correct twin [as --time]", "Budget");
  setting(score_, "mutant-time", "TIME", "of each run of a mutant, at the most [15s]", "Budget");
  setting(score_, "seeds", "N", "runs of each bug and twin [5], or of each mutant [1]", "Budget");
  setting(score_, "seed", "g1:HEX", "that the runs' seeds are made of [always the same]", "Budget");
  setting(
      score_, "control", "PERCENT",
      "as of run; with it, bugs that are missed fail nothing: 0 shows what the free engine finds",
      "Budget");
  setting(score_, "page", "FILE", "also write it as a page of Markdown", "Output");
  setting(score_, "out", "DIR", "where bundles go [ipctorture-out/<run>/, and latest]", "Output");
  toggle(score_, "json", "JSON lines instead of text", "Output");
  toggle(score_, "quiet", "no progress", "Output");
}

void Parser::add_merge() {
  merge_ = add_verb("merge", "Unite what the shards of one campaign left in their folders");
  merge_->add_option("folders", parsed_.folders, "the --out folders of run, explore or merge")
      ->required()
      ->type_name("FOLDER");
  setting(merge_, "out", "DIR", "where the union goes [ipctorture-out/<run>/, and latest]",
          "Output");
  setting(merge_, "junit", "FILE", "also write JUnit XML, of shards of run", "Output");
  toggle(merge_, "json", "JSON lines instead of text", "Output");
  merge_->footer(
      "Exit codes are those of one run over all of it; 2 also when shards or cases are missing, "
      "64\n"
      "when the folders are not of one campaign.");
}

void Parser::add_report() {
  report_ = add_verb("report", "Make the page of one night of ci/nightly");
  ReportRequest& report = parsed_.report;
  report_->add_option("night", report.folder, "the night's folder")->required()->type_name("NIGHT");
  const auto text = [&](const char* name, std::string* value, const char* type, const char* help) {
    report_->add_option(name, *value, help)->type_name(type)->group("Output");
  };
  text("--out", &report.out, "DIR", "where report.md and report.html go [into the night's folder]");
  text("--history", &report.history, "FILE", "earlier nights: read, and this one is added");
  text("--step-summary", &report.step_summary, "FILE", "append the Markdown to it, at most 1 MB");
  report_->add_flag("--annotate", report.annotate, "print ::error lines for GitHub Actions")
      ->group("Output");
  report_->add_flag("--unrated", report.unrated, "print the failures without a hit rate, and end")
      ->group("Output");
  report_->footer("Exit codes: of the night's worst verdict, as of run.");
}

std::string Parser::names_of_verbs() const {
  std::string names;
  for (const CLI::App* verb : app_.get_subcommands({})) {
    if (verb != worker_) names += (names.empty() ? "" : ", ") + verb->get_name();
  }
  return names;
}

// An unknown verb or flag: names the nearest one that exists.
void Parser::refuse_extras() const {
  const auto chosen = app_.get_subcommands();
  const CLI::App& where = chosen.empty() ? app_ : *chosen.front();
  for (const std::string& extra : app_.remaining(true)) {
    std::vector<std::string> known;
    if (!extra.starts_with("-")) {
      if (!chosen.empty()) break;
      for (const CLI::App* verb : app_.get_subcommands({})) {
        if (verb != worker_) known.push_back(verb->get_name());
      }
      const std::string guess = did_you_mean(extra, known);
      throw UsageError("unknown verb '" + extra + "'" +
                       (guess.empty() ? "; there are " + names_of_verbs() : guess));
    }
    for (const CLI::Option* option : where.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    const std::string flag = extra.substr(0, extra.find('='));
    const std::string verb = chosen.empty() ? "" : " " + where.get_name();
    throw UsageError("unknown flag '" + flag + "'" + did_you_mean(flag, known) + " (ipctorture" +
                     verb + " --help shows all)");
  }
  throw UsageError("unexpected '" + app_.remaining(true).front() + "'");
}

std::optional<ExitCode> Parser::parse(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    refuse_extras();
  } catch (const CLI::Success& success) {  // --help, --version
    app_.exit(success);
    return ExitCode::pass;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (app_.get_subcommands().empty()) {
    print_note(app_.help());
    return ExitCode::usage;
  }
  return std::nullopt;
}

ExitCode Parser::run_verb(char** argv) {
  const CLI::App* verb = app_.get_subcommands().front();
  if (verb == worker_) return static_cast<ExitCode>(run_exec_worker());
  Settings& settings = parsed_.settings;
  settings.read_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (parsed_.config.empty()) {
    settings.read_toml_file("ipctorture.toml", Settings::IfMissing::ignore);
  } else {
    settings.read_toml_file(parsed_.config, Settings::IfMissing::refuse);
  }
  if (verb == run_ && parsed_.selection.bench) return run_bench(settings, parsed_.selection);
  if (verb == run_) return run_campaign(settings, parsed_.selection);
  if (verb == score_) return score(settings, parsed_.selection);
  if (verb == merge_) return merge(settings, parsed_.folders);
  if (verb == report_) return report_night(parsed_.report);
  if (verb == list_) return list_transports(settings, parsed_.selection);
  if (verb == explore_) {
    return controlled_.explore ? controlled_.explore(settings, parsed_.selection) : hand_over(argv);
  }
  if (verb == regress_) {
    return controlled_.regress ? controlled_.regress(settings, parsed_.path) : hand_over(argv);
  }
  if (verb == replay_ && is_controlled_bundle(parsed_.path)) {
    return controlled_.replay_schedule ? controlled_.replay_schedule(settings, parsed_.path)
                                       : hand_over(argv);
  }
  if (verb == replay_) return replay(settings, parsed_.path);
  const bool on_schedule = fuzz_file_letter(parsed_.path) == schedule_input_letter;
  if (verb == show_ && on_schedule) {
    return controlled_.show_schedule ? controlled_.show_schedule(settings, parsed_.path)
                                     : hand_over(argv);
  }
  if (verb == shrink_ && on_schedule) {
    return controlled_.shrink_schedule ? controlled_.shrink_schedule(settings, parsed_.path)
                                       : hand_over(argv);
  }
  if (verb == show_) return show_input(settings, parsed_.path);
  if (verb == shrink_) return shrink_failure(settings, parsed_.path);
  if (verb == recheck_) return recheck(settings, parsed_.recheck);
  if (verb == explain_) return explain_bundle(settings, parsed_.path);
  return doctor(settings, parsed_.clean);
}

// In the way of one line of text: what was mistyped may hold an escape sequence.
void print_error(const std::string& text) {
  print_note("ipctorture: " + presentable(text, error_bytes_max) + "\n");
}

// Standard output took not everything (a full disk). A reader that left wanted no more.
bool results_are_lost() {
  struct stat status{};
  const bool readers =
      ::fstat(STDOUT_FILENO, &status) != 0 || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
  if (std::ferror(stdout) == 0 || readers) return false;
  print_error("standard output could not be written");
  return true;
}

ExitCode parse_and_run(int argc, char** argv, const ControlledVerbs& controlled) {
  // A reader that left, or a file that may not grow, is an error to handle and not a death.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  try {
    Parser parser(controlled);
    const auto ended = parser.parse(argc, argv);
    const ExitCode code = ended ? *ended : parser.run_verb(argv);
    return results_are_lost() ? graver(code, ExitCode::harness_failed) : code;
  } catch (const UsageError& error) {
    print_error(error.what());
    return ExitCode::usage;
  } catch (const std::exception& error) {
    print_error(fmt::format("the harness failed: {}", error.what()));
    return ExitCode::harness_failed;
  }
}

}  // namespace

int ipctorture_main(int argc, char** argv, const ControlledVerbs& controlled) noexcept {
  return static_cast<int>(parse_and_run(argc, argv, controlled));
}

}  // namespace ipctorture
