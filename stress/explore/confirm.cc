#include "stress/explore/confirm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "harness/base/clock.h"
#include "harness/explore_scenario.h"
#include "harness/launch/active.h"
#include "harness/launch/run_directory.h"
#include "harness/scenario/options.h"
#include "harness/schedule/search.h"
#include "harness/shrink/ddmin.h"
#include "stress/explore/shard.h"

namespace ipctorture {
namespace {

using schedule::Departures;
using schedule::Ending;
using schedule::Plan;
using schedule::Session;
using schedule::Trial;

constexpr std::int64_t smaller_patience_ns = 2'000'000'000;  // of each smaller scenario
constexpr unsigned smaller_bound = 2;

// A session in worker processes, with its private directory and its note of what exists.
class Laboratory {
 public:
  Laboratory(const Registration& registration, const Trial& trial, const std::string& directory)
      : registration_(registration),
        trial_(trial),
        parent_(directory),
        directory_(directory + "/xc"),
        active_(directory + "/engine-xc.active") {
    if (::mkdir(directory_.c_str(), 0700) != 0) throw_system_error("mkdir", directory_);
    for (unsigned channel = 0; channel < trial.scenario.channels(); ++channel) {
      names_.push_back(make_options(trial.scenario, registration.contract, channel, directory_));
      active_.set(channel, std::string(registration.name), names_.back());
    }
    session_ = std::make_unique<Session>(trial.scenario, registration, schedule::Backend::processes,
                                         names_, trial.late_lanes);
  }
  ~Laboratory() {
    session_.reset();
    for (unsigned channel = 0; channel < names_.size(); ++channel) active_.clear(channel);
    // A transport may have left something in it.
    const Descriptor parent(::open(parent_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (parent.valid()) remove_tree(parent.get(), "xc");
  }
  Laboratory(const Laboratory&) = delete;
  Laboratory& operator=(const Laboratory&) = delete;

  Session& session() { return *session_; }
  const Options& options() const { return names_.front(); }

  // Do these departures lead to it?
  bool leads_to(const std::string& fingerprint, const Departures& departures) {
    Plan plan = trial_.plan();
    plan.source = schedule::Source::keyed;
    plan.keyed = departures;
    const Ending ending = session_->run(plan);
    if (ending == Ending::uncontrolled || ending == Ending::budget) return false;
    const ScheduleJudge judge(trial_.scenario, registration_.contract);
    return shows(judge.judge_afresh(*session_, ending), fingerprint);
  }

 private:
  const Registration& registration_;
  const Trial trial_;
  const std::string parent_, directory_;
  ActiveFile active_;
  std::vector<Options> names_;
  std::unique_ptr<Session> session_;
};

// How long what was found is made smaller.
struct Patience {
  Instant until;
  const std::atomic<bool>* stop;  // null: nobody ends it
  bool interrupted() const { return stop != nullptr && stop->load(); }
  bool over() const { return interrupted() || monotonic_now() >= until; }
};

Departures minimised(Laboratory& laboratory, const Departures& found,
                     const std::string& fingerprint, const Patience& patience) {
  return ddmin(
      found, [&](const Departures& part) { return laboratory.leads_to(fingerprint, part); },
      [&] { return patience.over(); });
}

// The same failure with fewer messages, found anew by a small exhaustive search (or all kills).
bool find_smaller(const Registration& registration, const std::string& directory,
                  const std::string& fingerprint, Trial& trial, Departures& departures,
                  const Patience& patience) {
  for (std::uint64_t messages = 1; messages < trial.scenario.messages; ++messages) {
    if (patience.interrupted()) return false;
    Trial smaller = trial;
    smaller.scenario.messages = messages;
    Laboratory laboratory(registration, smaller, directory);
    const ScheduleJudge judge(smaller.scenario, registration.contract);
    Departures found;
    bool is_same = false;
    schedule::Coverage coverage;
    schedule::Search search(
        laboratory.session(),
        {.until = std::min(patience.until, monotonic_now() + smaller_patience_ns)},
        [&](Session& session, Ending ending, const Plan&) {
          const bool judged = ending != Ending::uncontrolled && ending != Ending::budget;
          is_same = judged && shows(judge.judge_afresh(session, ending), fingerprint);
          const schedule::Control& state = session.state();
          if (is_same) found.assign(state.taken, state.taken + state.taken_count);
          return is_same || patience.interrupted();
        },
        coverage);
    for (unsigned bound = 0; bound <= smaller_bound && !is_same; ++bound) {
      if (bound == 1 && smaller.kind == schedule::TrialKind::kill) {
        search.kill_everywhere(smaller.kill_lanes, smaller.plan(), 0);
      }
      if (!is_same) search.exhaust(bound, smaller.plan());
    }
    if (!is_same || !laboratory.leads_to(fingerprint, found)) continue;
    trial = smaller;
    departures = found;
    return true;
  }
  return false;
}

// An owned copy of a history whose records are in the lanes.
void own_records(History& history) {
  for (LaneHistory& lane : history.lanes) {
    auto copy = std::make_shared<std::vector<Record>>(lane.records.begin(), lane.records.end());
    lane.records = *copy;
    history.storage.push_back(std::move(copy));
  }
}

// The failing schedule once more, with everything written down.
void write_down(Laboratory& laboratory, const Registration& registration, const std::string& found,
                ExploreFailure& failure) {
  Plan plan = failure.trial.plan();
  plan.source = schedule::Source::keyed;
  plan.keyed = failure.departures;
  plan.keep_log = true;
  Session& session = laboratory.session();
  const Ending ending = session.run(plan);
  const schedule::Control& state = session.state();
  const ScheduleJudge judge(failure.trial.scenario, registration.contract);
  failure.judgement = judge.judge_afresh(session, ending);
  auto& findings = failure.judgement.findings;
  const auto that = std::find_if(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.verdict == Verdict::violation && fingerprint(finding) == found;
  });
  if (that != findings.end()) std::rotate(findings.begin(), that, that + 1);
  failure.history = session.history();
  own_records(failure.history);
  failure.options = laboratory.options();
  failure.lanes = session.names();
  failure.waiting = session.waiting();
  failure.trace_hash = state.hash;
  const std::uint32_t last = std::min(state.step, schedule::trace_max - 1);
  for (std::uint32_t step = 1; step <= last; ++step) {
    failure.trace.push_back(state.trace[step]);
    failure.told.push_back(
        {.step = state.trace[step], .pc = state.log[step].pc, .value = state.log[step].value});
  }
}

}  // namespace

std::optional<Find> find_in_processes(const Registration& registration, const Trial& trial,
                                      const std::string& directory, std::int64_t patience_ns) {
  Laboratory laboratory(registration, trial, directory);
  const ScheduleJudge judge(trial.scenario, registration.contract);
  std::optional<Find> find;
  schedule::Coverage coverage;
  schedule::Search search(
      laboratory.session(), {.until = monotonic_now() + patience_ns},
      [&](Session& session, Ending ending, const Plan&) {
        if (ending == Ending::uncontrolled || ending == Ending::budget) return false;
        const std::string found = controlled_fingerprint(judge.judge_afresh(session, ending));
        if (found.empty()) return false;
        const schedule::Control& state = session.state();
        find = Find{.trial = trial, .departures = {}, .fingerprint = found};
        find->departures.assign(state.taken, state.taken + state.taken_count);
        return true;
      },
      coverage);
  for (unsigned bound = 0; bound <= smaller_bound && !find; ++bound) {
    search.exhaust(bound, trial.plan());
  }
  if (!find) search.wander(trial.scenario.seed, 0, 1u << 30, trial.plan());
  return find;
}

std::optional<ExploreFailure> confirm(const Registration& registration, const Find& find,
                                      const std::string& directory, std::int64_t patience_ns,
                                      const std::atomic<bool>* stop) {
  const Patience patience{.until = monotonic_now() + patience_ns, .stop = stop};
  ExploreFailure failure{.trial = find.trial, .departures = find.departures};
  failure.trial.backend = schedule::Backend::processes;
  failure.departures_found = find.departures.size();
  failure.found_in = find.trial.name;
  {
    Laboratory laboratory(registration, failure.trial, directory);
    if (!laboratory.leads_to(find.fingerprint, failure.departures)) return std::nullopt;
    failure.departures = minimised(laboratory, failure.departures, find.fingerprint, patience);
  }
  find_smaller(registration, directory, find.fingerprint, failure.trial, failure.departures,
               patience);
  Laboratory laboratory(registration, failure.trial, directory);
  failure.departures = minimised(laboratory, failure.departures, find.fingerprint, patience);
  write_down(laboratory, registration, find.fingerprint, failure);
  return failure;
}

ControlledRun search_around(const Registration& registration, const Trial& trial,
                            const Departures& departures, const std::string& fingerprint,
                            const std::string& directory, std::int64_t patience_ns,
                            const std::atomic<bool>& stop) {
  const Instant until = monotonic_now() + patience_ns;
  ControlledRun result{.schedules = 0};
  Laboratory laboratory(registration, trial, directory);
  const ScheduleJudge judge(trial.scenario, registration.contract);
  schedule::Coverage coverage;
  bool found = false;
  const auto goes_on = [&] { return !found && !stop.load() && monotonic_now() < until; };
  schedule::Search search(
      laboratory.session(), {.until = until},
      [&](Session& session, Ending ending, const Plan&) {
        if (ending == Ending::uncontrolled || ending == Ending::budget) return false;
        Judgement judgement = judge.judge_afresh(session, ending);
        found = shows(judgement, fingerprint);
        if (found) result.judgement = std::move(judgement);
        return found || stop.load();
      },
      coverage);
  // The recorded departures, each moved a little: code that changed shifts its steps.
  constexpr int shift_max = 8;
  for (int shift = -shift_max; shift <= shift_max && goes_on(); ++shift) {
    Plan plan = trial.plan();
    plan.source = schedule::Source::keyed;
    plan.keyed = departures;
    for (schedule::Departure& d : plan.keyed) {
      d.step = static_cast<std::uint32_t>(std::max<std::int64_t>(1, std::int64_t{d.step} + shift));
    }
    search.once(plan);
  }
  if (goes_on() && trial.kill_lanes != 0)
    search.kill_everywhere(trial.kill_lanes, trial.plan(), 10);
  for (unsigned bound = 0; bound <= 2 && goes_on(); ++bound) {
    search.exhaust(bound, trial.plan());
  }
  if (goes_on()) search.wander(1, 0, 1u << 30, trial.plan());
  result.schedules = coverage.schedules;
  return result;
}

ControlledRun run_schedule(const Registration& registration, const Trial& trial, const Plan& plan,
                           const std::string& directory) {
  Laboratory laboratory(registration, trial, directory);
  ControlledRun run;
  run.ending = laboratory.session().run(plan);
  run.said = laboratory.session().state().said;
  run.trace_hash = laboratory.session().state().hash;
  const bool judged = run.ending != Ending::uncontrolled && run.ending != Ending::budget &&
                      run.ending != Ending::diverged;
  if (judged) {
    const ScheduleJudge judge(trial.scenario, registration.contract);
    run.judgement = judge.judge_afresh(laboratory.session(), run.ending);
  }
  return run;
}

}  // namespace ipctorture
