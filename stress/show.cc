// `ipctorture show`: what a fuzz input does, in words, and its scenario. Of a schedule that is
// stress/explore/fuzz_schedule.cc's.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/report/json_lines.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/fuzz_input_header.h"
#include "harness/scenario/hostile_input.h"
#include "stress/failure_file.h"
#include "stress/fuzz_file.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {

namespace {

constexpr std::size_t bytes_shown = 16;

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size() && i < bytes_shown; ++i) {
    text += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[i]));
  }
  return text + (bytes.size() > bytes_shown ? " ..." : "");
}

// What a hostile peer does: there is no scenario in it.
ExitCode show_acts(bool as_json, const std::string& path) {
  HostileInput input;
  try {
    input = hostile_input_from_bytes(read_fuzz_file(path));
  } catch (const std::invalid_argument& error) {
    throw UsageError(path + ": " + error.what());
  }
  const char* const honest = (input.flags & hostile_consumer) != 0 ? "producer" : "consumer";
  if (as_json) {
    nlohmann::ordered_json acts = nlohmann::ordered_json::array();
    for (const HostileAction& one : input.actions) {
      acts.push_back(
          {{"act", to_string(one.act)}, {"which", one.which}, {"bytes", one.bytes.size()}});
    }
    print_result(json_line({{"schema", "ipctorture-show/1"},
                            {"transport", input.transport},
                            {"kind", "hostile peer"},
                            {"honest", honest},
                            {"flags", input.flags},
                            {"acts", acts}}));
    return ExitCode::pass;
  }
  print_result(fmt::format("a hostile peer of {}, beside an honest {}\n", input.transport, honest));
  for (const HostileAction& one : input.actions) {
    print_result(fmt::format("  {} {}, {} bytes:{}\n", to_string(one.act), one.which,
                             one.bytes.size(), hex(one.bytes)));
  }
  return ExitCode::pass;
}

}  // namespace

ExitCode show_input(const Settings& settings, const std::string& path) {
  if (fuzz_file_letter(path) == hostile_input_letter) return show_acts(settings.on("json"), path);
  const Scenario scenario = load_failure(path).scenario;
  const std::string text = scenario_to_json(scenario);
  if (settings.on("json")) {
    print_result(json_line({{"schema", "ipctorture-show/1"},
                            {"transport", scenario.transport_name()},
                            {"kind", "scenario"},
                            {"scenario", nlohmann::ordered_json::parse(text)}}));
    return ExitCode::pass;
  }
  const std::string faults = fault_words(scenario.faults);
  print_result(fmt::format("a scenario of {}: {}, {}x{}, {} messages each, up to {} B{}{}\n{}\n",
                           scenario.transport_name(), to_string(scenario.workload),
                           scenario.producers, scenario.consumers, scenario.messages,
                           scenario.largest_message(), faults.empty() ? "" : "; faults: ", faults,
                           text));
  return ExitCode::pass;
}

}  // namespace ipctorture
