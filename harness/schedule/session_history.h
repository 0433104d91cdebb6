// What happened in a schedule, as the checkers want it: the lanes' journals, and as evidence what
// the controlled engine knows for certain, where the free engine must watch: who slept, who was
// killed.
#pragma once

#include "harness/history/history.h"
#include "harness/schedule/control.h"
#include "harness/schedule/controlled_stage.h"
#include "harness/schedule/outside.h"

namespace ipctorture::schedule {

inline constexpr std::uint64_t lane_records = 512;  // of each journal

// Its spans point into the lanes.
History history_of(const Setting& what, const Control& control, const Outside& outside);
// Of what the checkers could tell: every record but its stamps, and the order in which all stamps
// were taken (calls/time.cc). How far apart they are is not in it: bounds are a matter of long
// sleeps, which end as a deadlock or are told apart by their own evidence.
std::uint64_t hash_of_history(const Setting& what, const Control& control);

}  // namespace ipctorture::schedule
