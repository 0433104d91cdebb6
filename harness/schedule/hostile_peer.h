// A peer that means ill: it shares memory with an honest side, and between two steps of that side
// it may have written anything anywhere.
#pragma once

#include <cstddef>

namespace ipctorture::schedule {

// Before an instrumented load of shared memory, of the lane that runs: asks Question::hostile, and
// writes the answer's value over what is about to be read. The page may be mapped for reading only.
void alter(const void* address, std::size_t bytes, const void* pc);

}  // namespace ipctorture::schedule
