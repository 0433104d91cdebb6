// A ring of io_uring as the controlled engine keeps it: memory of the lane that made it, laid out
// as liburing's inline functions expect it; no ring of the kernel's is behind it. Internal to
// calls/uring.cc and calls/uring_operations.cc.
#pragma once

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {

// liburing's struct io_uring, the same since 2.0.
struct LibraryRing {
  struct {
    unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
    io_uring_sqe* sqes;
    unsigned sqe_head, sqe_tail;
    std::size_t ring_sz;
    void* ring_ptr;
    unsigned ring_mask, ring_entries;
    unsigned pad[2];
  } sq;
  struct {
    unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *koverflow;
    io_uring_cqe* cqes;
    std::size_t ring_sz;
    void* ring_ptr;
    unsigned ring_mask, ring_entries;
    unsigned pad[2];
  } cq;
  unsigned flags;
  int ring_fd;
  unsigned features;
  int enter_ring_fd;
  std::uint8_t int_flags, pad[3];
  unsigned pad2;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"  // an entry ends with an array of no size
// What was submitted and is not complete.
struct Operation {
  bool follows = false;      // it waits for the one before it, with which it is linked
  bool under_way = false;    // a connection
  std::int64_t expires = 0;  // of a timeout
  std::uint64_t enough = 0;  // completions that end it; 0: none
  std::size_t done = 0;      // bytes, of one that wants all
  io_uring_sqe sqe;
};
#pragma GCC diagnostic pop

struct Ring {
  Ring* next = nullptr;  // of the same lane
  unsigned entries = 0, completions_max = 0;
  unsigned sq_head = 0, sq_tail = 0, sq_mask = 0, sq_flags = 0, sq_dropped = 0;
  unsigned cq_head = 0, cq_tail = 0, cq_mask = 0, cq_flags = 0, cq_overflow = 0;
  io_uring_sqe* sqes = nullptr;
  io_uring_cqe* cqes = nullptr;
  unsigned* array = nullptr;
  Operation* pending = nullptr;  // in the order in which they were submitted
  unsigned pending_count = 0, pending_max = 0;
  io_uring_cqe* overflow = nullptr;  // completions that the ring had no room for
  unsigned overflow_count = 0;
  int* files = nullptr;  // registered
  unsigned file_count = 0;
  int event = -1;  // registered
  int fd = -1;     // an eventfd, readable while there are completions
  bool fd_shows = false;
  std::uint64_t completed = 0;
};

inline Ring* rings_of(const LaneControl& lane) { return static_cast<Ring*>(lane.rings); }

[[noreturn]] void uring_not_controlled(const char* what, unsigned value);

// Takes what is queued; false: no room for so much.
void add_operation(Ring& ring, const io_uring_sqe& sqe, bool follows);
// Completes what can be, one at a time, each behind a point; which comes next is a choice. With
// `may_rest` so is leaving the rest for later.
void carry_out(Ring& ring, bool may_rest, const void* pc);
// The next instant at which one can go on by itself; 0: none.
std::int64_t next_expiry(const Ring& ring);
// Moves completions up that had no room.
void move_up(Ring& ring);

}  // namespace ipctorture::schedule
