// `ipctorture explore`: settings -> shards -> table of what was covered -> failure, told and kept.
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "harness/explore_scenario.h"
#include "harness/report/environment.h"
#include "harness/report/explored.h"
#include "harness/report/json_lines.h"
#include "harness/report/progress.h"
#include "harness/report/summary.h"
#include "stress/explore/controlled_verbs.h"
#include "stress/explore/explore_room.h"
#include "stress/explore/explore_transport.h"
#include "stress/explore/failure_report.h"
#include "stress/explore/resume.h"
#include "stress/known_check.h"
#include "stress/machine_shard.h"
#include "stress/run_output.h"
#include "stress/selection.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr std::int64_t default_time_ns = 60'000'000'000;
constexpr unsigned jobs_max = 64;

struct Request {
  std::vector<Selected> transports;
  ExploreOptions options;
  bool json = false;
  bool fail_fast = false;
  KnownFailures known;
  std::string resume;      // the file; empty: none
  std::string shard_line;  // for people; empty: the whole
  std::string budget;      // " --schedules 1000", empty when it is counted in time
  ExploreState state;
};

Request read_request(const Settings& settings, const Selection& selection) {
  Request request;
  SelectionRequest wanted{.names = selection.names, .exclude = settings.list("exclude")};
  if (selection.faulty) wanted.also.push_back(Kind::faulty);
  if (selection.canary) wanted.also.push_back(Kind::canary);
  request.transports = select_transports(wanted, registrations());
  ExploreOptions& options = request.options;
  const auto time = settings.find("time");
  options.time_ns = time ? parse_duration_ns(*time) : default_time_ns;
  if (selection.names.empty() && !request.transports.empty()) {
    options.time_ns /= static_cast<std::int64_t>(request.transports.size());
  }
  if (const auto most = settings.find("schedules")) {
    options.schedules = parse_count(*most, 1, 1'000'000'000'000);
    if (!time) options.time_ns = INT64_MAX / 4;
    if (!time) request.budget = fmt::format(" --schedules {}", options.schedules);
  }
  if (const auto seed = settings.find("seed")) {
    options.seed = parse_seed(*seed);
  } else if (::getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed) {
    throw_system_error("getrandom", "");
  }
  const auto jobs = settings.find("jobs");
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  options.jobs = jobs ? static_cast<unsigned>(parse_count(*jobs, 1, jobs_max))
                      : static_cast<unsigned>(std::clamp<long>(cores, 1, jobs_max));
  const ChosenShard chosen = chosen_shard(settings, ::getenv);
  options.part = chosen.shard.index - 1;
  options.parts = chosen.shard.count;
  request.shard_line = shard_line(chosen);
  if (const auto file = settings.find("resume")) {
    request.resume = file->text;
    request.state = read_explore_state(request.resume);
  }
  request.known = read_known_failures(settings, request.transports);
  // A slice of a run comes again and again, and looks at no bundle.
  if (request.resume.empty()) refuse_foreign_bundles(request.known);
  ExploreState& state = request.state;
  if (state.jobs != 0) {
    const bool fits = (!settings.find("seed") || options.seed == state.seed) &&
                      (!jobs || options.jobs == state.jobs) && options.part == state.part &&
                      options.parts == state.parts;
    if (!fits) {
      throw UsageError(request.resume + ": was begun with another seed, number of jobs or shard");
    }
    options.seed = state.seed;
    options.jobs = state.jobs;
  }
  state.seed = options.seed;
  state.jobs = options.jobs;
  state.part = options.part;
  state.parts = options.parts;
  request.json = settings.on("json");
  request.fail_fast = settings.on("fail-fast");
  return request;
}

ExploreTally tally_of(const Registration& registration, std::uint64_t seed,
                      const ExploreResult& result, const std::string& bundle) {
  ExploreTally tally{.transport = std::string(registration.name),
                     .seed = seed_text(seed),
                     .schedules = result.schedules,
                     .points = result.points,
                     .kill_points = result.kill_points,
                     .distinct = result.distinct,
                     .over_budget = result.over_budget,
                     .shared_accesses = result.shared_accesses,
                     .maps_shared_memory = result.maps_shared_memory,
                     .seconds = static_cast<double>(result.elapsed_ns) / 1e9,
                     .seconds_in_processes = static_cast<double>(result.in_processes_ns) / 1e9,
                     .uncontrolled = result.uncontrolled,
                     .unsupported = result.unsupported,
                     .harness_failure = result.harness_failure,
                     .interrupted = result.interrupted,
                     .occasions = result.occasions};
  for (const TrialCoverage& trial : result.trials) {
    if (trial.begun) tally.trials.push_back({trial.name, trial.exhausted, trial.exhaustive});
  }
  for (const KnownSeen& seen : result.known) {
    tally.known.push_back({seen.fingerprint, seen.what, seen.histories});
  }
  if (result.failures.empty()) return tally;
  const ExploreFailure& failure = result.failures.front();
  const Finding* finding = violation_of(failure.judgement);
  if (finding == nullptr) return tally;
  tally.failures.push_back({.promise = std::string(to_string(finding->promise)),
                            .fingerprint = fingerprint(*finding),
                            .what = finding->what,
                            .departures = schedule::to_text(failure.departures),
                            .found_in = failure.found_in,
                            .bundle = bundle,
                            .departures_found = failure.departures_found,
                            .messages = failure.trial.scenario.messages});
  return tally;
}

ExitCode exit_code_of(const ExploreTally& tally, AskedFor asked) {
  if (!tally.failures.empty()) return ExitCode::violation;
  if (!tally.harness_failure.empty()) return ExitCode::harness_failed;
  const Verdict verdict = explore_verdict(tally);
  if (tally.interrupted && verdict == Verdict::inconclusive) return ExitCode::pass;
  return exit_code_of(verdict, asked);
}

class Report {
 public:
  Report(const Request& request, const Settings& settings)
      : request_(request), terminal_(this_terminal(settings)), settings_(settings) {}

  // Keeps the results where parts are to be united: what --json prints, between start and end.
  void start() {
    const bool kept = request_.resume.empty() &&
                      (request_.options.parts > 1 || settings_.find("out").has_value());
    if (!kept) return;
    output_.emplace(settings_.text_or("out", ""));
    CampaignStart start{.seed = seed_text(request_.options.seed),
                        .version = version_text,
                        .started = calendar_utc(),
                        .out = output_->path(),
                        .options = request_.budget,
                        .shard = request_.options.part + 1,
                        .shards = request_.options.parts};
    const Environment here = this_environment();
    if (const auto commit = here.find("commit"); commit != here.end()) {
      start.commit = commit->second;
    }
    for (const Selected& one : request_.transports) {
      start.transports.emplace_back(one.registration->name);
      if (one.asked == AskedFor::by_name) start.named.emplace_back(one.registration->name);
    }
    output_->append(json_start(start, explore_schema));
    complete_ = true;
  }

  void end(ExitCode code, std::int64_t elapsed_ns) {
    if (!complete_) return;
    output_->append(json_end({.seed = seed_text(request_.options.seed), .elapsed_ns = elapsed_ns},
                             static_cast<int>(code), explore_schema));
  }

  // The exit code of this transport.
  ExitCode tell(const Selected& selected, const ExploreResult& result) {
    const Registration& registration = *selected.registration;
    std::string bundle;
    if (!result.failures.empty()) bundle = keep(registration, result.failures.front());
    const ExploreTally tally = tally_of(registration, request_.options.seed, result, bundle);
    const Verdict verdict = explore_verdict(tally);
    if (complete_) output_->append(json_explored(tally));
    if (request_.json) {
      print_result(json_explored(tally));
    } else {
      print_result(
          fmt::format("{}: {}\n", registration.name,
                      painted(verdict, terminal_.results.colour, std::string(to_string(verdict)))));
      if (!result.unsupported.empty()) print_result("  " + result.unsupported + "\n");
      if (result.unsupported.empty()) print_result(explore_coverage(tally));
      if (verdict == Verdict::inconclusive) print_result("  " + explore_doubt(tally) + "\n");
      tell_known(registration, result);
      if (!result.failures.empty()) tell_failure(result.failures.front(), bundle);
    }
    if (!result.harness_failure.empty()) {
      print_note(fmt::format("ipctorture: the harness failed: {}: {}\n", registration.name,
                             result.harness_failure));
    }
    return exit_code_of(tally, selected.asked);
  }

  Progress progress() const {
    return Progress(terminal_.progress, terminal_.progress_width, print_note);
  }

 private:
  std::string keep(const Registration& registration, const ExploreFailure& failure) {
    const Finding* finding = violation_of(failure.judgement);
    if (finding == nullptr) return {};
    if (!output_) output_.emplace(settings_.text_or("out", ""));
    return output_->write_failure(
        result_of(failure), *finding,
        fmt::format("{} --seed {}", registration.name, seed_text(request_.options.seed)),
        recorded_schedule(failure));
  }

  void tell_known(const Registration& registration, const ExploreResult& result) const {
    for (const KnownSeen& seen : result.known) {
      const KnownFailure* entry = request_.known.find(registration.name, seen.fingerprint);
      if (entry == nullptr) continue;
      print_result(fmt::format("  known ({}): {}, in {} histories: {}\n    {}\n", entry->where,
                               seen.fingerprint, seen.histories, seen.what,
                               known_reason(entry->reason, entry->link, entry->expires)));
    }
  }

  void tell_failure(const ExploreFailure& failure, const std::string& bundle) const {
    const std::size_t width = std::max<std::size_t>(terminal_.results.width, 80);
    print_result(failure_text(failure, width, bundle));
  }

  const Request& request_;
  const Terminal terminal_;
  const Settings& settings_;
  std::optional<RunOutput> output_;
  bool complete_ = false;  // results are kept
};

// What became of the entries of known.toml; a violation when one expired, or is gone. An entry may
// be about the free engine alone, so that one is gone says its bundle only, if it has one.
ExitCode settle_known(const Request& request, const std::set<std::string>& seen,
                      const std::atomic<bool>& interrupted) {
  std::vector<KnownEntryTally> entries = request.known.tallies();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].state != KnownState::unseen) continue;
    if (seen.contains(entries[i].where)) {
      entries[i].state = KnownState::seen;
    } else if (request.known.entries()[i].bundle.empty()) {
      entries[i].note = "was not seen, which proves nothing: it has no bundle to ask";
    }
  }
  std::string why;
  if (!request.resume.empty() || request.options.parts > 1) {
    why = "this is a part of an exploration";
  }
  if (interrupted.load()) why = "this exploration was interrupted";
  settle_unseen(request.known, why, &entries, interrupted);
  ExitCode code = ExitCode::pass;
  for (const KnownEntryTally& entry : entries) {
    if (entry.fails()) code = ExitCode::violation;
    if (entry.state == KnownState::seen) continue;
    print_note(fmt::format("ipctorture: known failures: {}\n", known_entry_text(entry)));
  }
  return code;
}

}  // namespace

ExitCode explore(const Settings& settings, const Selection& selection) {
  if (selection.bench) return bench_explore(settings, selection);
  Request request = read_request(settings, selection);
  if (request.transports.empty()) {
    print_note("ipctorture: nothing is selected\n");
    return ExitCode::nothing_selected;
  }
  ExploreRoom room;
  request.options.directory = room.directory();
  request.options.interrupted = room.interrupted();
  if (!request.json) {
    print_result(fmt::format("seed {}\n{}", seed_text(request.options.seed), request.shard_line));
  }
  Report report(request, settings);
  report.start();
  const Instant begun = monotonic_now();
  ExitCode code = ExitCode::pass;
  std::set<std::string> seen;  // entries of known.toml, by their places
  for (const Selected& selected : request.transports) {
    const Registration& registration = *selected.registration;
    request.options.known = request.known.fingerprints_of(registration.name);
    Progress progress = report.progress();
    const Instant began = monotonic_now();
    auto& earlier = request.state.transports[std::string(registration.name)];
    request.options.complete = earlier.complete;
    request.options.first_round = earlier.rounds;
    const ExploreResult result =
        explore_transport(registration, request.options, [&](const ExploreProgress& now) {
          progress.update({.elapsed_ns = monotonic_now() - began,
                           .total_ns = request.options.time_ns,
                           .scenarios = now.schedules,
                           .unit = "schedules",
                           .now = fmt::format("{}: {}", registration.name, now.now)},
                          monotonic_now());
        });
    progress.clear();
    for (const TrialCoverage& trial : result.trials) {
      if (trial.exhausted && trial.exhaustive) earlier.complete.insert(trial.name);
    }
    earlier.rounds = std::max(earlier.rounds, result.rounds);
    if (!request.resume.empty()) write_explore_state(request.resume, request.state);
    code = graver(code, report.tell(selected, result));
    for (const KnownFailure& entry : request.known.entries()) {
      const auto shown = [&](const KnownSeen& one) {
        return one.fingerprint == entry.fingerprint && entry.covers(registration.name);
      };
      if (std::ranges::any_of(result.known, shown)) seen.insert(entry.where);
    }
    if (room.interrupted()->load()) break;
    if (request.fail_fast && code == ExitCode::violation) break;
  }
  code = graver(code, settle_known(request, seen, *room.interrupted()));
  code = graver(code, room.exit_code());
  report.end(code, monotonic_now() - begun);
  return code;
}

}  // namespace ipctorture
