// A schedule as JSON, `schedule.json` of a bundle (schema "ipctorture-schedule/2"): what it takes
// to run it again, and the steps it took, so that a strict replay can say where it parts from them.
// Read as hostile input: sizes and ranges are bounded, unknown fields refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/schedule/trials.h"

namespace ipctorture::schedule {

struct RecordedSchedule {
  LateLanes late_lanes = LateLanes::come_anyway;
  std::uint32_t kill_lanes = 0;  // whose kills a search around it tries
  bool weak_memory = false;
  bool questions = false;
  bool shortages = false;
  bool hostile = false;
  bool races = true;
  Departures departures;
  std::uint64_t trace_hash = 0;
  std::vector<Step> trace;  // from step 1
};

std::string schedule_to_json(const RecordedSchedule& schedule);
// Throws std::invalid_argument: "schedule: departures: ...".
RecordedSchedule schedule_from_json(std::string_view text);

}  // namespace ipctorture::schedule
