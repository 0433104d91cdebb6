// libFuzzer: every reader of a recorded schedule: schedule.json of a bundle
// (harness/schedule/schedule_file.h), departures as text (choices.h), and the inputs of
// schedule_fuzzer (schedule_input.h). Which one reads an input, its first bytes say: '{', "ICTF",
// anything else.
//
// Each must answer with a value or with std::invalid_argument; a value is written again and must
// read the same, and the trial of an input must suit its contract. Run: ci/fuzz schedule_reader
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "harness/scenario/synthetic_contracts.h"
#include "harness/schedule/control.h"
#include "harness/schedule/schedule_file.h"
#include "harness/schedule/schedule_input.h"

namespace ipctorture {
namespace {

using schedule::Step;

bool equal(const Step& a, const Step& b) {
  return a.lane == b.lane && a.point == b.point && a.others == b.others && a.key == b.key;
}

void read_file(std::string_view text) {
  const schedule::RecordedSchedule read = schedule::schedule_from_json(text);
  const std::string written = schedule_to_json(read);
  const schedule::RecordedSchedule again = schedule::schedule_from_json(written);
  if (again.departures != read.departures) broken("other departures when written", written);
  if (!std::ranges::equal(again.trace, read.trace, equal)) broken("another trace", written);
  if (schedule_to_json(again) != written) broken("not stable", written);
}

void read_departures(std::string_view text) {
  const schedule::Departures read = schedule::departures_from_text(text);
  const std::string written = to_text(read);
  if (schedule::departures_from_text(written) != read) broken("reads differently", written);
}

void read_input(std::span<const std::byte> bytes) {
  const schedule::ScheduleInput read = schedule::schedule_input_from_bytes(bytes);
  const schedule::ScheduleInput again = schedule::schedule_input_from_bytes(to_bytes(read));
  const bool same = again.transport == read.transport && again.shape == read.shape &&
                    again.departures == read.departures;
  if (!same) broken("another input when written and read");
  for (const auto& [name, contract] : synthetic::contracts()) {
    if (contract.exec_only) continue;  // no separate programs under control
    const schedule::Trial trial = trial_of(read, contract, schedule::Backend::processes);
    const bool dies = trial.late_lanes == schedule::LateLanes::succeed;
    const auto faults =
        scenario_faults(trial.scenario, dies ? schedule::with_successors(contract) : contract);
    if (!faults.empty()) broken(name + ": the trial does not suit: " + faults[0]);
  }
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (text.starts_with('{')) {
      ipctorture::read_file(text);
    } else if (text.starts_with("ICTF")) {
      ipctorture::read_input(std::as_bytes(std::span(data, size)));
    } else {
      ipctorture::read_departures(text);
    }
  } catch (const std::invalid_argument& refused) {
    ipctorture::must_say_why(refused.what());
  }
  return 0;
}
