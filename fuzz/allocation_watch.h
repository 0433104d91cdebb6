// How much memory this process has allocated: what a fuzz target needs to see that a peer's word
// makes the other side allocate without bound. Exact, peaks included, where a sanitizer's
// allocator tells of each allocation; elsewhere glibc's own count at the moment of asking.
#pragma once

#include <cstddef>

namespace ipctorture {

// Bytes, in blocks that are not freed. Any thread; the first call begins to count.
std::size_t allocated_now();
// The most there ever was since the last call of restart_allocated_peak().
std::size_t allocated_peak();
void restart_allocated_peak();

}  // namespace ipctorture
