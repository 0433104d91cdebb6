// What `run --bench` measures with: medians, the table, and bare loops that really move messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "stress/bench/bare_loop.h"
#include "stress/bench/figure.h"

namespace ipctorture {
namespace {

TEST(Figure, MedianIsTheMiddleOne) {
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({7}), 7);
  EXPECT_THROW(median({}), std::invalid_argument);
}

const Figure slow{.name = "pipe", .unit = "x", .bound = 0.8, .measured = 0.79, .detail = "a"};
const Figure quick{
    .name = "check", .unit = "s", .asked = Asked::at_most, .bound = 1, .measured = 0.5};

TEST(Figure, SaysWhatWasMissed) {
  EXPECT_FALSE(slow.met());
  EXPECT_TRUE(quick.met());
  EXPECT_EQ(figure_table({slow, quick}, {}),
            "figure      asked  measured          from\n"
            "pipe    >= 0.80 x    0.79 x  MISSED  a\n"
            "check   <= 1.00 s    0.50 s  met\n");
}

TEST(Figure, IsOneJsonLine) {
  const std::string line = figure_json(slow);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["schema"], "ipctorture-bench/1");
  EXPECT_EQ(json["at_least"], 0.8);
  EXPECT_EQ(json["met"], false);
}

class BareLoopTest : public ::testing::TestWithParam<BareLoop> {};

TEST_P(BareLoopTest, MovesMessages) {
  for (const std::size_t size : {64u, 4096u}) {
    EXPECT_GT(messages_per_second(GetParam(), size, 1000), 0);
  }
}

TEST_P(BareLoopTest, SaysWhenACallFails) {
  BareLoop broken = GetParam();
  broken.send = [](int, std::byte*, std::size_t) { return false; };
  EXPECT_THROW(messages_per_second(broken, 64, 10), std::runtime_error);
}

INSTANTIATE_TEST_SUITE_P(All, BareLoopTest, ::testing::ValuesIn(bare_loops()),
                         [](const auto& one) { return std::string(one.param.transport); });

}  // namespace
}  // namespace ipctorture
