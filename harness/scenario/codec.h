// Scenarios as JSON (schema "ipctorture-scenario/1") and as bytes for fuzzers. Readers treat input
// as hostile: unknown fields, wrong types, numbers out of range and texts above 64 KiB are errors
// that say where.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "harness/scenario/scenario.h"

namespace ipctorture {

std::string scenario_to_json(
    const Scenario& scenario);  // pretty, stable field order, ends in newline

// Throws std::invalid_argument: "scenario: sizes[2]: 4294967296 is above 1048576". Form and ranges
// only: whether it suits a contract is scenario_faults'.
Scenario scenario_from_json(std::string_view text);

}  // namespace ipctorture
