#include "stress/explore/shard.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "harness/base/prng.h"
#include "harness/explore_scenario.h"
#include "harness/launch/active.h"
#include "harness/scenario/options.h"
#include "harness/schedule/search.h"

namespace ipctorture {
namespace {

using schedule::Backend;
using schedule::Ending;
using schedule::Search;
using schedule::SearchEnd;
using schedule::Session;
using schedule::Trial;
using schedule::TrialKind;

constexpr std::int64_t least_slice_ns = 200'000'000;
constexpr std::uint64_t least_schedules = 200;
constexpr std::uint64_t wander_rounds = 1u << 20;  // of one slice, at the most
constexpr std::uint64_t tell_every = 64;

template <std::size_t size>
void write_text(char (&to)[size], const std::string& text) {
  std::strncpy(to, text.c_str(), size - 1);
}

// Cores are given out in turn, of those this process may use.
void pin(unsigned shard) {
  cpu_set_t given;
  CPU_ZERO(&given);
  if (::sched_getaffinity(0, sizeof given, &given) != 0 || CPU_COUNT(&given) == 0) return;
  unsigned skip = shard % static_cast<unsigned>(CPU_COUNT(&given));
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &given) || skip-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

class Shard {
 public:
  Shard(const Registration& registration, const std::vector<Trial>& trials,
        const ExploreOptions& options, unsigned shard, Instant until, ShardBoard& board)
      : registration_(registration),
        trials_(trials),
        options_(options),
        unit_(options.part + options.parts * shard),
        units_(options.parts * options.jobs),
        until_(until),
        began_(monotonic_now()),
        board_(board),
        directory_(options.directory + "/x" + std::to_string(shard)),
        active_(options.directory + "/engine-x" + std::to_string(shard) + ".active") {
    if (::mkdir(directory_.c_str(), 0700) != 0) throw_system_error("mkdir", directory_);
  }
  ~Shard() { ::rmdir(directory_.c_str()); }

  // All trials in their order, the random ones again and again until the time is over.
  void run() {
    for (std::uint64_t round = options_.first_round; !over(); ++round) {
      const bool first = round == options_.first_round;
      board_.rounds.store(round + 1);
      bool wandered = false;
      for (std::size_t i = 0; i < trials_.size() && !over(); ++i) {
        const bool random = trials_[i].kind == TrialKind::wander;
        if (!random &&
            (options_.complete.contains(trials_[i].name) || complete_.contains(trials_[i].name))) {
          board_.state[i].store(TrialState::exhausted);
          continue;
        }
        if (!first && !random) continue;
        wandered = wandered || random;
        run_trial(i, round);
      }
      if (!wandered) return;
    }
  }

 private:
  bool over() const {
    return found_ || board_.unsupported[0] != 0 || monotonic_now() >= until_ ||
           schedules_left() == 0;
  }

  std::uint64_t schedules_left() const {
    const std::uint64_t share =
        options_.schedules / units_ + (options_.schedules % units_ > unit_ ? 1 : 0);
    const std::uint64_t done = board_.schedules.load(std::memory_order_relaxed);
    return done >= share ? 0 : share - done;
  }

  std::uint64_t share_of_schedules(const Trial& trial) const {
    if (options_.schedules == UINT64_MAX) return UINT64_MAX;
    const double share = trial.share * static_cast<double>(options_.schedules) / units_;
    return std::max(least_schedules, static_cast<std::uint64_t>(share));
  }

  void run_trial(std::size_t number, std::uint64_t round) {
    Trial trial = trials_[number];
    if (trial.kind == TrialKind::wander) {
      // Other deadlines, sizes and priorities in every round and shard.
      trial.scenario.seed = mix64(options_.seed ^ mix64(number << 32 | (round * units_ + unit_)));
    }
    board_.trial.store(static_cast<std::uint32_t>(number));
    board_.state[number].store(TrialState::partly);
    const Instant began = monotonic_now();
    std::vector<Options> names;
    for (unsigned channel = 0; channel < trial.scenario.channels(); ++channel) {
      names.push_back(make_options(trial.scenario, registration_.contract, channel, directory_));
      active_.set(channel, std::string(registration_.name), names.back());
    }
    {
      Session session(trial.scenario, registration_, trial.backend, names, trial.late_lanes);
      if (const std::string why = session.unsupported(); !why.empty()) {
        write_text(board_.unsupported, why);
      } else {
        SearchEnd end = search(session, trial, number, round);
        // A known race cuts schedules short: once more, and on beyond it.
        if (std::exchange(past_races_, false)) end = search(session, trial, number, round);
        if (end == SearchEnd::exhausted && trial.kind != TrialKind::wander) {
          board_.state[number].store(TrialState::exhausted);
          complete_.insert(trial.name);
        }
      }
    }
    for (unsigned channel = 0; channel < names.size(); ++channel) active_.clear(channel);
    if (trial.backend == Backend::processes) {
      board_.in_processes_ns.fetch_add(monotonic_now() - began);
    }
  }

  SearchEnd search(Session& session, const Trial& trial, std::size_t number, std::uint64_t round) {
    const auto slice =
        static_cast<std::int64_t>(trial.share * static_cast<double>(until_ - began_));
    const schedule::SearchLimits limits{
        .until = std::min(until_, monotonic_now() + std::max(slice, least_slice_ns)),
        .schedules = std::min(schedules_left(), share_of_schedules(trial)),
        .stop = options_.interrupted,
        .shard = unit_,
        .shards = units_};
    ScheduleJudge judge(trial.scenario, registration_.contract);
    schedule::Coverage coverage;
    Search search(
        session, limits,
        [&](Session& ran, Ending ending, const schedule::Plan&) {
          const bool slow = trial.backend == Backend::processes;
          if (slow || coverage.schedules % tell_every == 0) tell(coverage);
          return examine(judge, ran, ending, number, trial.scenario.seed);
        },
        coverage);
    schedule::Plan plan = trial.plan();
    plan.detect_races = plan.detect_races && races_;
    SearchEnd end{};
    switch (trial.kind) {
      case TrialKind::exhaust:
        end = search.exhaust(trial.bound, plan);
        break;
      case TrialKind::kill:
        end = search.kill_everywhere(trial.kill_lanes, plan, trial.kill_walks);
        break;
      case TrialKind::wander:
        end = search.wander(options_.seed ^ mix64(number), (round * units_ + unit_) * wander_rounds,
                            wander_rounds, plan);
        break;
    }
    tell(coverage);
    told_ = {};
    board_.distinct.fetch_add(judge.distinct_histories());
    for (unsigned p = 0; p < promise_count; ++p) board_.occasions[p] += judge.occasions()[p];
    if (!judge.uncontrolled().empty() && board_.uncontrolled[0] == 0) {
      write_text(board_.uncontrolled, judge.uncontrolled());
    }
    return end;
  }

  // What the coverage has more than when it was last told.
  void tell(const schedule::Coverage& now) {
    board_.schedules.fetch_add(now.schedules - told_.schedules);
    board_.points.fetch_add(now.points - told_.points);
    board_.kill_points.fetch_add(now.kill_points - told_.kill_points);
    board_.over_budget.fetch_add(now.over_budget - told_.over_budget);
    board_.shared_accesses.fetch_add(now.shared_accesses - told_.shared_accesses);
    told_ = now;
  }

  bool examine(ScheduleJudge& judge, const Session& session, Ending ending, std::size_t number,
               std::uint64_t seed) {
    if (session.maps_shared_memory()) board_.maps_shared_memory.store(1);
    if (session.ended_in_attach() && ending == Ending::uncontrolled) {
      write_text(board_.uncontrolled, session.state().said);
      return true;
    }
    const Judgement* judgement = judge.judge(session, ending);
    const Finding* finding = judgement == nullptr ? nullptr : first_unknown(*judgement);
    if (finding == nullptr) {
      past_races_ = races_ && ending == Ending::race;
      races_ = races_ && !past_races_;
      return past_races_;
    }
    const schedule::Control& state = session.state();
    board_.found_trial = static_cast<std::uint32_t>(number);
    board_.found_seed = seed;
    const std::string text = schedule::to_text(
        {state.taken, state.taken + std::min(state.taken_count, schedule::taken_max)});
    if (text.size() >= found_text_max) {
      write_text(board_.failure, "a failing schedule has more departures than can be kept");
    }
    write_text(board_.departures, text);
    write_text(board_.fingerprint, fingerprint(*finding));
    board_.found_races = races_;
    board_.found.store(1);
    found_ = true;
    return true;
  }

  // The first violation that is not known, or null; known ones are counted.
  const Finding* first_unknown(const Judgement& judgement) {
    const Finding* first = nullptr;
    for (const Finding& finding : judgement.findings) {
      if (finding.verdict != Verdict::violation) continue;
      const auto known =
          std::find(options_.known.begin(), options_.known.end(), fingerprint(finding));
      if (known == options_.known.end()) {
        if (first == nullptr) first = &finding;
        continue;
      }
      KnownSightings& seen = board_.known[known - options_.known.begin()];
      if (seen.histories.load() == 0) write_text(seen.what, finding.what);
      seen.histories.fetch_add(1);
    }
    return first;
  }

  const Registration& registration_;
  const std::vector<Trial>& trials_;
  const ExploreOptions& options_;
  const unsigned unit_, units_;  // which this is of all shards of all parts
  const Instant until_, began_;
  ShardBoard& board_;
  const std::string directory_;
  ActiveFile active_;
  schedule::Coverage told_;
  std::set<std::string> complete_;
  bool found_ = false;
  bool races_ = true;        // looked for; no longer once a known one was seen
  bool past_races_ = false;  // that was just now
};

}  // namespace

std::string controlled_fingerprint(const Judgement& judgement) {
  const Finding* finding = violation_of(judgement);
  return finding == nullptr ? std::string() : fingerprint(*finding);
}

bool shows(const Judgement& judgement, const std::string& print) {
  return std::any_of(judgement.findings.begin(), judgement.findings.end(), [&](const auto& one) {
    return one.verdict == Verdict::violation && fingerprint(one) == print;
  });
}

void live_as_shard(const Registration& registration, const std::vector<Trial>& trials,
                   const ExploreOptions& options, unsigned shard, Instant until, ShardBoard& board,
                   pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // it died before we asked to hear of it
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  pin(shard);
  try {
    Shard(registration, trials, options, shard, until, board).run();
  } catch (const std::system_error& error) {
    // The machine's limits are nobody's fault.
    constexpr int limits[] = {ENOSPC, EMFILE, ENFILE, ENOMEM, EDQUOT, EACCES, EPERM, ENOSYS};
    const bool limit =
        std::find(std::begin(limits), std::end(limits), error.code().value()) != std::end(limits);
    if (limit) {
      write_text(board.unsupported, error.what());
    } else {
      write_text(board.failure, error.what());
    }
  } catch (const std::exception& error) {
    write_text(board.failure, error.what());
  }
  ::_exit(0);
}

}  // namespace ipctorture
