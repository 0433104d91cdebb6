#include "harness/schedule/schedule_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/scenario/strict_json.h"
#include "harness/schedule/control.h"

namespace ipctorture::schedule {
namespace {

constexpr std::string_view schema = "ipctorture-schedule/2";
constexpr std::size_t bytes_max = 8u << 20;
constexpr int depth_max = 4;
constexpr std::size_t departures_text_max = 1u << 20;

std::uint64_t from_hex(JsonReader& json, const std::string& key) {
  const std::string text = json.text(key, 16);
  std::uint64_t value = 0;
  if (text.empty()) json.refuse(key, "no digits");
  for (const char c : text) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) json.refuse(key, "is not hexadecimal");
    value = value << 4 | digit;
  }
  return value;
}

// [lane, point, others, key]
Step step_from(const JsonReader& json, const nlohmann::json& value) {
  if (!value.is_array() || value.size() != 4) json.refuse("trace", "a step is four numbers");
  const auto number = [&](std::size_t at, std::uint64_t most) {
    return json.whole("trace", value[at], 0, most);
  };
  return {.lane = static_cast<std::uint8_t>(number(0, lanes_max - 1)),
          .point = static_cast<Point>(number(1, point_count - 1)),
          .others = static_cast<std::uint16_t>(number(2, UINT16_MAX)),
          .key = static_cast<std::uint32_t>(number(3, UINT32_MAX))};
}

}  // namespace

std::string schedule_to_json(const RecordedSchedule& schedule) {
  nlohmann::ordered_json json = {
      {"schema", schema},
      {"late_lanes", schedule.late_lanes == LateLanes::succeed ? "succeed" : "come_anyway"},
      {"kill_lanes", schedule.kill_lanes},
      {"weak_memory", schedule.weak_memory},
      {"questions", schedule.questions},
      {"shortages", schedule.shortages},
      {"hostile", schedule.hostile},
      {"departures", to_text(schedule.departures)},
      {"trace_hash", fmt::format("{:016x}", schedule.trace_hash)}};
  if (!schedule.races) json["races"] = false;  // the rare case: files without it stay readable
  auto& trace = json["trace"] = nlohmann::ordered_json::array();
  for (const Step& step : schedule.trace) {
    trace.push_back({step.lane, static_cast<unsigned>(step.point), step.others, step.key});
  }
  return json.dump() + "\n";
}

RecordedSchedule schedule_from_json(std::string_view text) {
  JsonReader json(parse_strict_json(text, "schedule", bytes_max, depth_max), "schedule");
  if (json.text("schema", 64) != schema) json.refuse("schema", "is not " + std::string(schema));
  RecordedSchedule schedule;
  const std::string late = json.text("late_lanes", 16);
  if (late != "succeed" && late != "come_anyway") json.refuse("late_lanes", "unknown");
  schedule.late_lanes = late == "succeed" ? LateLanes::succeed : LateLanes::come_anyway;
  schedule.kill_lanes =
      static_cast<std::uint32_t>(json.number("kill_lanes", 0, (1u << lanes_max) - 1));
  schedule.weak_memory = json.flag("weak_memory");
  schedule.questions = json.flag("questions");
  schedule.shortages = json.flag("shortages");
  schedule.hostile = json.flag("hostile");
  if (json.has("races")) schedule.races = json.flag("races");
  schedule.departures = departures_from_text(json.text("departures", departures_text_max));
  schedule.trace_hash = from_hex(json, "trace_hash");
  for (const auto& step : json.list("trace", trace_max - 1)) {
    schedule.trace.push_back(step_from(json, step));
  }
  json.end();
  return schedule;
}

}  // namespace ipctorture::schedule
