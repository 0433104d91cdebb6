// libFuzzer: the reader of scenarios (harness/scenario/codec.h) against any text.
//
// It must answer with a scenario or with std::invalid_argument, nothing else; what it accepts must
// survive writing and reading unchanged, and judging it against a contract must not crash. Run:
// ci/fuzz scenario_reader
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "harness/scenario/codec.h"

namespace ipctorture {
namespace {

void read_write_read(std::string_view text) {
  Scenario scenario;
  try {
    scenario = scenario_from_json(text);
  } catch (const std::invalid_argument& refused) {
    must_say_why(refused.what());
    return;
  }
  const std::string written = scenario_to_json(scenario);
  if (scenario_from_json(written) != scenario) broken("reads differently when written", written);
  if (scenario_to_json(scenario_from_json(written)) != written) broken("not stable", written);
  const Contract contract{.message_max = 4096, .producers_max = 8, .consumers_max = 8};
  (void)scenario_faults(scenario, contract);
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ipctorture::read_write_read({reinterpret_cast<const char*>(data), size});
  return 0;
}
