#include "harness/shrink/ddmin.h"

#include <gtest/gtest.h>

#include <numeric>

namespace ipctorture {
namespace {

using Items = std::vector<int>;

const auto never = [] { return false; };

bool has(const Items& items, int wanted) {
  return std::find(items.begin(), items.end(), wanted) != items.end();
}

Items numbered(int count) {
  Items items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  return items;
}

// The measure: a find of 40 operations of which two matter, whichever, in at most 200 runs.
TEST(Ddmin, FindsAnyTwoOfFortyIn200Runs) {
  int most = 0;
  for (int a = 0; a < 40; ++a) {
    for (int b = a + 1; b < 40; ++b) {
      int runs = 0;
      const auto fails = [&](const Items& items) {
        ++runs;
        return has(items, a) && has(items, b);
      };
      ASSERT_EQ(ddmin(numbered(40), fails, never), (Items{a, b}));
      most = std::max(most, runs);
    }
  }
  EXPECT_LE(most, 200);
}

TEST(Ddmin, NoItemOfTheAnswerCanBeLeftOut) {
  // Not monotonic: an even sum of at least 30.
  const auto fails = [](const Items& items) {
    const int sum = std::accumulate(items.begin(), items.end(), 0);
    return sum >= 30 && sum % 2 == 0;
  };
  const Items found = ddmin(numbered(20), fails, never);
  ASSERT_TRUE(fails(found));
  for (std::size_t i = 0; i < found.size(); ++i) {
    Items without = found;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(fails(without));
  }
}

TEST(Ddmin, NothingAtAllIsTheBest) {
  int runs = 0;
  const auto fails = [&](const Items&) { return ++runs > 0; };
  EXPECT_EQ(ddmin(numbered(40), fails, never), Items{});
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(ddmin(Items{}, fails, never), Items{});
  EXPECT_EQ(runs, 1);
}

TEST(Ddmin, StoppedItAnswersTheSmallestSoFar) {
  int runs = 0;
  const auto fails = [&](const Items& items) { return ++runs > 0 && has(items, 7); };
  const auto stop = [&] { return runs == 3; };
  const Items found = ddmin(numbered(40), fails, stop);
  EXPECT_EQ(runs, 3);
  EXPECT_LT(found.size(), 40u);
  EXPECT_TRUE(has(found, 7));
}

}  // namespace
}  // namespace ipctorture
