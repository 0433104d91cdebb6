#include "fuzz/interleavings.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace ipctorture {
namespace {

using Features = std::array<std::uint8_t, 1024>;

Record send(Stamp from, Stamp to) {
  return {.invoked = from,
          .returned = to,
          .what = Record::encode(Op::send, 0, DeadlineMode::never),
          .outcome = static_cast<std::uint8_t>(Outcome::ok)};
}

Features features_of(const std::vector<std::vector<Record>>& lanes) {
  History history;
  for (const auto& records : lanes) history.lanes.push_back({.records = records});
  Features features{};
  note_interleavings(history, features);
  return features;
}

TEST(Interleavings, AreTheSameWhateverTimeTheyTake) {
  EXPECT_EQ(features_of({{send(1, 4)}, {send(2, 3)}}),
            features_of({{send(100, 4000)}, {send(300, 301)}}));
}

TEST(Interleavings, DifferWithTheOrder) {
  const Features one_by_one = features_of({{send(1, 2)}, {send(3, 4)}});
  EXPECT_NE(one_by_one, features_of({{send(3, 4)}, {send(1, 2)}}));
  EXPECT_NE(one_by_one, features_of({{send(1, 3)}, {send(2, 4)}}));
}

TEST(Interleavings, KeepWhatTheBeginningsHaveInCommon) {
  const Features shorter = features_of({{send(1, 2)}, {send(3, 4)}});
  const Features longer = features_of({{send(1, 2), send(5, 6)}, {send(3, 4)}});
  for (std::size_t i = 0; i < shorter.size(); ++i) EXPECT_LE(shorter[i], longer[i]);
  EXPECT_NE(shorter, longer);
}

TEST(Interleavings, ReadAnOperationThatWasCut) {
  const Features cut = features_of({{send(1, 0)}, {send(2, 3)}});
  EXPECT_NE(cut, features_of({{}, {send(2, 3)}}));
  EXPECT_NE(cut, features_of({{send(1, 4)}, {send(2, 3)}}));
  EXPECT_EQ(features_of({}), Features{});
}

}  // namespace
}  // namespace ipctorture
