#include "stress/bench/long_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stress/bench/history_plot.h"

namespace ipctorture {
namespace {

using linear::Contract;
using linear::Truth;
using testing::HasSubstr;

// What is measured is long, overlaps, and is right.
TEST(LongHistory, IsRightAndAsLongAsWanted) {
  for (const Contract contract : linear::all_contracts) {
    const bool own = contract == Contract::latest || contract == Contract::broadcast;
    const auto history =
        make_long_history({.contract = own ? contract : Contract::fifo, .operations = 5000});
    EXPECT_EQ(history.size(), 5000u);
    EXPECT_EQ(judge(history, contract).truth, Truth::linearizable) << to_string(contract);
  }
}

TEST(LongHistory, ATroubledOneHasEmptyAndUnknown) {
  const auto history = make_long_history({.operations = 50000, .troubled = true});
  unsigned empty = 0, unknown = 0;
  for (linear::Index i = 0; i < history.size(); ++i) {
    empty += history.outcome[i] == linear::Outcome::empty;
    unknown += history.is_unknown(i);
  }
  EXPECT_GT(empty, 1000u);
  EXPECT_GT(unknown, 10u);
  EXPECT_EQ(judge(history, Contract::fifo).truth, Truth::linearizable);
}

// One exchange in a long history is found, wherever it is, and shown by four operations.
TEST(LongHistory, OneExchangeIsFound) {
  auto history = make_long_history({.operations = 100000});
  const std::size_t first = history.size() / 2;
  std::vector<linear::Index> receives;
  for (auto i = static_cast<linear::Index>(first); receives.size() < 40; ++i) {
    if (history.kind[i] == linear::Kind::receive) receives.push_back(i);
  }
  std::swap(history.value[receives.front()], history.value[receives.back()]);
  const linear::Answer answer = judge(history, Contract::fifo);
  EXPECT_EQ(answer.truth, Truth::violation);
  EXPECT_LE(answer.operations.size(), 4u);
  EXPECT_EQ(judge(history, Contract::priority).truth, Truth::violation);
}

TEST(HistoryPlot, ShowsCurvesAndGrowth) {
  const std::string svg = plot_svg("times", {{"fifo", {{1e4, 1e-4}, {1e5, 1e-3}}}});
  EXPECT_THAT(svg, HasSubstr("<polyline"));
  EXPECT_THAT(svg, HasSubstr("n log n"));
}

}  // namespace
}  // namespace ipctorture
