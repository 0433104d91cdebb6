// The part of merge.h that is about the controlled engine.
#include <fmt/format.h>

#include <algorithm>

#include "stress/merge.h"

namespace ipctorture {
namespace {

// Of a part: the same name may be there several times, complete once it was.
bool completed(const ExploreTally& part, const std::string& name) {
  return std::any_of(part.trials.begin(), part.trials.end(),
                     [&](const auto& trial) { return trial.name == name && trial.complete; });
}

bool mentions(const ExploreTally& tally, const std::string& name) {
  return std::any_of(tally.trials.begin(), tally.trials.end(),
                     [&](const auto& trial) { return trial.name == name; });
}

void add_known(ExploreTally* to, const ExploreTally::Known& known) {
  for (ExploreTally::Known& one : to->known) {
    if (one.fingerprint != known.fingerprint) continue;
    one.histories += known.histories;
    return;
  }
  to->known.push_back(known);
}

void first_of(std::string* to, const std::string& text) {
  if (to->empty()) *to = text;
}

}  // namespace

ExploreTally united_explorations(const std::vector<const ExploreTally*>& parts, bool whole) {
  ExploreTally all{.transport = parts.front()->transport, .seed = parts.front()->seed};
  bool ran = false;
  for (const ExploreTally* part : parts) {
    ran = ran || part->unsupported.empty();
    first_of(&all.unsupported, part->unsupported);
    all.schedules += part->schedules;
    all.points += part->points;
    all.kill_points += part->kill_points;
    all.distinct += part->distinct;
    all.over_budget += part->over_budget;
    all.shared_accesses += part->shared_accesses;
    all.maps_shared_memory = all.maps_shared_memory || part->maps_shared_memory;
    all.seconds += part->seconds;
    all.seconds_in_processes += part->seconds_in_processes;
    first_of(&all.uncontrolled, part->uncontrolled);
    first_of(&all.harness_failure, part->harness_failure);
    all.interrupted = all.interrupted || part->interrupted;
    for (unsigned p = 0; p < promise_count; ++p) all.occasions[p] += part->occasions[p];
    for (const auto& known : part->known) add_known(&all, known);
    for (const auto& failure : part->failures) all.failures.push_back(failure);
    for (const auto& trial : part->trials) {
      if (!mentions(all, trial.name)) all.trials.push_back({trial.name, false, trial.exhaustive});
    }
  }
  if (ran) all.unsupported.clear();
  for (ExploreTally::Trial& trial : all.trials) {
    trial.complete = whole && std::all_of(parts.begin(), parts.end(), [&](const auto* part) {
                       return completed(*part, trial.name);
                     });
  }
  return all;
}

std::string contradiction(const ExploreTally& a, const ExploreTally& b) {
  const auto seen = [](const ExploreTally& tally) {
    return tally.failures.empty() ? std::string("no failure") : tally.failures[0].fingerprint;
  };
  const auto told = [&] { return fmt::format("{}: {} and {}", a.transport, seen(a), seen(b)); };
  const bool same_schedules =
      a.schedules == b.schedules && a.points == b.points && a.trials == b.trials;
  if (same_schedules && (seen(a) != seen(b) || explore_verdict(a) != explore_verdict(b) ||
                         a.occasions != b.occasions)) {
    return told() + fmt::format(" in the same {} schedules", a.schedules);
  }
  for (const auto& [found, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (found->failures.empty() || !other->failures.empty()) continue;
    const std::string& where = found->failures[0].found_in;
    if (completed(*other, where)) return told() + ", though both searched all of: " + where;
  }
  return {};
}

}  // namespace ipctorture
