// What a supervisor takes from a lane that a worker wrote, and what a worker believes of a lane
// that it is given. The other side may be any program (docs/worker-protocol.md): nothing in a lane
// is trusted beyond its own memory. Pure but for the memory named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/history/history.h"
#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

// Adds the lane and what its header tells to the history, as lane `number` of the scenario. The
// lane has room for `capacity` records, whatever it says itself; its worker is gone or at rest. The
// history keeps a span into it. A record that its worker died over is settled in place.
void gather_lane(const Lane& lane, unsigned number, const Scenario& scenario,
                 std::uint64_t capacity, History* history);

// Throws std::invalid_argument that begins with `path`: the file is no lane, or one that claims
// more records than it holds.
void refuse_unless_lane(std::span<std::byte> file, const std::string& path);

}  // namespace ipctorture
