// What the other interposed calls must know of io_uring (calls/uring.cc): the operations of a
// lane's rings are its own to carry out, so they must get on while it waits elsewhere.
#pragma once

#include <cstdint>

#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

// The running lane has rings.
inline bool has_rings() { return control->lane[current_lane].rings != nullptr; }
void carry_out_operations(const void* pc);
// To be called in each attempt of a call that waits for other lanes' effects: carries out what can
// be, of operations that the lane submitted.
inline void progress_rings(const void* pc) {
  if (has_rings()) carry_out_operations(pc);
}
// The next instant at which one of them can go on by itself; 0: none.
std::int64_t next_of_rings();
// The lane is about to wait for something else than other lanes' effects. True: operations were
// carried out, so it must look again. Ends the schedule when some would have to go on meanwhile.
bool rings_moved();
// Its system calls, made without liburing: they end the schedule.
void refuse_by_number(long number);

}  // namespace ipctorture::schedule
