// Calls that fail as on a machine that is full: which do, what the history says of it, and that a
// lane whose attach failed so tries again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::Contains;
using testing::IsEmpty;

// Two of each, the last of each late: it attaches within the schedule.
Scenario with_latecomers(const Registration& registration) {
  Scenario scenario = first_trial(registration).scenario;
  scenario.producers = std::min(2u, registration.contract.producers_max);
  scenario.consumers = std::min(2u, registration.contract.consumers_max);
  const bool producers = registration.contract.late_producer;
  const bool consumers = registration.contract.late_consumer != LateConsumer::unsupported;
  scenario.late_producers = producers ? scenario.producers - 1 : 0;
  scenario.late_consumers = consumers ? scenario.consumers - 1 : 0;
  return scenario;
}

// A departure for every shortage that the last schedule asked about.
Departures shortages_of(const Session& session) {
  Departures found;
  std::uint32_t steps[lanes_max] = {};
  for (const Step& step : trace_of(session)) {
    const std::uint32_t number = ++steps[step.lane];
    const bool asks =
        step.point == Point::choice && step.key == static_cast<std::uint32_t>(Question::shortage);
    if (!asks) continue;
    for (unsigned answer = 1; answer < step.others; ++answer) {
      found.push_back({.step = number,
                       .lane = step.lane,
                       .change = Change::answer,
                       .value = static_cast<std::uint8_t>(answer)});
    }
  }
  return found;
}

unsigned failed_attaches(const History& history, unsigned lane) {
  const auto records = history.lanes[lane].records;
  return static_cast<unsigned>(std::count_if(records.begin(), records.end(), [](const Record& r) {
    return r.op() == Op::attach && r.result() == Outcome::error;
  }));
}

Plan with_shortages() {
  Plan plan = keyed_plan({});
  plan.shortages = true;
  return plan;
}

class Shortage : public testing::TestWithParam<std::string> {};

TEST_P(Shortage, NoneEndsALane) {
  const Registration& registration = sut_transport(GetParam());
  const Scenario scenario = with_latecomers(registration);
  Room room(registration, scenario, Backend::processes);
  Session& session = room.session();
  if (const std::string why = session.unsupported(); !why.empty()) GTEST_SKIP() << why;
  ASSERT_EQ(session.run(with_shortages()), Ending::complete);
  const Departures all = shortages_of(session);
  for (const Departure& one : all) {
    Plan plan = with_shortages();
    plan.keyed = {one};
    const Ending ending = session.run(plan);
    EXPECT_EQ(ending, Ending::complete) << to_text({one});
    const History history = session.history();
    EXPECT_TRUE(history.has(Fact::shortage)) << to_text({one});
    EXPECT_FALSE(history.has(Fact::worker_failed)) << to_text({one});
  }
}

INSTANTIATE_TEST_SUITE_P(All, Shortage, testing::ValuesIn(names_of(Kind::shipped)),
                         [](const auto& one) { return one.param; });

TEST(Shortages, AreAskedOfTheCallsThatCanFailSo) {
  const Registration& queue = sut_transport("shm_queue");
  Room room(queue, with_latecomers(queue), Backend::processes);
  ASSERT_EQ(room.session().run(with_shortages()), Ending::complete);
  // The late lanes open and map the queue; nobody is asked anything once they have.
  const Departures all = shortages_of(room.session());
  std::set<unsigned> lanes;
  for (const Departure& one : all) lanes.insert(one.lane);
  EXPECT_EQ(lanes, (std::set<unsigned>{1, 3}));
  EXPECT_EQ(all.size(), 4u);
  ASSERT_EQ(room.session().run({}), Ending::complete);
  EXPECT_THAT(shortages_of(room.session()), IsEmpty()) << "nobody asked for them";
}

TEST(Shortages, AnAttachThatFailedIsTriedAgain) {
  const Registration& queue = sut_transport("shm_queue");
  Room room(queue, with_latecomers(queue), Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run(with_shortages()), Ending::complete);
  std::set<std::uint64_t> errors;
  for (const Departure& one : shortages_of(session)) {
    Plan plan = with_shortages();
    plan.keyed = {one};
    ASSERT_EQ(session.run(plan), Ending::complete);
    const History history = session.history();
    EXPECT_EQ(failed_attaches(history, one.lane), 1u) << to_text({one});
    for (const Evidence& e : history.evidence) {
      if (e.fact == Fact::shortage) errors.insert(e.value);
    }
  }
  EXPECT_THAT(errors, Contains(EMFILE));
  EXPECT_THAT(errors, Contains(ENOMEM));
}

TEST(Shortages, AreAFewOfOneSchedule) {
  const Registration& sockets = sut_transport("unix_stream");
  Scenario scenario = first_trial(sockets).scenario;
  scenario.messages = 20;
  Room room(sockets, scenario, Backend::processes);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Plan plan{.source = Source::walk, .seed = seed, .walk_one_in = 3};
    plan.shortages = true;
    ASSERT_EQ(room.session().run(plan), Ending::complete) << seed;
    EXPECT_LE(room.session().state().shortage_count, shortages_max);
  }
}

}  // namespace
}  // namespace ipctorture::schedule
