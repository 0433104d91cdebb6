// Changes a schedule as bytes (harness/schedule/schedule_input.h) record by record: leaves out,
// adds, moves, copies and alters departures, and now and then the scenario around them; half of the
// time libFuzzer's own mutations of the records, which also know what comparisons saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ipctorture {

// In place; returns the new size, at most `room`. What is no schedule, or one of another transport,
// becomes the default schedule of this one. `processes`: lanes are such, and may die or come late.
std::size_t mutate_schedule(std::span<std::uint8_t> bytes, std::size_t size,
                            const std::string& transport, bool processes, unsigned seed);

}  // namespace ipctorture
