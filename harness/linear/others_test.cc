// Priority queues, registers and broadcasts against brute force.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/linear/agreement.h"

namespace ipctorture::linear {
namespace {

using made_up::Shape;
using testing::Gt;
using testing::IsEmpty;

TEST(LinearPriority, EverySmallHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally =
        every_small_history(count, Contract::priority, 0, {.unknown = count < 4, .priorities = 2});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided, 0u);
    if (count == 4) {
      EXPECT_EQ(tally.missed, 0u);
    }
  }
}

TEST(LinearLatest, EverySmallHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally = every_small_history(count, Contract::latest, 0, {});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided + tally.missed, 0u);
  }
}

TEST(LinearBroadcast, EverySmallHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally =
        every_small_history(count, Contract::broadcast, 0, {.processes_matter = true});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided, 0u);
    RecordProperty("missed", static_cast<int>(tally.missed));
  }
}

struct Sort {
  const char* name;
  Contract contract;
  Shape shape;
  bool exact = true;
};

class OtherRandomHistories : public testing::TestWithParam<Sort> {};

TEST_P(OtherRandomHistories, AreDecidedAsByBruteForce) {
  const auto& [name, contract, shape, exact] = GetParam();
  const Tally tally = random_histories_agree(contract, shape, 1);
  EXPECT_THAT(tally.trouble, IsEmpty());
  EXPECT_THAT(tally.right, Gt(random_histories() / 5));
  EXPECT_THAT(tally.wrong, Gt(random_histories() / 50));
  if (exact) {
    EXPECT_EQ(tally.undecided + tally.missed, 0u);
  }
  RecordProperty("missed", static_cast<int>(tally.missed));
}

INSTANTIATE_TEST_SUITE_P(
    Sorts, OtherRandomHistories,
    testing::Values(
        Sort{"Priority", Contract::priority, {.operations = 12, .priorities = 3}},
        Sort{"PriorityLong",
             Contract::priority,
             {.processes = 4, .operations = 12, .priorities = 2, .length = 8}},
        Sort{"PriorityUnknown",
             Contract::priority,
             {.processes = 5, .operations = 10, .priorities = 3, .unknown_permille = 60},
             false},
        Sort{"Latest", Contract::latest, {.operations = 12, .length = 6}},
        Sort{"LatestUnknown",
             Contract::latest,
             {.processes = 5, .operations = 11, .unknown_permille = 60, .length = 5}},
        Sort{"Broadcast", Contract::broadcast, {.operations = 12, .length = 5}},
        Sort{"BroadcastJoined",
             Contract::broadcast,
             {.operations = 10, .length = 5, .join = true},
             false},
        Sort{"BroadcastAll",
             Contract::broadcast,
             {.operations = 10, .unknown_permille = 60, .length = 5, .go_on = true, .join = true},
             false},
        Sort{"LatestGoesOn",
             Contract::latest,
             {.operations = 11, .unknown_permille = 60, .length = 5, .go_on = true}},
        Sort{"BroadcastUnknown",
             Contract::broadcast,
             {.processes = 5, .operations = 11, .unknown_permille = 60, .length = 5}}),
    [](const testing::TestParamInfo<Sort>& sort) { return sort.param.name; });

}  // namespace
}  // namespace ipctorture::linear
