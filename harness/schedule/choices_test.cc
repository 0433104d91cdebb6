#include "harness/schedule/choices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "harness/base/prng.h"

namespace ipctorture::schedule {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the reader says of it; empty: it takes it.
std::string refusal(std::string_view text) {
  try {
    departures_from_text(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

const Departures one_of_each = {
    {.step = 17, .lane = 0, .change = Change::run, .value = 1},
    {.step = 4, .lane = 1, .change = Change::kill},
    {.step = 1, .lane = 7, .change = Change::time_out, .value = 7},
    {.step = UINT32_MAX, .lane = 2, .change = Change::answer, .value = 255}};

TEST(Departures, AreWrittenAsWords) {
  EXPECT_EQ(to_text(one_of_each), "0@17:run=1 1@4:kill 7@1:timeout=7 2@4294967295:answer=255");
  EXPECT_EQ(to_text({}), "");
}

TEST(Departures, AreReadAsTheyWereWritten) {
  EXPECT_EQ(departures_from_text(to_text(one_of_each)), one_of_each);
  EXPECT_THAT(departures_from_text(""), IsEmpty());
}

TEST(Departures, AnyAreReadAsTheyWereWritten) {
  Prng rng(1);
  for (int round = 0; round < 500; ++round) {
    Departures before(rng.below(20));
    for (Departure& d : before) {
      d = {.step = static_cast<std::uint32_t>(rng.next() >> (32 + rng.below(32))),
           .lane = static_cast<std::uint8_t>(rng.below(8)),
           .change = static_cast<Change>(rng.below(4))};
      if (d.step == 0) d.step = 1;
      if (d.change != Change::kill) d.value = static_cast<std::uint8_t>(rng.below(8));
    }
    EXPECT_EQ(departures_from_text(to_text(before)), before) << to_text(before);
  }
}

TEST(Departures, SpacesBetweenThemDoNotCount) {
  EXPECT_THAT(departures_from_text("  1@4:kill   0@17:run=1 "),
              ElementsAre(one_of_each[1], one_of_each[0]));
}

class HostileDepartures : public testing::TestWithParam<const char*> {};

TEST_P(HostileDepartures, AreRefusedByName) {
  EXPECT_THAT(refusal(GetParam()), HasSubstr("'" + std::string(GetParam()) + "'"));
  // Among good ones too.
  EXPECT_THAT(refusal("0@1:kill " + std::string(GetParam()) + " 0@2:kill"),
              HasSubstr("'" + std::string(GetParam()) + "'"));
}

INSTANTIATE_TEST_SUITE_P(
    Words, HostileDepartures,
    testing::Values("x", "@", "8@1:kill", "0", "0@", "0@:kill", "0@x:kill", "0@1",
                    "0@1:", "0@1:die", "0@1:run", "0@1:run=", "0@1:run=8", "0@1:run=x",
                    "0@1:timeout=8", "0@1:answer=256", "0@1:answer=-1", "0@-1:kill", "-0@1:kill",
                    "0@4294967296:kill", "99999999999999999999@1:kill", "0@1:kill=0", "0@1:killed",
                    "0@1:run=1,", "+0@1:kill", "0@1:run=1\n", "0@1:Kill", "0x0@1:kill"));

TEST(Departures, ALongWordIsCutInTheMessage) {
  EXPECT_LT(refusal(std::string(100'000, 'x')).size(), 200u);
}

TEST(Departures, ThereMayBeSoManyAndNoMore) {
  std::string text;
  for (std::size_t i = 0; i < departures_max; ++i) text += "0@1:kill ";
  EXPECT_EQ(departures_from_text(text).size(), departures_max);
  EXPECT_THAT(refusal(text + "0@1:kill"), HasSubstr("more than"));
}

// Words that people see, and that tell apart what is different.
TEST(Names, AreAllThereAndAllDifferent) {
  const auto differ = [](unsigned count, auto name_of) {
    std::set<std::string_view> names;
    for (unsigned i = 0; i < count; ++i) names.insert(name_of(i));
    EXPECT_EQ(names.size(), count);
    EXPECT_EQ(names.count(""), 0u);
  };
  EXPECT_EQ(static_cast<unsigned>(Point::end) + 1, point_count);
  differ(point_count, [](unsigned i) { return to_string(static_cast<Point>(i)); });
  differ(question_count, [](unsigned i) { return to_string(static_cast<Question>(i)); });
  differ(4, [](unsigned i) { return to_string(static_cast<Change>(i)); });
  EXPECT_EQ(to_string(Point::end), "end");
  EXPECT_EQ(to_string(Question::stale), "stale");
}

}  // namespace
}  // namespace ipctorture::schedule
