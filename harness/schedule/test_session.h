// For tests of the controlled engine: the transports of the shared object, sessions over them in a
// directory of their own, and plans made from a schedule that was run.
//
// A process has one Session at a time: so a test has one Room at a time. It forks; no threads.
#pragma once

#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/descriptor.h"
#include "harness/scenario/options.h"
#include "harness/schedule/session.h"
#include "harness/schedule/sut.h"
#include "harness/schedule/trials.h"

namespace ipctorture::schedule {

inline std::vector<const Registration*> sut_transports() {
  std::vector<const Registration*> all(ipctorture_sut_registrations(nullptr, 0));
  ipctorture_sut_registrations(all.data(), static_cast<unsigned>(all.size()));
  return all;
}

// Throws std::out_of_range: a test must not pass because its transport was renamed.
inline const Registration& sut_transport(std::string_view name) {
  for (const Registration* one : sut_transports()) {
    if (one->name == name) return *one;
  }
  throw std::out_of_range("no transport " + std::string(name));
}

// For INSTANTIATE_TEST_SUITE_P.
inline std::vector<std::string> names_of(ipctorture::Kind kind) {
  std::vector<std::string> names;
  for (const Registration* one : sut_transports()) {
    if (one->kind == kind) names.emplace_back(one->name);
  }
  return names;
}

// What the explorer tries first: one producer, one consumer where that makes sense, 3 messages.
inline Trial first_trial(const Registration& registration) {
  return portfolio(registration.name, registration.contract, 1).front();
}

// A session and the directory of its transport; both go with it.
class Room {
 public:
  Room(const Registration& registration, const Trial& trial)
      : Room(registration, trial.scenario, trial.backend, trial.late_lanes) {}
  Room(const Registration& registration, const Scenario& scenario, Backend backend,
       LateLanes late_lanes = LateLanes::come_anyway)
      : directory_("/tmp/ictx-XXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    for (unsigned channel = 0; channel < scenario.channels(); ++channel) {
      options_.push_back(make_options(scenario, registration.contract, channel, directory_));
    }
    pin();
    session_ = std::make_unique<Session>(scenario, registration, backend, options_, late_lanes);
  }
  ~Room() {
    session_.reset();
    ::sched_setaffinity(0, sizeof before_, &before_);
    std::filesystem::remove_all(directory_);
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  Session& session() { return *session_; }
  const std::string& directory() const { return directory_; }
  const std::vector<Options>& options() const { return options_; }

 private:
  // As a shard of the explorer: handing on from process to process costs a tenth on one core.
  void pin() {
    CPU_ZERO(&before_);
    cpu_set_t here;
    CPU_ZERO(&here);
    const int cpu = ::sched_getcpu();
    if (::sched_getaffinity(0, sizeof before_, &before_) != 0 || cpu < 0) return;
    CPU_SET(static_cast<unsigned>(cpu), &here);
    ::sched_setaffinity(0, sizeof here, &here);
  }

  cpu_set_t before_;
  std::string directory_;
  std::vector<Options> options_;
  std::unique_ptr<Session> session_;
};

// The steps of the last schedule, from step 1.
inline std::vector<Step> trace_of(const Session& session) {
  const Control& state = session.state();
  return {state.trace + 1, state.trace + 1 + state.step};
}

inline Departures taken_in(const Session& session) {
  return {session.state().taken, session.state().taken + session.state().taken_count};
}

// At most `count` departures, spread over the last schedule: another lane runs, where the running
// one went on. Those after the first are guesses, since the schedule changes with it.
inline Departures departures_within(const Session& session, std::size_t count) {
  const std::vector<Step> trace = trace_of(session);
  Departures possible;
  std::uint32_t steps[lanes_max] = {};
  for (std::size_t i = 0; i + 1 < trace.size(); ++i) {
    const Step& step = trace[i];
    const std::uint32_t number = ++steps[step.lane];
    const bool goes_on = trace[i + 1].lane == step.lane && step.point != Point::choice;
    if (!goes_on || (step.others & 255) == 0) continue;
    const int other = __builtin_ctz(step.others & 255u);
    possible.push_back(
        {.step = number, .lane = step.lane, .value = static_cast<std::uint8_t>(other)});
  }
  Departures chosen;
  for (std::size_t i = 0; i < count && !possible.empty(); ++i) {
    const Departure& one = possible[possible.size() * (i + 1) / (count + 1)];
    if (chosen.empty() || !(chosen.back() == one)) chosen.push_back(one);
  }
  return chosen;
}

inline Plan keyed_plan(Departures departures) {
  Plan plan;
  plan.source = Source::keyed;
  plan.keyed = std::move(departures);
  return plan;
}

}  // namespace ipctorture::schedule
