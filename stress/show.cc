// `ipctorture show`: what a fuzz input does, in words, and its scenario. Of a schedule that is
// stress/explore/fuzz_schedule.cc's.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/report/json_lines.h"
#include "harness/scenario/codec.h"
#include "stress/failure_file.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {

ExitCode show_input(const Settings& settings, const std::string& path) {
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
