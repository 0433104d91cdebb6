// Which departures from the default a schedule takes: as listed by a search, as keyed by a replay,
// or at random by a walk or by priorities. Asked by the scheduler, in the lane that runs; decides
// by the Control block alone and changes nothing else in it than its own state.
#pragma once

#include <cstdint>

#include "harness/schedule/choices.h"

namespace ipctorture::schedule {

// Answers of departure(): a lane to run; with this added, the lane whose deadline passes; that the
// running lane is killed; or -1, the default.
inline constexpr int passing = lanes_max;
inline constexpr int kill_chosen = 2 * lanes_max;

void begin_strategy();
// What happens at this step. `others`: as in Step::others.
int departure(bool may_go_on, std::uint16_t others);
// The next step at which something may have to be decided.
std::uint32_t next_stop();
unsigned answer_to(Question question, unsigned answers);

}  // namespace ipctorture::schedule
