// Who can wake whom: the key that users of a lock wait for. Internal to calls/.
#pragma once

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {

// What was not initialised with PTHREAD_PROCESS_SHARED wakes only waiters of its own process, even
// in shared memory.
inline std::uint64_t key_to_wait_for(const void* object, bool is_shared) {
  return is_shared || !in_arena(object) ? key_of_object(object) : futex_key(object, true);
}

}  // namespace ipctorture::schedule
