// Memory that a lane allocates, of a region of its own: copying the region away and back returns it
// to an earlier moment, with the lane's stack (snapshot.h). malloc and its family come here while a
// lane runs (lane_heap.cc); everybody else gets the C library's.
//
// Simple on purpose: lanes live for microseconds. Sizes are rounded up to powers of two and freed
// blocks reused; what does not fit the region is the C library's, and then no snapshot holds.
#pragma once

#include <cstddef>

#include "harness/schedule/choices.h"

namespace ipctorture::schedule {

inline constexpr std::size_t lane_heap_bytes = 4u << 20;

struct LaneHeap {
  static constexpr unsigned classes = 24;
  std::size_t used = 0;  // bytes of the region, this header included
  bool overflowed = false;
  void* free_blocks[classes] = {};
};

// Maps the regions, in the process from which workers are forked. Throws std::system_error.
void make_lane_heaps();
LaneHeap& lane_heap(unsigned lane);  // also where its region begins
// How many bytes of an allocated block are there from this address on; SIZE_MAX when it is no
// lane's. Takes time in proportion to the number of blocks.
std::size_t room_at(const void* address);
void clear_lane_heap(unsigned lane);

}  // namespace ipctorture::schedule
