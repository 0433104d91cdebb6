// `ipctorture explore --bench`: what the controlled engine costs, measured on one core. Compare
// figures of one run: the machine is shared.
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "harness/explore_scenario.h"
#include "harness/report/summary.h"
#include "harness/scenario/options.h"
#include "harness/schedule/search.h"
#include "stress/explore/controlled_verbs.h"
#include "stress/explore/explore_room.h"
#include "stress/explore/explore_transport.h"
#include "stress/selection.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

using schedule::Backend;
using schedule::Ending;
using schedule::Plan;
using schedule::Search;
using schedule::SearchEnd;
using schedule::Session;

constexpr unsigned rate_rounds = 5;
constexpr std::int64_t rate_slice_ns = 1'000'000'000;
constexpr std::int64_t bound_patience_ns = 120'000'000'000;
constexpr std::int64_t find_patience_ns = 30'000'000'000;
constexpr unsigned replays = 100;

void pin_to_one_core() {
  cpu_set_t given;
  CPU_ZERO(&given);
  if (::sched_getaffinity(0, sizeof given, &given) != 0) return;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (!CPU_ISSET(cpu, &given)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

Scenario small_scenario(const Registration& registration, std::uint32_t producers,
                        std::uint32_t consumers, std::uint64_t messages) {
  const Contract& contract = registration.contract;
  // The portfolio's first scenario, resized: what `explore` itself runs.
  Scenario s = schedule::portfolio(registration.name, contract, 1).front().scenario;
  s.producers = std::min(producers, contract.producers_max);
  s.consumers = std::min(consumers, contract.consumers_max);
  s.messages = messages;
  return s;
}

class Bench {
 public:
  explicit Bench(const std::string& directory) : directory_(directory + "/bench") {
    if (::mkdir(directory_.c_str(), 0700) != 0) throw_system_error("mkdir", directory_);
  }
  ~Bench() { ::rmdir(directory_.c_str()); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  struct Rate {
    double schedules = 0, points = 0;  // per second
  };

  // A slice of an exhaustive search with three departures, judged as always.
  Rate rate(const Registration& registration, Backend backend, bool detect_races) {
    const Scenario scenario = small_scenario(registration, 1, 1, 6);
    Session session(scenario, registration, backend, names(registration, scenario));
    ScheduleJudge judge(scenario, registration.contract);
    schedule::Coverage coverage;
    const Instant began = monotonic_now();
    Search search(
        session, {.until = began + rate_slice_ns},
        [&](Session& ran, Ending ending, const Plan&) {
          judge.judge(ran, ending);
          return false;
        },
        coverage);
    Plan plan;
    plan.detect_races = detect_races;
    while (monotonic_now() < began + rate_slice_ns) search.exhaust(3, plan);
    const double seconds = static_cast<double>(monotonic_now() - began) / 1e9;
    return {static_cast<double>(coverage.schedules) / seconds,
            static_cast<double>(coverage.points) / seconds};
  }

  // Runs all schedules up to a bound. In words: time, schedules, and whether it was completed.
  std::string bound(const Registration& registration, Backend backend, const Scenario& scenario,
                    unsigned bound) {
    Session session(scenario, registration, backend, names(registration, scenario));
    if (const std::string why = session.unsupported(); !why.empty()) return "unsupported";
    ScheduleJudge judge(scenario, registration.contract);
    schedule::Coverage coverage;
    const Instant began = monotonic_now();
    Search search(
        session, {.until = began + bound_patience_ns},
        [&](Session& ran, Ending ending, const Plan&) {
          const Judgement* judgement = judge.judge(ran, ending);
          return judgement != nullptr && violation_of(*judgement) != nullptr;
        },
        coverage);
    const SearchEnd end = search.exhaust(bound, {});
    const auto elapsed = monotonic_now() - began;
    const char* how = end == SearchEnd::exhausted ? ""
                      : end == SearchEnd::stopped ? " VIOLATION"
                                                  : " in part";
    return fmt::format("{} ({}){}{}", human_duration(elapsed),
                       human_count(static_cast<double>(coverage.schedules)), how,
                       judge.uncontrolled().empty() ? "" : " not controlled");
  }

  // How many of `replays` runs of one random schedule had the same trace hash.
  std::string exact_replays(const Registration& registration) {
    const Scenario scenario = small_scenario(registration, 1, 1, 3);
    Session session(scenario, registration, Backend::processes, names(registration, scenario));
    if (!session.unsupported().empty()) return "unsupported";
    session.run({.source = schedule::Source::walk, .seed = 5, .walk_one_in = 4});
    const schedule::Control& state = session.state();
    Plan plan{.source = schedule::Source::keyed};
    plan.keyed.assign(state.taken, state.taken + state.taken_count);
    session.run(plan);
    const std::uint64_t hash = state.hash;
    unsigned same = 0;
    for (unsigned i = 0; i < replays; ++i) {
      session.run(plan);
      same += state.hash == hash ? 1 : 0;
    }
    return fmt::format("{}/{} {:016x}", same, replays, hash);
  }

 private:
  std::vector<Options> names(const Registration& registration, const Scenario& scenario) const {
    std::vector<Options> all;
    for (unsigned channel = 0; channel < scenario.channels(); ++channel) {
      all.push_back(make_options(scenario, registration.contract, channel, directory_));
    }
    return all;
  }

  const std::string directory_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void print_rates(Bench& bench) {
  const Registration& ring = transport_named("shm_ring");
  struct Kind {
    const char* name;
    Backend backend;
    bool races;
    std::vector<double> schedules, points;
  };
  Kind kinds[] = {{"fibers, no race detector", Backend::fibers, false, {}, {}},
                  {"fibers", Backend::fibers, true, {}, {}},
                  {"processes", Backend::processes, true, {}, {}}};
  for (unsigned round = 0; round < rate_rounds; ++round) {
    for (Kind& kind : kinds) {
      const Bench::Rate rate = bench.rate(ring, kind.backend, kind.races);
      kind.schedules.push_back(rate.schedules);
      kind.points.push_back(rate.points);
    }
  }
  print_result("shm_ring, 1x1, 6 messages, one core, median of 5 interleaved seconds:\n");
  for (const Kind& kind : kinds) {
    print_result(fmt::format("  {:<26} {:>6} schedules/s {:>6} points/s\n", kind.name,
                             human_count(median(kind.schedules)),
                             human_count(median(kind.points))));
  }
}

void print_bounds(Bench& bench, const std::vector<Selected>& transports) {
  print_result("\ntime to exhaust (schedules):\n");
  for (const Selected& selected : transports) {
    const Registration& r = *selected.registration;
    std::string line = fmt::format("  {:<16}", r.name);
    line += " processes 1x1x3 bound 2: " +
            bench.bound(r, Backend::processes, small_scenario(r, 1, 1, 3), 2);
    if (r.contract.may_share_address_space) {
      line += ", fibers 1x1x6 bound 3: " +
              bench.bound(r, Backend::fibers, small_scenario(r, 1, 1, 6), 3);
      line += ", fibers 2x2x2 bound 2: " +
              bench.bound(r, Backend::fibers, small_scenario(r, 2, 2, 2), 2);
    }
    print_result(line + "\n");
  }
}

// With default settings, as a person would run it; the canaries and all that has a planted bug.
bool print_finds(const std::string& directory, const ExploreRoom& room) {
  print_result("\ntime to find, shrunk to:\n");
  bool all = true;
  for (const Registration& r : registrations()) {
    const bool broken =
        r.kind != Kind::shipped && !r.name.ends_with("_twin") && r.name != "canary_none";
    if (!broken || room.interrupted()->load()) continue;
    const ExploreResult result = explore_transport(
        r,
        {.directory = directory,
         .time_ns = find_patience_ns,
         .seed = 1,
         .jobs = static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))),
         .interrupted = room.interrupted()},
        [](const ExploreProgress&) {});
    std::string how = "not found";
    if (!result.failures.empty()) {
      const ExploreFailure& failure = result.failures.front();
      const Finding* finding = violation_of(failure.judgement);
      how = fmt::format("{:>7} {:>2} departures  {}", human_duration(result.elapsed_ns),
                        failure.departures.size(),
                        finding != nullptr ? fingerprint(*finding) : std::string("?"));
    } else {
      all = false;
      if (!result.harness_failure.empty()) how += ": " + result.harness_failure;
      if (!result.uncontrolled.empty()) how += ": " + result.uncontrolled;
    }
    print_result(fmt::format("  {:<24} {}\n", r.name, how));
  }
  return all;
}

}  // namespace

ExitCode bench_explore(const Settings&, const Selection& selection) {
  ExploreRoom room;
  const std::vector<Selected> transports =
      select_transports({.names = selection.names}, registrations());
  {
    cpu_set_t given;
    CPU_ZERO(&given);
    ::sched_getaffinity(0, sizeof given, &given);
    pin_to_one_core();
    Bench bench(room.directory());
    if (selection.names.empty()) print_rates(bench);
    print_bounds(bench, transports);
    print_result(fmt::format("\nsame trace hash in {} replays of a random schedule:\n", replays));
    for (const Selected& selected : transports) {
      print_result(fmt::format("  {:<16} {}\n", selected.registration->name,
                               bench.exact_replays(*selected.registration)));
    }
    ::sched_setaffinity(0, sizeof given, &given);
  }
  if (selection.names.empty()) print_finds(room.directory(), room);
  return room.exit_code();
}

}  // namespace ipctorture
