// `ipctorture score --transport NAME`: runs the transport, and its mutants, through `ipctorture
// run`, each as a child, and adds up what came of it (worth.h).
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "stress/score_room.h"
#include "stress/selection.h"
#include "stress/verbs.h"
#include "stress/worth.h"

namespace ipctorture {
namespace {

constexpr std::int64_t default_time_ns = 60'000'000'000;
constexpr std::int64_t default_mutant_time_ns = 15'000'000'000;
constexpr unsigned default_seeds = 1;

const Registration& registration_of(const Selection& selection) {
  const Registration& registration = transport_named(selection.transport);
  if (registration.mutation != Mutation::none) {
    throw UsageError(fmt::format("'{}' is a mutant; --transport takes the transport itself, '{}'",
                                 registration.name, parse_mutant(registration.name).transport));
  }
  if (registration.kind == Kind::canary) {
    throw UsageError(fmt::format(
        "'{}' is a canary, broken on purpose: a pass on it is worth nothing", registration.name));
  }
  return registration;
}

Worth read_request(const Settings& settings, const Selection& selection) {
  if (!selection.names.empty()) {
    throw UsageError(fmt::format("--transport {} goes alone, without '{}'", selection.transport,
                                 selection.names.front()));
  }
  const auto twins = settings.find("twin-time");
  if (twins && twins->origin.starts_with("--")) {
    throw UsageError("--twin-time goes with bugs; of a transport's mutants it is --mutant-time");
  }
  const auto time = settings.find("time"), mutants = settings.find("mutant-time");
  return {.transport = std::string(registration_of(selection).name),
          .version = version_text,
          .machine = machine_text(),
          .date = today(),
          .time_ns = time ? parse_duration_ns(*time) : default_time_ns,
          .mutant_time_ns = mutants ? parse_duration_ns(*mutants) : default_mutant_time_ns};
}

class WorthScorer {
 public:
  WorthScorer(Worth worth, const Contract& contract, const Settings& settings)
      : worth_(std::move(worth)),
        contract_(contract),
        excluded_(settings.list("exclude")),
        room_(settings, default_seeds) {}

  ExitCode go() {
    worth_.own = run(worth_.transport, 0, worth_.time_ns, FailFast::no);
    for (unsigned i = 1; i < mutation_count; ++i) {
      worth_.mutants.push_back(score_of(static_cast<Mutation>(i)));
      room_.record(mutant_json(worth_.mutants.back(), worth_));
    }
    room_.record(worth_json(worth_));
    if (!room_.json()) {
      print_result(worth_tables(worth_, room_.width()) + "\n" +
                   worth_totals(worth_, room_.width()));
    }
    room_.write_page(worth_page(worth_));
    return exit_code();
  }

 private:
  // A run that a person ended is no failure of the harness.
  ScoredRun run(const std::string& name, unsigned k, std::int64_t time_ns, FailFast fail_fast) {
    ScoredRun run = room_.run(name, k, time_ns, fail_fast);
    if (room_.interrupted()) run.harness_failed = false;
    return run;
  }

  // Not of what could not run, was interrupted, or is excluded.
  MutantScore score_of(Mutation mutation) {
    MutantScore score{.mutation = mutation, .aim = aim_of(mutation, contract_)};
    if (!score.applies() || worth_.own.unsupported) return score;
    const std::string name = fmt::format("{}__{}", worth_.transport, to_string(mutation));
    const bool excluded = std::ranges::any_of(excluded_, [&](const std::string& glob) {
      return ::fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    });
    for (unsigned k = 0; k < room_.seeds() && !excluded && !room_.interrupted(); ++k) {
      ScoredRun one = run(name, k, worth_.mutant_time_ns, FailFast::yes);
      if (room_.interrupted() && !one.caught) break;
      score.runs.push_back(std::move(one));
    }
    return score;
  }

  ExitCode exit_code() const {
    const Verdict verdict = worth_verdict(worth_);
    const ExitCode code = graver(exit_code_of(verdict, AskedFor::by_name), room_.exit_code());
    return harness_failures(worth_) > 0 ? graver(code, ExitCode::harness_failed) : code;
  }

  Worth worth_;
  const Contract contract_;
  const std::vector<std::string> excluded_;  // globs of mutants' names
  ScoreRoom room_;
};

}  // namespace

ExitCode score_transport(const Settings& settings, const Selection& selection) {
  Worth worth = read_request(settings, selection);
  const Contract& contract = transport_named(worth.transport).contract;
  return WorthScorer(std::move(worth), contract, settings).go();
}

}  // namespace ipctorture
