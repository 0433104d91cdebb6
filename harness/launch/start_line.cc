#include "harness/launch/start_line.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "harness/scenario/codec.h"
#include "harness/scenario/strict_json.h"
#include "harness/transport/registry.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

using Json = nlohmann::json;

constexpr const char* what = "start line";
constexpr std::size_t line_bytes_max = 256 * 1024;
constexpr int depth_max = 8;
constexpr std::size_t name_bytes_max = 48, directory_bytes_max = 127, path_bytes_max = 4096;

Json options_to_json(const Options& o) {
  return {{"name", o.name},
          {"directory", o.directory},
          {"token", std::to_string(o.token)},
          {"producers", o.producers},
          {"consumers", o.consumers},
          {"capacity", o.capacity},
          {"message_max", o.message_max},
          {"counter_start", std::to_string(o.counter_start)}};
}

// The terms on which a workload depends; what a peer in another language cannot look up.
Json contract_to_json(const Contract& c) {
  return {{"reports_closed", c.reports_closed}, {"when_full", to_string(c.when_full)},
          {"message_max", c.message_max},       {"now_message_max", c.now_message_max},
          {"priorities", c.priorities},         {"deadline_now", c.deadline_now}};
}

// A number of 64 bits is written as a text, which readers of every language keep whole.
std::uint64_t long_number(JsonReader& json, const std::string& key) {
  const std::string text = json.text(key, 20);
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) json.refuse(key, "is no whole number below 2^64");
  return number;
}

std::uint32_t word(JsonReader& json, const std::string& key, std::uint64_t max = UINT32_MAX) {
  return static_cast<std::uint32_t>(json.number(key, 0, max));
}

// Names go to system calls: what stands behind a zero would be lost there.
std::string path(JsonReader& json, const std::string& key, std::string text,
                 std::size_t bytes_max) {
  if (text.size() > bytes_max) json.refuse(key, "is too long");
  if (text.find('\0') != std::string::npos) json.refuse(key, "contains a zero byte");
  return text;
}

Options options_from_json(JsonReader json) {
  Options o;
  o.name = path(json, "name", json.text("name", name_bytes_max), name_bytes_max);
  o.directory =
      path(json, "directory", json.text("directory", directory_bytes_max), directory_bytes_max);
  o.token = long_number(json, "token");
  o.producers = word(json, "producers", lanes_in_all_max);
  o.consumers = word(json, "consumers", lanes_in_all_max);
  o.capacity = word(json, "capacity");
  o.message_max = word(json, "message_max");
  o.counter_start = long_number(json, "counter_start");
  return o;
}

}  // namespace

std::string start_line(const StartLine& start) {
  Json channels = Json::array();
  for (const Options& options : start.options) channels.push_back(options_to_json(options));
  Json json = {{"protocol", worker_protocol_version},
               {"scenario", Json::parse(scenario_to_json(start.scenario))},
               {"worker", start.worker},
               {"channels", channels},
               {"lanes", start.lanes}};
  const Registration* registration = find_registration(start.scenario.transport_name());
  if (registration != nullptr) json["contract"] = contract_to_json(registration->contract);
  Json line;
  line["start"] = std::move(json);
  return line.dump() + "\n";
}

StartLine parse_start_line(std::string_view line) {
  JsonReader whole(parse_strict_json(line, what, line_bytes_max, depth_max), what);
  JsonReader json = whole.object("start");
  if (json.number("protocol", 0, UINT32_MAX) != worker_protocol_version) {
    json.refuse("protocol", "is another version of the worker protocol; this is version 1");
  }
  StartLine start;
  start.scenario = scenario_from_json(json.take("scenario").dump());
  const std::size_t lanes = start.scenario.lanes();
  if (lanes > lanes_in_all_max) json.refuse("scenario", "has too many lanes");
  start.worker = word(json, "worker", worker_count(start.scenario) - 1);
  const Json channels = json.list("channels", start.scenario.channels());
  for (std::size_t i = 0; i < channels.size(); ++i) {
    start.options.push_back(options_from_json(json.entry("channels", i, channels[i])));
  }
  for (const Json& lane : json.list("lanes", lanes)) {
    if (!lane.is_string()) json.refuse("lanes", "must be texts");
    start.lanes.push_back(path(json, "lanes", lane.get<std::string>(), path_bytes_max));
  }
  if (start.options.size() != start.scenario.channels() || start.lanes.size() != lanes) {
    json.refuse("channels", "channels or lanes do not match the scenario");
  }
  return start;
}

}  // namespace ipctorture
