// Sessions: every transport goes through its default schedule; the same departures give the same
// schedule, whichever way the session returns to the beginning; and each way a schedule can end.
#include "harness/schedule/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string why_not(const Session& session) {
  std::string text = session.state().said;
  for (const std::string& line : session.waiting()) text += "\n" + line;
  return text;
}

class ShippedSession : public testing::TestWithParam<std::string> {
 protected:
  const Registration& registration_ = sut_transport(GetParam());
  const Trial trial_ = first_trial(registration_);
};

TEST_P(ShippedSession, CompletesTheDefaultSchedule) {
  Room room(registration_, trial_);
  if (const std::string why = room.session().unsupported(); !why.empty()) GTEST_SKIP() << why;
  ASSERT_EQ(room.session().run({}), Ending::complete) << why_not(room.session());
  EXPECT_FALSE(room.session().ended_in_attach());
  EXPECT_EQ(room.session().state().taken_count, 0u);
  EXPECT_GE(room.session().state().step, 2 * trial_.scenario.messages);
  const History history = room.session().history();
  EXPECT_THAT(history.lanes, SizeIs(trial_.scenario.lanes()));
  for (const LaneHistory& lane : history.lanes) EXPECT_GT(lane.records.size(), 0u);
}

TEST_P(ShippedSession, ReplaysToTheSameTrace) {
  Room room(registration_, trial_);
  Session& session = room.session();
  if (const std::string why = session.unsupported(); !why.empty()) GTEST_SKIP() << why;
  ASSERT_EQ(session.run({}), Ending::complete) << why_not(session);
  const std::uint64_t default_hash = session.state().hash;
  const Plan plan = keyed_plan(departures_within(session, 3));
  const Ending ending = session.run(plan);
  const Control& state = session.state();
  const std::uint64_t hash = state.hash, history = session.history_hash();
  const Departures taken = taken_in(session);
  ASSERT_THAT(taken, testing::Not(IsEmpty()));
  EXPECT_NE(hash, default_hash);
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(session.run(plan), ending) << "round " << round << ": " << why_not(session);
    ASSERT_EQ(state.hash, hash) << "round " << round;
    ASSERT_EQ(session.history_hash(), history) << "round " << round;
  }
  // What was taken, said again, is the same schedule.
  ASSERT_EQ(session.run(keyed_plan(taken)), ending);
  EXPECT_EQ(state.hash, hash);
}

INSTANTIATE_TEST_SUITE_P(All, ShippedSession, testing::ValuesIn(names_of(Kind::shipped)),
                         [](const auto& one) { return one.param; });

struct Outcomes {
  Ending ending{};
  std::uint64_t trace = 0, history = 0;
  std::string steps;  // lane and kind of each
  bool operator==(const Outcomes&) const = default;
};
Outcomes run_in(Session& session, const Plan& plan) {
  Outcomes result{.ending = session.run(plan)};
  result.trace = session.state().hash;
  result.history = session.history_hash();
  for (const Step& step : trace_of(session)) {
    result.steps += std::to_string(step.lane) + " " + std::string(to_string(step.point)) + "\n";
  }
  return result;
}

class SharingAnAddressSpace : public testing::TestWithParam<std::string> {};

TEST_P(SharingAnAddressSpace, FibersAndProcessesTakeTheSameSteps) {
  const Registration& registration = sut_transport(GetParam());
  const Scenario scenario = first_trial(registration).scenario;
  std::vector<Plan> plans = {{}};
  std::vector<Outcomes> in_processes;
  {
    Room room(registration, scenario, Backend::processes);
    if (const std::string why = room.session().unsupported(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(room.session().run({}), Ending::complete);
    plans.push_back(keyed_plan(departures_within(room.session(), 3)));
    plans.push_back({.source = Source::walk, .seed = 7, .walk_one_in = 3});
    plans.push_back({.source = Source::pct, .seed = 7, .priority_changes = 3});
    for (const Plan& plan : plans) in_processes.push_back(run_in(room.session(), plan));
  }
  Room room(registration, scenario, Backend::fibers);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const Outcomes in_fibers = run_in(room.session(), plans[i]);
    EXPECT_EQ(in_fibers.steps, in_processes[i].steps) << "plan " << i;
    EXPECT_EQ(in_fibers.ending, in_processes[i].ending) << "plan " << i;
    EXPECT_EQ(in_fibers.history, in_processes[i].history) << "plan " << i;
    // Descriptors are part of a trace, and have other numbers when all are in one table.
    if (room.session().maps_shared_memory()) {
      EXPECT_EQ(in_fibers.trace, in_processes[i].trace) << "plan " << i;
    }
  }
}

std::vector<std::string> sharing() {
  std::vector<std::string> names;
  for (const Registration* one : sut_transports()) {
    const bool sound = one->kind == Kind::shipped || one->name.ends_with("_twin");
    if (one->contract.may_share_address_space && sound) {
      names.emplace_back(one->name);
    }
  }
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, SharingAnAddressSpace, testing::ValuesIn(sharing()),
                         [](const auto& one) { return one.param; });

class Returning : public testing::TestWithParam<Backend> {};

// A schedule after others, begun from the snapshot, is as one begun by attaching anew.
TEST_P(Returning, TheSnapshotIsAsGoodAsANewBeginning) {
  const Registration& ring = sut_transport("shm_ring");
  const Scenario scenario = first_trial(ring).scenario;
  const Plan walk{.source = Source::walk, .seed = 3, .walk_one_in = 2};
  Outcomes anew;
  {
    Room room(ring, scenario, GetParam());
    anew = run_in(room.session(), walk);  // the first of a session attaches
  }
  Room room(ring, scenario, GetParam());
  for (std::uint64_t seed = 10; seed < 30; ++seed) {
    room.session().run({.source = Source::walk, .seed = seed});
    ASSERT_TRUE(room.session().returns_by_snapshot());
    ASSERT_EQ(run_in(room.session(), walk), anew) << "after seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Returning, testing::Values(Backend::fibers, Backend::processes),
                         [](const auto& one) { return std::string(to_string(one.param)); });

TEST(Session, KillsWhereItIsToldTo) {
  const Registration& registration = sut_transport("crash_hole_twin");
  const Scenario scenario = first_trial(registration).scenario;
  Room room(registration, scenario, Backend::processes);
  Session& session = room.session();
  const Outcomes before = run_in(session, {});
  ASSERT_EQ(before.ending, Ending::complete);
  const std::uint32_t middle = session.state().lane[0].steps / 2;
  Plan plan = keyed_plan({{.step = middle, .lane = 0, .change = Change::kill}});
  const Ending ending = session.run(plan);
  EXPECT_EQ(session.state().killed_lanes, 1u);
  EXPECT_THAT(to_text(taken_in(session)), "0@" + std::to_string(middle) + ":kill");
  EXPECT_EQ(session.state().lane[0].steps, middle);
  EXPECT_EQ(session.state().lane[0].waiting, Waiting::dead);
  // The consumer, for which nobody is left to send and who is never told, waits for ever.
  EXPECT_EQ(ending, Ending::deadlock);
  const History history = session.history();
  EXPECT_EQ(std::count_if(history.evidence.begin(), history.evidence.end(),
                          [](const Evidence& e) { return e.fact == Fact::killed && e.lane == 0; }),
            1);
  EXPECT_FALSE(history.has(Fact::died));
  // And afterwards all is as before.
  EXPECT_EQ(run_in(session, {}), before);
}

TEST(Session, TheSuccessorOfAKilledLaneFinishes) {
  const Registration& registration = sut_transport("shm_queue");
  ASSERT_TRUE(registration.contract.survives_producer_death);
  const std::vector<Trial> trials = portfolio("shm_queue", registration.contract, 1);
  const auto trial = std::find_if(trials.begin(), trials.end(), [](const Trial& one) {
    return one.kind == TrialKind::kill && (one.kill_lanes & 1) != 0;
  });
  ASSERT_NE(trial, trials.end());
  Room room(registration, *trial);
  Session& session = room.session();
  ASSERT_EQ(session.run(trial->plan()), Ending::complete) << why_not(session);
  // Up to where it comes to rest: after that it is the harness that has it send marks.
  std::uint32_t rests_at = 0;
  for (const Step& step : trace_of(session)) {
    rests_at += step.lane == 0 ? 1 : 0;
    if (step.lane == 0 && step.point == Point::order) break;
  }
  for (std::uint32_t step = 1; step < rests_at; step += 3) {
    const Ending ending =
        session.run(keyed_plan({{.step = step, .lane = 0, .change = Change::kill}}));
    ASSERT_EQ(ending, Ending::complete) << "killed at " << step << ": " << why_not(session);
    EXPECT_EQ(session.state().killed_lanes, 1u);
    for (unsigned lane = 1; lane < trial->scenario.lanes(); ++lane) {
      EXPECT_EQ(session.state().lane[lane].waiting, Waiting::finished) << lane;
    }
  }
}

TEST(Session, FibersCannotBeKilled) {
  const Registration& ring = sut_transport("shm_ring");
  Room room(ring, first_trial(ring).scenario, Backend::fibers);
  EXPECT_EQ(room.session().run(keyed_plan({{.step = 3, .lane = 0, .change = Change::kill}})),
            Ending::complete);
  EXPECT_EQ(room.session().state().killed_lanes, 0u);
}

class StrictReplay : public testing::Test {
 protected:
  StrictReplay() {
    room_.session().run({.source = Source::walk, .seed = 5});
    plan_ = keyed_plan(taken_in(room_.session()));
    plan_.expected = trace_of(room_.session());
  }

  const Registration& ring_ = sut_transport("shm_ring");
  Room room_{ring_, first_trial(ring_)};
  Plan plan_;
};

TEST_F(StrictReplay, TheRecordedScheduleIsFollowed) {
  const std::uint64_t hash = room_.session().state().hash;
  EXPECT_EQ(room_.session().run(plan_), Ending::complete) << room_.session().state().said;
  EXPECT_EQ(room_.session().state().hash, hash);
}

TEST_F(StrictReplay, AnyOtherStepIsNamed) {
  ASSERT_GT(plan_.expected.size(), 40u);
  const std::vector<Step> recorded = plan_.expected;
  for (const std::size_t at : {std::size_t{1}, recorded.size() / 2, recorded.size() - 1}) {
    for (int what = 0; what < 3; ++what) {
      plan_.expected = recorded;
      Step& step = plan_.expected[at];
      if (what == 0) step.key ^= 8;
      if (what == 1) step.lane ^= 1;
      if (what == 2) step.point = step.point == Point::fence ? Point::sleep : Point::fence;
      ASSERT_EQ(room_.session().run(plan_), Ending::diverged) << at << ", " << what;
      EXPECT_THAT(room_.session().state().said,
                  HasSubstr("at step " + std::to_string(at + 1) + ": expected"));
      EXPECT_EQ(room_.session().state().step, at + 1);
    }
  }
}

TEST_F(StrictReplay, AScheduleThatGoesOnLongerIsNoticed) {
  room_.session().run(plan_);  // what is left of a longer record must not count
  plan_.expected.resize(plan_.expected.size() - 5);
  EXPECT_EQ(room_.session().run(plan_), Ending::diverged);
  EXPECT_THAT(room_.session().state().said, HasSubstr("expected the end"));
}

Scenario five_and_more(const Registration& canary) {
  Scenario scenario = first_trial(canary).scenario;
  scenario.messages = 6;
  return scenario;
}

TEST(Ending, EndlessTriesAreALivelock) {
  const Registration& canary = sut_transport("canary_spin");
  Room room(canary, five_and_more(canary), Backend::processes);
  ASSERT_EQ(room.session().run({.step_budget = 2000}), Ending::livelock);
  EXPECT_LE(room.session().state().step, 4000u + alone_max);
}

TEST(Ending, WaitingForNobodyIsADeadlock) {
  const Registration& canary = sut_transport("canary_hang");
  Room room(canary, five_and_more(canary), Backend::processes);
  ASSERT_EQ(room.session().run({}), Ending::deadlock);
  EXPECT_THAT(room.session().waiting(), testing::Contains(HasSubstr("lane 1 waits in futex_wait")));
  const History history = room.session().history();
  EXPECT_TRUE(history.has(Fact::deadlocked));
  EXPECT_TRUE(history.has(Fact::waiting_in));
}

TEST(Ending, AWorkerThatDiesIsACrash) {
  const Registration& canary = sut_transport("canary_crash");
  Room room(canary, five_and_more(canary), Backend::processes);
  ASSERT_EQ(room.session().run({}), Ending::crash);
  const History history = room.session().history();
  const auto died = std::find_if(history.evidence.begin(), history.evidence.end(),
                                 [](const Evidence& e) { return e.fact == Fact::died; });
  ASSERT_NE(died, history.evidence.end());
  EXPECT_EQ(died->lane, 1);
  EXPECT_EQ(WTERMSIG(static_cast<int>(died->value)), SIGSEGV);
}

TEST(Ending, RacesEndWhereTheyAreSeen) {
  const Registration& racy = sut_transport("publish_before_copy");
  Room room(racy, first_trial(racy).scenario, Backend::fibers);
  Ending ending = Ending::complete;
  for (std::uint64_t seed = 1; seed < 50 && ending == Ending::complete; ++seed) {
    ending = room.session().run({.source = Source::walk, .seed = seed, .walk_one_in = 3});
  }
  ASSERT_EQ(ending, Ending::race);
  EXPECT_THAT(room.session().state().said, HasSubstr("is not ordered after lane"));
}

int open_descriptors() {
  int open = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++open;
  }
  return open;
}

// Whichever way its last schedule ended.
class LeavesNothing : public testing::TestWithParam<std::pair<Backend, const char*>> {};

TEST_P(LeavesNothing, BehindASession) {
  const auto& [backend, name] = GetParam();
  const Registration& registration = sut_transport(name);
  const int before = open_descriptors();
  std::string directory, object;
  {
    Room room(registration, five_and_more(registration), backend);
    directory = room.directory();
    object = "/dev/shm/" + room.options()[0].name;
    const Ending ending = room.session().run({});
    EXPECT_EQ(ending == Ending::complete, std::string_view(name) != "canary_hang");
    EXPECT_TRUE(std::filesystem::exists(object)) << "not where this test looks";
  }
  EXPECT_FALSE(std::filesystem::exists(object));
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

INSTANTIATE_TEST_SUITE_P(All, LeavesNothing,
                         testing::Values(std::pair(Backend::processes, "shm_ring"),
                                         std::pair(Backend::fibers, "shm_ring"),
                                         std::pair(Backend::processes, "canary_hang"),
                                         std::pair(Backend::fibers, "canary_hang")),
                         [](const auto& one) {
                           return std::string(one.param.second) + "_" +
                                  std::string(to_string(one.param.first));
                         });

}  // namespace
}  // namespace ipctorture::schedule
