// libFuzzer: the worker's side of the worker protocol (harness/launch/start_line.h): the line that
// tells a separate program what to do, from whoever started it.
//
// The reader must answer with a start or with std::invalid_argument; what it accepts is written
// again and must read the same, and the lane plan that a worker makes of it must hold. Run:
// ci/fuzz start_line_reader
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "harness/launch/start_line.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

bool same(const Options& a, const Options& b) {
  return a.name == b.name && a.directory == b.directory && a.token == b.token &&
         a.producers == b.producers && a.consumers == b.consumers && a.capacity == b.capacity &&
         a.message_max == b.message_max && a.counter_start == b.counter_start;
}

void read_write_read(std::string_view line) {
  const StartLine read = parse_start_line(line);
  const std::string written = start_line(read);
  const StartLine again = parse_start_line(written);
  if (again.scenario != read.scenario || again.worker != read.worker || again.lanes != read.lanes) {
    broken("another start when written and read", written);
  }
  for (std::size_t i = 0; i < read.options.size(); ++i) {
    if (!same(again.options[i], read.options[i])) broken("other options", written);
  }
  bool works = false;
  for (unsigned lane = 0; lane < read.lanes.size(); ++lane) {
    works |= plan_lane(read.scenario, lane).worker == read.worker;
  }
  if (!works) broken("a worker without a lane", written);
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ipctorture::read_write_read({reinterpret_cast<const char*>(data), size});
  } catch (const std::invalid_argument& refused) {
    ipctorture::must_say_why(refused.what());
  }
  return 0;
}
