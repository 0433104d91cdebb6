// Threads and processes that a transport starts itself, under control: what is right passes, what
// is wrong is found, the same departures give the same schedule, and nobody is left behind. The
// transports are planted (planted/).
#include "harness/schedule/calls/own_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>

#include "harness/schedule/planted/planted.h"
#include "harness/schedule/search.h"
#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;

const Registration& planted(std::string_view name) {
  std::vector<const Registration*> all(ipctorture_planted_registrations(nullptr, 0));
  ipctorture_planted_registrations(all.data(), static_cast<unsigned>(all.size()));
  for (const Registration* one : all) {
    if (one->name == name) return *one;
  }
  throw std::out_of_range("nothing planted as " + std::string(name));
}

std::string why_not(const Session& session) {
  std::string text = session.state().said;
  for (const std::string& line : session.waiting()) text += "\n" + line;
  for (const Evidence& e : session.history().evidence) text += "\n" + e.text;
  return text;
}

bool failed(const Session& session) { return session.history().has(Fact::worker_failed); }

// So many random schedules, of several kinds; stops at the first that does not end so.
Ending wander(Session& session, unsigned schedules, Ending usual = Ending::complete) {
  Ending ending = usual;
  for (unsigned seed = 0; seed < schedules && ending == usual; ++seed) {
    Plan plan{.source = seed % 3 == 2 ? Source::pct : Source::walk,
              .seed = seed + 1,
              .walk_one_in = 2 + seed % 2 * 4,
              .priority_changes = 3};
    ending = session.run(plan);
    if (failed(session)) return Ending::misuse;
  }
  return ending;
}

class Right : public testing::TestWithParam<std::pair<const char*, Backend>> {};

TEST_P(Right, PassesManySchedules) {
  const auto& [name, backend] = GetParam();
  const Registration& registration = planted(name);
  Room room(registration, first_trial(registration).scenario, backend);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete) << why_not(session);
  ASSERT_FALSE(failed(session)) << why_not(session);
  EXPECT_EQ(wander(session, backend == Backend::fibers ? 300 : 60), Ending::complete)
      << why_not(session);
}

TEST_P(Right, ReplaysToTheSameTrace) {
  const auto& [name, backend] = GetParam();
  const Registration& registration = planted(name);
  Room room(registration, first_trial(registration).scenario, backend);
  Session& session = room.session();
  ASSERT_EQ(session.run({.source = Source::walk, .seed = 11, .walk_one_in = 3}), Ending::complete)
      << why_not(session);
  const Plan plan = keyed_plan(taken_in(session));
  const std::uint64_t hash = session.state().hash, history = session.history_hash();
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(session.run(plan), Ending::complete) << round << ": " << why_not(session);
    ASSERT_EQ(session.state().hash, hash) << round;
    ASSERT_EQ(session.history_hash(), history) << round;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Right,
    testing::Values(
        std::pair("forwarder", Backend::fibers), std::pair("forwarder", Backend::processes),
        std::pair("threads", Backend::fibers), std::pair("threads", Backend::processes),
        std::pair("recursive", Backend::fibers), std::pair("recursive", Backend::processes),
        std::pair("owners", Backend::fibers), std::pair("owners", Backend::processes),
        std::pair("flagged", Backend::fibers), std::pair("flagged", Backend::processes),
        std::pair("rendezvous", Backend::fibers), std::pair("rendezvous", Backend::processes),
        std::pair("fork_sends", Backend::processes), std::pair("fork_killed", Backend::processes),
        std::pair("fork_left", Backend::processes)),
    [](const auto& one) {
      return std::string(one.param.first) + "_" + std::string(to_string(one.param.second));
    });

class InBoth : public testing::TestWithParam<Backend> {};

// A thread that was started while attaching is part of what a snapshot brings back.
TEST_P(InBoth, ThreadsOfTheAttachAreInTheSnapshot) {
  const Registration& registration = planted("forwarder");
  const Scenario scenario = first_trial(registration).scenario;
  const Plan walk{.source = Source::walk, .seed = 3, .walk_one_in = 2};
  std::uint64_t anew = 0;
  {
    Room room(registration, scenario, GetParam());
    ASSERT_EQ(room.session().run(walk), Ending::complete);
    anew = room.session().state().hash;
  }
  Room room(registration, scenario, GetParam());
  Session& session = room.session();
  for (std::uint64_t seed = 10; seed < 30; ++seed) {
    session.run({.source = Source::walk, .seed = seed});
    ASSERT_TRUE(session.returns_by_snapshot());
    ASSERT_EQ(session.state().lanes, scenario.lanes() + 1);
    ASSERT_EQ(session.run(walk), Ending::complete) << why_not(session);
    ASSERT_EQ(session.state().hash, anew) << "after seed " << seed;
  }
}

TEST_P(InBoth, AThreadsLostWakeUpIsADeadlock) {
  const Registration& registration = planted("forwarder_loses_wakeup");
  Room room(registration, first_trial(registration).scenario, GetParam());
  Session& session = room.session();
  ASSERT_EQ(wander(session, 2000), Ending::deadlock) << why_not(session);
  EXPECT_THAT(session.waiting(), Contains(HasSubstr("thread of worker 0 waits in cond_wait")));
  EXPECT_THAT(session.waiting(), Contains("lane 0 waits for the end of thread of worker 0"));
  EXPECT_THAT(session.names(), Contains("thread of worker 0"));
}

TEST_P(InBoth, ARaceWithTheOwnThreadIsFound) {
  const Registration& registration = planted("forwarder_races");
  Room room(registration, first_trial(registration).scenario, GetParam());
  ASSERT_EQ(wander(room.session(), 500), Ending::race) << why_not(room.session());
  EXPECT_THAT(room.session().state().said,
              AnyOf(HasSubstr("lane 0's write"), HasSubstr("lane 2's write"),
                    HasSubstr("lane 0's read"), HasSubstr("lane 2's read")));
}

TEST_P(InBoth, MoreThreadsThanLanesAreSaid) {
  const Registration& registration = planted("too_many_threads");
  Room room(registration, first_trial(registration).scenario, GetParam());
  ASSERT_EQ(room.session().run({}), Ending::uncontrolled);
  EXPECT_THAT(room.session().state().said, HasSubstr("more threads and processes"));
}

INSTANTIATE_TEST_SUITE_P(Backends, InBoth, testing::Values(Backend::fibers, Backend::processes),
                         [](const auto& one) { return std::string(to_string(one.param)); });

// Where a workload lane is to be killed: at a step of its thread.
TEST(Killed, AThreadTakesItsProcessAlong) {
  const Registration& registration = planted("forwarder");
  Room room(registration, first_trial(registration).scenario, Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete);
  const std::uint32_t steps = session.state().lane[2].steps;
  ASSERT_GT(steps, 4u);
  for (const std::uint32_t step : {1u, steps / 2}) {
    session.run(keyed_plan({{.step = step, .lane = 2, .change = Change::kill}}));
    EXPECT_EQ(session.state().killed_lanes, 0b101u);
    EXPECT_EQ(session.state().lane[0].waiting, Waiting::dead);
    const History history = session.history();
    EXPECT_TRUE(
        std::any_of(history.evidence.begin(), history.evidence.end(),
                    [](const Evidence& e) { return e.fact == Fact::killed && e.lane == 0; }));
    EXPECT_EQ(session.run({}), Ending::complete) << why_not(session);
  }
}

TEST(Killed, AChildDiesAlone) {
  const Registration& registration = planted("fork_left");
  Room room(registration, first_trial(registration).scenario, Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete) << why_not(session);
  ASSERT_EQ(session.run(keyed_plan({{.step = 1, .lane = 2, .change = Change::run, .value = 0},
                                    {.step = 2, .lane = 2, .change = Change::kill}})),
            Ending::complete)
      << why_not(session);
}

TEST(Child, ThatCrashesIsACrashOfItsWorker) {
  const Registration& registration = planted("fork_crashes");
  Room room(registration, first_trial(registration).scenario, Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::crash) << why_not(session);
  const History history = session.history();
  const auto died = std::find_if(history.evidence.begin(), history.evidence.end(),
                                 [](const Evidence& e) { return e.fact == Fact::died; });
  ASSERT_NE(died, history.evidence.end());
  EXPECT_EQ(died->lane, 0);
  EXPECT_EQ(WTERMSIG(static_cast<int>(died->value)), SIGSEGV);
}

TEST(Child, InFibersIsNotControlled) {
  const Registration& registration = planted("fork_in_fibers");
  Room room(registration, first_trial(registration).scenario, Backend::fibers);
  ASSERT_EQ(room.session().run({}), Ending::uncontrolled);
  EXPECT_THAT(room.session().state().said, HasSubstr("fork"));
}

class LeavesNobody : public testing::TestWithParam<const char*> {};

TEST_P(LeavesNobody, BehindASession) {
  const Registration& registration = planted(GetParam());
  std::vector<pid_t> children;
  {
    Room room(registration, first_trial(registration).scenario, Backend::processes);
    for (int round = 0; round < 3; ++round) {
      room.session().run({});
      const Control& state = room.session().state();
      for (unsigned lane = 0; lane < state.lanes; ++lane) {
        if (state.auxiliary[lane].pid > 0) children.push_back(state.auxiliary[lane].pid);
      }
    }
  }
  EXPECT_FALSE(children.empty());
  for (const pid_t child : children) {
    EXPECT_EQ(::kill(child, 0), -1) << "process " << child << " is left";
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

INSTANTIATE_TEST_SUITE_P(All, LeavesNobody,
                         testing::Values("fork_sends", "fork_killed", "fork_left", "fork_crashes"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ipctorture::schedule
