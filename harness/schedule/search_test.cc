#include "harness/schedule/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::ElementsAre;
using testing::IsSubsetOf;

// What a search ran: departures in words, as often as they came.
using Ran = std::map<std::string, int>;

std::set<std::string> different(const Ran& ran) {
  std::set<std::string> texts;
  for (const auto& [text, times] : ran) texts.insert(text);
  return texts;
}

class SearchTest : public testing::Test {
 protected:
  // Runs a search within these limits; the judge notes, and stops at the schedule of that number.
  template <typename How>
  SearchEnd search(const SearchLimits& limits, How how, std::uint64_t stop_at = UINT64_MAX) {
    ran_.clear();
    coverage_ = {};
    Search one(
        session_, limits,
        [&](Session& session, Ending ending, const Plan&) {
          EXPECT_EQ(ending, Ending::complete);
          ++ran_[to_text(taken_in(session))];
          hashes_.insert(session.state().hash);
          return coverage_.schedules == stop_at;
        },
        coverage_);
    return how(one);
  }
  Ran exhaust(unsigned bound, const SearchLimits& limits = {}) {
    EXPECT_EQ(search(limits, [&](Search& one) { return one.exhaust(bound, {}); }),
              SearchEnd::exhausted);
    return ran_;
  }

  const Registration& ring_ = sut_transport("shm_ring");
  Room room_{ring_, first_trial(ring_).scenario, Backend::fibers};
  Session& session_ = room_.session();
  Coverage coverage_;
  Ran ran_;
  std::set<std::uint64_t> hashes_;
};

TEST_F(SearchTest, NoDepartureIsOneSchedule) {
  EXPECT_THAT(exhaust(0), ElementsAre(std::pair("", 1)));
  EXPECT_EQ(coverage_.schedules, 1u);
  EXPECT_EQ(coverage_.points, session_.state().step);
  EXPECT_GT(coverage_.shared_accesses, 0u);
}

TEST_F(SearchTest, EachBoundHoldsTheOnesBelow) {
  const auto none = different(exhaust(0)), one = different(exhaust(1)), two = different(exhaust(2));
  EXPECT_THAT(none, IsSubsetOf(one));
  EXPECT_THAT(one, IsSubsetOf(two));
  EXPECT_GT(one.size(), 20u);
  EXPECT_GT(two.size(), 5 * one.size());
  for (const std::string& text : one) EXPECT_LE(departures_from_text(text).size(), 1u) << text;
}

TEST_F(SearchTest, EachSetOfDeparturesLeadsToOtherSteps) {
  const std::size_t schedules = exhaust(2).size();
  EXPECT_EQ(schedules, hashes_.size());
}

// Every step of the default schedule at which somebody else could have run is departed from, but
// for those that search.h leaves out.
TEST_F(SearchTest, OneDepartureIsTriedAtEveryStepWorthIt) {
  exhaust(0);
  std::size_t worth = 0;
  const std::vector<Step> trace = trace_of(session_);
  for (std::size_t i = 0; i + 1 < trace.size(); ++i) {
    const Step& step = trace[i];
    const bool left_out = step.point == Point::read || step.point == Point::write ||
                          step.point == Point::copy || step.point == Point::after_store ||
                          step.point == Point::fence;
    const bool goes_on = trace[i + 1].lane == step.lane;  // else the other one is no departure
    if (!left_out && goes_on && (step.others & 255) != 0) ++worth;
  }
  EXPECT_EQ(exhaust(1).size() - 1, worth);
}

TEST_F(SearchTest, ShardsTogetherAreTheWhole) {
  const Ran whole = exhaust(2);
  const std::uint64_t schedules_of_whole = coverage_.schedules;
  for (const unsigned shards : {2u, 3u}) {
    Ran together;
    std::uint64_t schedules = 0;
    for (unsigned shard = 0; shard < shards; ++shard) {
      for (const auto& [text, times] : exhaust(2, {.shard = shard, .shards = shards})) {
        together[text] += times;
      }
      schedules += coverage_.schedules;
    }
    EXPECT_EQ(different(together), different(whole));
    // The root alone, the default schedule, is everybody's.
    EXPECT_EQ(schedules, schedules_of_whole + shards - 1);
  }
}

TEST_F(SearchTest, LimitsAreKept) {
  const auto all = [](Search& one) { return one.exhaust(2, {}); };
  EXPECT_EQ(search({.schedules = 7}, all), SearchEnd::out_of_budget);
  EXPECT_EQ(coverage_.schedules, 7u);
  EXPECT_EQ(search({.until = 1}, all), SearchEnd::out_of_budget);
  EXPECT_EQ(coverage_.schedules, 0u);
  const std::atomic<bool> stop{true};
  EXPECT_EQ(search({.stop = &stop}, all), SearchEnd::out_of_budget);
  EXPECT_EQ(coverage_.schedules, 0u);
}

TEST_F(SearchTest, TheJudgeEndsIt) {
  EXPECT_EQ(search({}, [](Search& one) { return one.exhaust(2, {}); }, 9), SearchEnd::stopped);
  EXPECT_EQ(coverage_.schedules, 9u);
  EXPECT_EQ(
      search({}, [](Search& one) { return one.wander(1, 0, 50, {}); }, 9), SearchEnd::stopped);
  EXPECT_EQ(coverage_.schedules, 9u);
}

TEST_F(SearchTest, ARoundOfASeedIsAlwaysTheSame) {
  const auto round = [&](std::uint64_t seed, std::uint64_t number) {
    search({}, [&](Search& one) { return one.wander(seed, number, 1, {}); });
    return session_.state().hash;
  };
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t number = 0; number < 8; ++number) hashes.push_back(round(1, number));
  // The other way around: what came before does not count.
  for (std::uint64_t number = 8; number-- > 0;) {
    EXPECT_EQ(round(1, number), hashes[number]) << number;
  }
  EXPECT_NE(round(1, 0), round(2, 0));
  EXPECT_NE(round(1, 0), round(1, 4));
}

TEST_F(SearchTest, WanderingSeesManySchedules) {
  EXPECT_EQ(search({}, [](Search& one) { return one.wander(1, 0, 200, {}); }),
            SearchEnd::exhausted);
  EXPECT_EQ(coverage_.schedules, 201u);  // the default one too: it tells how long they are
  EXPECT_GT(hashes_.size(), 100u);
}

// --- kills

class KillSearch : public testing::Test {
 protected:
  // The kills that were tried, in words.
  std::map<std::string, int> kill(std::uint32_t lanes, const SearchLimits& limits, unsigned walks) {
    std::map<std::string, int> kills;
    coverage_ = {};
    Search one(
        room_.session(), limits,
        [&](Session& session, Ending, const Plan&) {
          for (const Departure& departure : taken_in(session)) {
            if (departure.change == Change::kill) ++kills[to_text({departure})];
          }
          return false;
        },
        coverage_);
    EXPECT_EQ(one.kill_everywhere(lanes, {}, walks), SearchEnd::exhausted);
    return kills;
  }

  const Registration& registration_ = sut_transport("crash_hole_twin");
  Room room_{registration_, first_trial(registration_).scenario, Backend::processes};
  Coverage coverage_;
};

TEST_F(KillSearch, EachStepOfALaneIsTriedOnce) {
  ASSERT_EQ(room_.session().run({}), Ending::complete);
  const std::uint32_t steps = room_.session().state().lane[0].steps;
  const auto kills = kill(1, {}, 0);
  EXPECT_EQ(coverage_.kill_points, steps);
  EXPECT_EQ(coverage_.schedules, steps + 1);
  // At its very last step a lane is over: there is nobody left to kill.
  EXPECT_GE(kills.size() + 1, steps);
  for (const auto& [text, times] : kills) {
    EXPECT_EQ(times, 1) << text;
    EXPECT_EQ(text.substr(0, 2), "0@");
  }
}

TEST_F(KillSearch, ShardsShareTheSteps) {
  const auto whole = kill(3, {}, 0);
  const std::uint64_t points = coverage_.kill_points;
  std::map<std::string, int> together;
  std::uint64_t sum = 0;
  for (unsigned shard = 0; shard < 2; ++shard) {
    for (const auto& [text, times] : kill(3, {.shard = shard, .shards = 2}, 0)) {
      together[text] += times;
    }
    sum += coverage_.kill_points;
  }
  EXPECT_EQ(together, whole);
  EXPECT_EQ(sum, points);
}

TEST_F(KillSearch, WalksKillElsewhere) {
  kill(1, {}, 0);
  const std::uint64_t points = coverage_.kill_points;
  kill(1, {}, 2);
  EXPECT_GT(coverage_.kill_points, 2 * points);
}

}  // namespace
}  // namespace ipctorture::schedule
