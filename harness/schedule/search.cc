#include "harness/schedule/search.h"

#include <algorithm>

#include "harness/base/prng.h"

namespace ipctorture::schedule {
namespace {

constexpr std::uint64_t look_at_clock_every = 32;
// Random strategies in turn: walks with these mean distances between switches, then PCT.
constexpr std::uint32_t walk_distances[] = {2, 10, 50};
constexpr unsigned strategies = std::size(walk_distances) + 1;
constexpr std::uint32_t pct_changes = 2;  // depth 3

bool worth_departing(Point point, bool detect_races) {
  switch (point) {
    case Point::read:
    case Point::write:
    case Point::copy:
      return !detect_races;
    case Point::after_store:
    case Point::fence:
      return false;
    default:
      return true;
  }
}

}  // namespace

bool Search::run(const Plan& plan) {
  if (++since_look_ >= look_at_clock_every || since_look_ == 1) {
    since_look_ = 1;
    const bool stopped = limits_.stop != nullptr && limits_.stop->load(std::memory_order_relaxed);
    if (stopped || monotonic_now() >= limits_.until) {
      end_ = SearchEnd::out_of_budget;
      return false;
    }
  }
  if (coverage_.schedules >= limits_.schedules) {
    end_ = SearchEnd::out_of_budget;
    return false;
  }
  const Ending ending = session_.run(plan);
  const Control& state = session_.state();
  ++coverage_.schedules;
  coverage_.points += state.step;
  coverage_.shared_accesses += state.shared_accesses;
  coverage_.over_budget += ending == Ending::budget ? 1 : 0;
  if (!judge_(session_, ending, plan)) return true;
  end_ = SearchEnd::stopped;
  return false;
}

std::vector<Search::Branch> Search::branches_after(std::uint32_t step, const Plan& plan) const {
  std::vector<Branch> branches;
  const Control& state = session_.state();
  const std::uint32_t last = std::min(state.step, trace_max - 1);
  for (std::uint32_t at = step + 1; at <= last; ++at) {
    const Step& taken = state.trace[at];
    if (taken.point == Point::choice) {
      for (unsigned answer = 1; answer < taken.others; ++answer) {
        branches.push_back({at, Change::answer, static_cast<std::uint8_t>(answer)});
      }
      continue;
    }
    if (taken.others == 0 || !worth_departing(taken.point, plan.detect_races)) continue;
    for (unsigned lane = 0; lane < lanes_max; ++lane) {
      const auto value = static_cast<std::uint8_t>(lane);
      if (at < last && state.trace[at + 1].lane == lane) continue;  // it runs next anyway
      if ((taken.others >> lane & 1) != 0) branches.push_back({at, Change::run, value});
      if ((taken.others >> (8 + lane) & 1) != 0) branches.push_back({at, Change::time_out, value});
    }
  }
  return branches;
}

bool Search::descend(Plan& plan, unsigned left) {
  if (!run(plan)) return false;
  if (left == 0) return true;
  const bool first = plan.listed.empty();
  const std::uint32_t last = first ? 0 : plan.listed.back().step;
  const std::vector<Branch> branches = branches_after(last, plan);
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (first && i % limits_.shards != limits_.shard) continue;
    const Branch& branch = branches[i];
    plan.listed.push_back({branch.step, branch.change, branch.value});
    const bool go_on = descend(plan, left - 1);
    plan.listed.pop_back();
    if (!go_on) return false;
  }
  return true;
}

SearchEnd Search::once(const Plan& plan) {
  end_ = SearchEnd::exhausted;
  run(plan);
  return end_;
}

SearchEnd Search::exhaust(unsigned bound, const Plan& base) {
  Plan plan = base;
  plan.source = Source::listed;
  plan.listed.clear();
  end_ = SearchEnd::exhausted;
  descend(plan, std::min(bound, listed_max));
  return end_;
}

SearchEnd Search::wander(std::uint64_t seed, std::uint64_t first, std::uint64_t rounds,
                         const Plan& base) {
  Plan plan = base;
  end_ = SearchEnd::exhausted;
  plan.source = Source::listed;
  if (!run(plan)) return end_;
  const std::uint32_t length = std::min(session_.state().step, trace_max);
  for (std::uint64_t k = first; k < first + rounds; ++k) {
    plan.seed = mix64(seed ^ mix64(k + 1));
    const auto strategy = static_cast<unsigned>(k % strategies);
    if (strategy < std::size(walk_distances)) {
      plan.source = Source::walk;
      plan.walk_one_in = walk_distances[strategy];
    } else {
      plan.source = Source::pct;
      plan.priority_changes = pct_changes;
      plan.steps_guess = length;
    }
    if (!run(plan)) break;
  }
  return end_;
}

SearchEnd Search::kill_everywhere(std::uint32_t lanes, const Plan& base, unsigned walks) {
  end_ = SearchEnd::exhausted;
  for (unsigned walk = 0; walk <= walks; ++walk) {
    Departures way;
    if (walk > 0) {
      Plan random = base;
      random.source = Source::walk;
      random.walk_one_in = walk_distances[walk % std::size(walk_distances)];
      random.seed = mix64(base.seed ^ mix64(walk));
      if (!run(random)) break;
      const Control& state = session_.state();
      way.assign(state.taken, state.taken + state.taken_count);
    }
    if (!kill_within(lanes, base, way)) break;
  }
  return end_;
}

// The lane's own numbers of its steps in the last schedule, questions left out: nobody dies there.
std::vector<std::uint32_t> Search::places_of(unsigned lane) const {
  std::vector<std::uint32_t> places;
  const Control& state = session_.state();
  std::uint32_t own = 0;
  for (std::uint32_t step = 1; step <= std::min(state.step, trace_max - 1); ++step) {
    if (state.trace[step].lane != lane) continue;
    ++own;
    if (state.trace[step].point != Point::choice) places.push_back(own);
  }
  return places;
}

bool Search::kill_within(std::uint32_t lanes, const Plan& base, const Departures& way) {
  Plan plan = base;
  plan.source = Source::keyed;
  plan.keyed = way;
  if (!run(plan)) return false;
  std::uint64_t number = 0;
  const Control& state = session_.state();
  // Whose process is to die, threads of the transport's included; not processes that it started.
  const auto is_target = [&, workload = state.workload_lanes](unsigned lane) {
    if (lane < workload || lane >= state.lanes) return (lanes >> lane & 1) != 0;
    for (unsigned other = 0; other < workload; ++other) {
      const bool same = state.lane[other].process == state.lane[lane].process;
      if (same && (lanes >> other & 1) != 0) return true;
    }
    return false;
  };
  std::uint32_t targets = 0;
  for (unsigned lane = 0; lane < lanes_max; ++lane) targets |= is_target(lane) ? 1u << lane : 0;
  std::vector<std::vector<std::uint32_t>> places;
  for (unsigned lane = 0; lane < lanes_max; ++lane) places.push_back(places_of(lane));
  for (unsigned lane = 0; lane < lanes_max; ++lane) {
    if ((targets >> lane & 1) == 0) continue;
    for (const std::uint32_t step : places[lane]) {
      if (number++ % limits_.shards != limits_.shard) continue;
      plan.keyed = way;
      // One departure a step: the kill takes the place of another.
      std::erase_if(plan.keyed,
                    [&](const Departure& d) { return d.lane == lane && d.step == step; });
      plan.keyed.push_back(
          {.step = step, .lane = static_cast<std::uint8_t>(lane), .change = Change::kill});
      ++coverage_.kill_points;
      if (!run(plan)) return false;
    }
  }
  return true;
}

}  // namespace ipctorture::schedule
