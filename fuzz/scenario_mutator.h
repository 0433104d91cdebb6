// Changes a scenario as bytes (harness/scenario/scenario_input.h) record by record: leaves out,
// adds, alters and copies settings of fields; half of the time libFuzzer's own mutations of the
// records, which also know what comparisons saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ipctorture {

// In place; returns the new size, at most bytes.size(). What is no scenario, or one of another
// transport, becomes the small one of this transport.
std::size_t mutate_scenario(std::span<std::uint8_t> bytes, std::size_t size,
                            const std::string& transport, unsigned seed);

}  // namespace ipctorture
