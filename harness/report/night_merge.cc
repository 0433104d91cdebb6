// Many steps see the same failure: it is told once, with the sighting that replays best.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "harness/report/night.h"
#include "harness/report/replay_line.h"

namespace ipctorture {
namespace {

using Name = std::pair<std::string, std::string>;

// The lower, the better to replay.
unsigned rank(const NightSighting& sighting, const std::string& sanitizer) {
  const unsigned without = sighting.bundle.empty() ? 4 : 0;
  return without + (sighting.exact ? 0 : 2) + (sanitizer == "plain" ? 0 : 1);
}

// Flags that came from a file are shown as a command only when no shell could take them for more.
bool is_plain(std::string_view flags) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=, ";
  return !flags.empty() && flags.find_first_not_of(plain) == std::string_view::npos;
}

class Merger {
 public:
  void add(const NightStep& step, Night* night) {
    for (const NightSighting& sighting : step.sightings) add(sighting, step, night);
  }

 private:
  void add(const NightSighting& sighting, const NightStep& step, Night* night) {
    const Name name{sighting.transport, sighting.fingerprint};
    auto place = places_.find(name);
    if (place == places_.end()) {
      if (night->failures.size() >= night_failures_max) {
        ++night->failures_left_out;
        return;
      }
      place = places_.emplace(name, night->failures.size()).first;
      night->failures.push_back({.best = sighting,
                                 .program = step.program,
                                 .key = failure_key(name.first, name.second),
                                 .step = step.name});
      ranks_.push_back(rank(sighting, step.sanitizer));
    }
    NightFailure& failure = night->failures[place->second];
    failure.engines.insert(sighting.exact && step.engine == "run" ? "explore" : step.engine);
    failure.sanitizers.insert(step.sanitizer);
    if (last_step_.insert({name, step.name}).second) ++failure.steps;
    if (rank(sighting, step.sanitizer) < ranks_[place->second]) {
      ranks_[place->second] = rank(sighting, step.sanitizer);
      failure.best = sighting;
      failure.program = step.program;
      failure.step = step.name;
    }
  }

  std::map<Name, std::size_t> places_;
  std::vector<unsigned> ranks_;
  std::set<std::pair<Name, std::string>> last_step_;
};

void tell_first_seen(Night* night) {
  for (NightFailure& failure : night->failures) {
    const Name name{failure.best.transport, failure.best.fingerprint};
    failure.first_date = night->frame.date;
    failure.first_commit = night->frame.commit;
    failure.is_new = true;
    for (const NightFigures& earlier : night->earlier) {
      const auto found = earlier.failures.find(name);
      if (found == earlier.failures.end()) continue;
      if (failure.is_new) {
        failure.first_date = found->second.date;
        failure.first_commit = found->second.commit;
      }
      failure.is_new = false;
      ++failure.nights;
    }
  }
}

void tell_gone(Night* night) {
  if (night->earlier.empty()) return;
  std::set<Name> now;
  for (const NightFailure& failure : night->failures) {
    now.insert({failure.best.transport, failure.best.fingerprint});
  }
  for (const auto& [name, first] : night->earlier.back().failures) {
    if (!now.contains(name)) night->gone.push_back(name);
  }
}

}  // namespace

std::string failure_key(const std::string& transport, const std::string& fingerprint) {
  const std::string name = transport + '\0' + fingerprint;
  return fmt::format("{:016x}", XXH3_64bits(name.data(), name.size()));
}

std::string replay_command(const NightFailure& failure) {
  const NightSighting& best = failure.best;
  const std::string program = failure.program.empty() ? "build/dev/ipctorture" : failure.program;
  const std::string& path = failure.shrunk.empty() ? best.bundle : failure.shrunk;
  if (failure.became_bundle) return replay_line("build/dev/ipctorture", path);
  if (best.is_input && !path.empty()) {
    // "fuzz: schedule-shm_ring": a target over a transport.
    const std::size_t dash = best.transport.find('-');
    const std::string flag = dash == std::string::npos
                                 ? ""
                                 : " --transport=" + shell_word(best.transport.substr(dash + 1));
    return shell_word(program) + flag + " " + shell_word(path);
  }
  if (!path.empty()) return replay_line(program, path);
  if (best.is_missed) {
    return shell_word(program) + " score " + shell_word(best.transport) + " --seeds 1";
  }
  return is_plain(best.again) ? rerun_line(program, best.again) : "";
}

Night merge_night(NightFrame frame, std::vector<NightStep> steps,
                  std::vector<NightFigures> earlier) {
  Night night{.frame = std::move(frame), .steps = std::move(steps), .earlier = std::move(earlier)};
  std::erase_if(night.earlier,
                [&](const NightFigures& one) { return one.night == night.frame.night; });
  Merger merger;
  for (const NightStep& step : night.steps) merger.add(step, &night);
  tell_first_seen(&night);
  tell_gone(&night);
  std::ranges::sort(night.failures, {}, [](const NightFailure& failure) {
    return std::tuple(failure.best.known, !failure.is_new, failure.best.transport,
                      failure.best.fingerprint);
  });
  return night;
}

NightFigures figures_of(const Night& night, int exit_code) {
  NightFigures figures{.night = night.frame.night,
                       .date = night.frame.date,
                       .commit = night.frame.commit,
                       .exit_code = exit_code};
  for (const NightStep& step : night.steps) {
    if (step.engine != "checks") figures.used_s += step.used_s;
    for (const NightCell& cell : step.cells) {
      figures.scenarios += cell.scenarios;
      figures.schedules += cell.schedules;
    }
    if (!step.fuzz) continue;
    figures.executions += step.fuzz->executions;
    if (step.superseded) continue;
    figures.coverage += step.fuzz->coverage;
    figures.corpus_files += step.fuzz->corpus_files;
  }
  for (const NightFailure& failure : night.failures) {
    figures.failures[{failure.best.transport, failure.best.fingerprint}] = {
        .date = failure.first_date, .commit = failure.first_commit};
  }
  return figures;
}

}  // namespace ipctorture
