// Happens-before over shared memory, and stores that a load may still return.
//
// Each lane has a vector clock. Atomic operations and kernel objects carry clocks from lane to lane
// as their memory order says ([intro.races] of C++20); two accesses to a byte, one of them a plain
// write, that no such chain orders, are a race (the epochs are those of FastTrack, Flanagan and
// Freund, PLDI 2009). With weak memory on, an atomic load may return an older store than the newest
// unless coherence or happens-before forbids it.
//
// Where it stops: of an atomic object the last stores_kept stores are kept; when there are more
// than together_max bytes with several readers at once, only the last reader of the others.
// Sequentially consistent operations are ordered more strongly than C++ says (all of them by one
// clock), so it never calls correct code wrong for that, and may miss what only the weaker rule
// allows.
//
// Keyed by canonical offset (arena.h): peers may map an object at different addresses. Lives in
// the Control block. Nothing here allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "harness/schedule/choices.h"

namespace ipctorture::schedule {

struct VectorClock {
  std::uint32_t of[lanes_max] = {};
  void join(const VectorClock& other) {
    for (unsigned i = 0; i < lanes_max; ++i) of[i] = of[i] < other.of[i] ? other.of[i] : of[i];
  }
};

// An event of one lane: lane << 24 | its clock. 0: none.
using Epoch = std::uint32_t;
inline constexpr unsigned epoch_lane_shift = 24;
inline constexpr Epoch shared_epoch = 0xff000000;

struct ByteShadow {
  Epoch write = 0;         // the last plain write
  Epoch read = 0;          // the last plain read, or shared_epoch + an index of `together`
  Epoch atomic_write = 0;  // the last atomic store, likewise
  Epoch atomic_read = 0;   // the last atomic load, likewise
};
inline constexpr std::size_t line_bytes = 64;
struct LineShadow {
  std::uint32_t generation = 0;  // of the schedule in which it was touched; others are as empty
  ByteShadow byte[line_bytes];
};

// What a release hands to whoever acquires it.
struct Release {
  VectorClock happened;  // before it: orders accesses
  VectorClock visible;   // stores that hide older ones: only weak memory asks
  void join(const Release& other) {
    happened.join(other.happened);
    visible.join(other.visible);
  }
};

inline constexpr unsigned stores_kept = 8;
struct Store {
  std::uint64_t value = 0;
  std::uint32_t lane = 0;
  VectorClock at;    // what its lane saw when it stored
  VectorClock read;  // of each lane: its clock when it first read this; 0: it did not
  Release released;  // what a load that returns it acquires
};
struct Location {
  std::uint64_t key = 0;  // + 1; 0: free
  std::uint32_t generation = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
  bool mixed = false;       // accessed with several sizes: always the newest value
  std::uint64_t first = 0;  // the value before the first store
  Store store[stores_kept];
  std::uint32_t seen[lanes_max] = {};  // index of the newest store that each lane has seen
};
inline constexpr unsigned locations_max = 1024;

struct SyncObject {
  std::uint64_t key = 0;
  std::uint32_t generation = 0;
  Release release;
};
inline constexpr unsigned sync_objects_max = 512;

// Of bytes that several lanes read, or stored to atomically, without an order between them.
inline constexpr unsigned together_max = 4096;

struct MemoryModel {
  std::uint32_t generation = 0;
  std::uint32_t together_count = 0;
  VectorClock now[lanes_max];        // happens-before of each lane
  VectorClock visible[lanes_max];    // which stores hide older ones: now, and the seq_cst order
  Release to_acquire[lanes_max];     // what relaxed loads saw: an acquire fence takes it
  Release fence_release[lanes_max];  // as of the last release fence
  VectorClock sequential;            // of all seq_cst operations
  VectorClock stamped;               // of all stamps: orders what is visible, not accesses
  Location location[locations_max];
  SyncObject object[sync_objects_max];
  VectorClock together[together_max];
};

enum class Access : std::uint8_t { plain, atomic };

// One entry per 64 canonical bytes; sparse. Set by the session.
extern LineShadow* shadow;

// All that follow are of the running lane. `key`: canonical offset of the first byte.

// Makes the model new: whatever happened before is ordered before everything to come.
void forget_all(MemoryModel& memory, unsigned lanes);
// A lane that the running one starts: what that did comes before all it does.
void begin_lane(MemoryModel& memory, unsigned lane);
// All that another lane did comes before what the running one does.
void learn_from(MemoryModel& memory, unsigned lane);
// Notes an access, and ends the schedule with a race if it is one.
void check_access(MemoryModel& memory, std::uint64_t key, std::size_t bytes, bool writes,
                  Access access);

// `order`: __ATOMIC_RELAXED ... __ATOMIC_SEQ_CST.
// Which value the load returns, given the newest one.
std::uint64_t model_load(MemoryModel& memory, std::uint64_t key, std::uint64_t newest, int order,
                         unsigned bytes, bool weak, const void* pc);
// `update`: by a read-modify-write, which always sees the newest value.
void model_store(MemoryModel& memory, std::uint64_t key, std::uint64_t before, std::uint64_t value,
                 int order, unsigned bytes, bool update);
void model_fence(MemoryModel& memory, int order);
// An operation of the workload begins or ends, and its time is taken: the stamps of the harness are
// fenced (base/clock.h), so what had been stored before a stamp is seen after a later one.
void order_in_time(MemoryModel& memory);

// Kernel objects and locks order their own users.
void release_to(MemoryModel& memory, std::uint64_t object);
void acquire_from(MemoryModel& memory, std::uint64_t object);

}  // namespace ipctorture::schedule
