#include "harness/linear/queue.h"

#include <gmock/gmock.h>

#include "harness/linear/agreement.h"

namespace ipctorture::linear {
namespace {

using made_up::Shape;
using testing::Gt;
using testing::IsEmpty;

// How many histories there are keeps the enumeration honest.
TEST(LinearQueue, EverySmallFifoHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally = every_small_history(count, Contract::fifo, 0, {});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided + tally.missed, 0u);
    if (count == 4) {
      EXPECT_THAT(tally.right, Gt(10000u));
      EXPECT_THAT(tally.wrong, Gt(10000u));
    }
  }
}

TEST(LinearQueue, EverySmallSetHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally = every_small_history(count, Contract::set, 0, {});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided + tally.missed, 0u);
  }
}

TEST(LinearQueue, EverySmallPerProducerHistoryIsDecidedAsByBruteForce) {
  for (unsigned count = 1; count <= 4; ++count) {
    const Tally tally =
        every_small_history(count, Contract::per_producer, 0, {.processes_matter = true});
    EXPECT_THAT(tally.trouble, IsEmpty());
    EXPECT_EQ(tally.undecided + tally.missed, 0u);
  }
}

TEST(LinearQueue, EverySmallBoundedHistoryIsJudgedSoundly) {
  const Tally tally = every_small_history(4, Contract::fifo, 1, {.unknown = false, .full = true});
  EXPECT_THAT(tally.trouble, IsEmpty());
  EXPECT_THAT(tally.wrong, Gt(10000u));
  EXPECT_LE(tally.missed, 260u);  // of 79,495: queue.h
}

struct Sort {
  const char* name;
  Contract contract;
  Shape shape;
};

class RandomHistories : public testing::TestWithParam<Sort> {};

TEST_P(RandomHistories, AreDecidedAsByBruteForce) {
  const auto& [name, contract, shape] = GetParam();
  const Tally tally = random_histories_agree(contract, shape, 1);
  EXPECT_THAT(tally.trouble, IsEmpty());
  EXPECT_THAT(tally.right, Gt(random_histories() / 5));
  EXPECT_THAT(tally.wrong, Gt(random_histories() / 50));
  if (shape.capacity == 0) {
    EXPECT_EQ(tally.undecided, 0u);
  }
  RecordProperty("missed", static_cast<int>(tally.missed));
}

INSTANTIATE_TEST_SUITE_P(
    Sorts, RandomHistories,
    testing::Values(
        Sort{"Fifo", Contract::fifo, {.operations = 12}},
        Sort{"FifoLong", Contract::fifo, {.processes = 4, .operations = 14, .length = 8}},
        Sort{"FifoUnknown",
             Contract::fifo,
             {.processes = 5, .operations = 11, .unknown_permille = 60, .length = 5}},
        Sort{"FifoGoesOn",
             Contract::fifo,
             {.operations = 11, .unknown_permille = 60, .length = 5, .go_on = true}},
        Sort{"PerProducerGoesOn",
             Contract::per_producer,
             {.operations = 11, .unknown_permille = 60, .length = 5, .go_on = true}},
        Sort{"FifoBounded", Contract::fifo, {.operations = 11, .capacity = 2}},
        Sort{"Set", Contract::set, {.operations = 12, .length = 6}},
        Sort{"SetUnknown",
             Contract::set,
             {.processes = 5, .operations = 11, .unknown_permille = 60, .length = 5}},
        Sort{"PerProducer", Contract::per_producer, {.operations = 12, .length = 6}},
        Sort{"PerProducerUnknown",
             Contract::per_producer,
             {.processes = 5, .operations = 11, .unknown_permille = 60, .length = 5}}),
    [](const testing::TestParamInfo<Sort>& sort) { return sort.param.name; });

}  // namespace
}  // namespace ipctorture::linear
