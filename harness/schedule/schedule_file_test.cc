#include "harness/schedule/schedule_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/schedule/control.h"

namespace ipctorture::schedule {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

bool same(const Step& a, const Step& b) {
  return a.lane == b.lane && a.point == b.point && a.others == b.others && a.key == b.key;
}

// Every field at something that is not its default.
RecordedSchedule recorded() {
  return {.late_lanes = LateLanes::succeed,
          .kill_lanes = 5,
          .weak_memory = true,
          .questions = true,
          .shortages = true,
          .departures = {{.step = 17, .lane = 0, .change = Change::run, .value = 1},
                         {.step = 4, .lane = 1, .change = Change::kill}},
          .trace_hash = 0xfedcba9876543210,
          .trace = {{.lane = 0, .point = Point::atomic_store, .others = 0x0102, .key = 0xffffffff},
                    {.lane = 7, .point = Point::end, .others = 0xffff, .key = 0}}};
}

TEST(ScheduleFile, IsReadAsItWasWritten) {
  const RecordedSchedule before = recorded();
  const std::string text = schedule_to_json(before);
  const RecordedSchedule after = schedule_from_json(text);
  EXPECT_EQ(after.late_lanes, before.late_lanes);
  EXPECT_EQ(after.kill_lanes, before.kill_lanes);
  EXPECT_EQ(after.weak_memory, before.weak_memory);
  EXPECT_EQ(after.questions, before.questions);
  EXPECT_EQ(after.departures, before.departures);
  EXPECT_EQ(after.trace_hash, before.trace_hash);
  ASSERT_EQ(after.trace.size(), before.trace.size());
  for (std::size_t i = 0; i < after.trace.size(); ++i) {
    EXPECT_TRUE(same(after.trace[i], before.trace[i])) << "step " << i;
  }
  EXPECT_EQ(schedule_to_json(after), text);
}

TEST(ScheduleFile, EachFlagIsItsOwn) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    RecordedSchedule one;
    one.late_lanes = (bits & 1) != 0 ? LateLanes::succeed : LateLanes::come_anyway;
    one.weak_memory = (bits & 2) != 0;
    one.questions = (bits & 4) != 0;
    one.shortages = (bits & 8) != 0;
    one.hostile = (bits & 16) != 0;
    one.races = (bits & 32) != 0;
    const RecordedSchedule read = schedule_from_json(schedule_to_json(one));
    EXPECT_EQ(read.late_lanes, one.late_lanes);
    EXPECT_EQ(read.weak_memory, one.weak_memory);
    EXPECT_EQ(read.questions, one.questions);
    EXPECT_EQ(read.shortages, one.shortages);
    EXPECT_EQ(read.hostile, one.hostile);
    EXPECT_EQ(read.races, one.races);
  }
}

// What the reader says of a file that was altered; empty: it takes it.
std::string refusal(const std::string& text) {
  try {
    schedule_from_json(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}
std::string refusal(const std::function<void(nlohmann::json&)>& alter) {
  nlohmann::json json = nlohmann::json::parse(schedule_to_json(recorded()));
  alter(json);
  return refusal(json.dump());
}

struct Alteration {
  const char* name;
  void (*alter)(nlohmann::json&);
  const char* says;
};

class HostileSchedule : public testing::TestWithParam<Alteration> {};

TEST_P(HostileSchedule, IsRefused) {
  EXPECT_THAT(refusal(GetParam().alter), HasSubstr(GetParam().says));
}

using Json = nlohmann::json;
INSTANTIATE_TEST_SUITE_P(
    Fields, HostileSchedule,
    testing::Values(
        Alteration{"unknown_field", [](Json& j) { j["colour"] = 1; }, "colour"},
        Alteration{"no_schema", [](Json& j) { j.erase("schema"); }, "schema"},
        Alteration{"other_schema", [](Json& j) { j["schema"] = "ipctorture-schedule/1"; },
                   "schema"},
        Alteration{"late_lanes", [](Json& j) { j["late_lanes"] = "never"; }, "late_lanes"},
        Alteration{"kill_lanes", [](Json& j) { j["kill_lanes"] = 256; }, "kill_lanes"},
        Alteration{"flag_as_number", [](Json& j) { j["weak_memory"] = 1; }, "weak_memory"},
        Alteration{"no_questions", [](Json& j) { j.erase("questions"); }, "questions"},
        Alteration{"no_shortages", [](Json& j) { j.erase("shortages"); }, "shortages"},
        Alteration{"departure", [](Json& j) { j["departures"] = "0@1:run=8"; }, "'0@1:run=8'"},
        Alteration{"departures_as_list", [](Json& j) { j["departures"] = Json::array(); },
                   "departures"},
        Alteration{"too_long_departures",
                   [](Json& j) { j["departures"] = std::string((1u << 20) + 1, ' '); },
                   "departures"},
        Alteration{"too_many_departures",
                   [](Json& j) {
                     std::string text;
                     for (std::size_t i = 0; i <= departures_max; ++i) text += "0@1:kill ";
                     j["departures"] = text;
                   },
                   "more than"},
        Alteration{"hash_not_hex", [](Json& j) { j["trace_hash"] = "00g0"; }, "trace_hash"},
        Alteration{"hash_in_capitals", [](Json& j) { j["trace_hash"] = "00A0"; }, "trace_hash"},
        Alteration{"hash_empty", [](Json& j) { j["trace_hash"] = ""; }, "trace_hash"},
        Alteration{"hash_too_long", [](Json& j) { j["trace_hash"] = std::string(17, '0'); },
                   "trace_hash"},
        Alteration{"hash_as_number", [](Json& j) { j["trace_hash"] = 1; }, "trace_hash"},
        Alteration{"lane", [](Json& j) { j["trace"][0][0] = 8; }, "trace"},
        Alteration{"negative_lane", [](Json& j) { j["trace"][0][0] = -1; }, "trace"},
        Alteration{"point", [](Json& j) { j["trace"][1][1] = point_count; }, "trace"},
        Alteration{"others", [](Json& j) { j["trace"][0][2] = 65536; }, "trace"},
        Alteration{"key", [](Json& j) { j["trace"][0][3] = 4294967296; }, "trace"},
        Alteration{"key_as_fraction", [](Json& j) { j["trace"][0][3] = 0.5; }, "trace"},
        Alteration{"step_of_three", [](Json& j) { j["trace"][0] = {0, 0, 0}; }, "four numbers"},
        Alteration{"step_of_five", [](Json& j) { j["trace"][0] = {0, 0, 0, 0, 0}; },
                   "four numbers"},
        Alteration{"step_as_number", [](Json& j) { j["trace"][0] = 1; }, "four numbers"},
        Alteration{"too_many_steps",
                   [](Json& j) { j["trace"] = Json(trace_max, Json{0, 1, 0, 0}); }, "trace"}),
    [](const auto& one) { return one.param.name; });

TEST(ScheduleFile, HoldsAsManyStepsAsAreKept) {
  RecordedSchedule schedule = recorded();
  schedule.trace.assign(trace_max - 1, schedule.trace[0]);
  EXPECT_EQ(schedule_from_json(schedule_to_json(schedule)).trace.size(), trace_max - 1);
}

TEST(ScheduleFile, WhatIsNoJsonIsRefused) {
  EXPECT_THAT(refusal(""), StartsWith("schedule"));
  EXPECT_THAT(refusal("[]"), StartsWith("schedule"));
  EXPECT_THAT(refusal("{"), StartsWith("schedule"));
  const std::string text = schedule_to_json(recorded());
  EXPECT_THAT(refusal(text + "{}"), StartsWith("schedule"));
  EXPECT_THAT(refusal(text.substr(0, text.size() / 2)), StartsWith("schedule"));
}

}  // namespace
}  // namespace ipctorture::schedule
