#include "harness/schedule/memory_model.h"

#include <algorithm>

#include "harness/schedule/arena.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

LineShadow* shadow = nullptr;

namespace {

constexpr std::uint32_t clock_mask = (1u << epoch_lane_shift) - 1;
constexpr unsigned stale_in_row_max = 6;  // then the newest, or a spinning load never ends
constexpr unsigned stale_answers_max = 3;

// Open addressing: keys are dense, so the low bits spread well enough.
template <typename Entry, std::size_t size>
Entry& find(Entry (&table)[size], std::uint64_t key, std::uint32_t generation) {
  std::size_t at = (key * 0x9e3779b97f4a7c15 >> 40) % size;
  for (std::size_t tries = 0; tries < size; ++tries, at = (at + 1) % size) {
    Entry& entry = table[at];
    if (entry.generation == generation && entry.key == key + 1) return entry;
    if (entry.generation != generation) {
      entry = Entry{};
      entry.generation = generation;
      entry.key = key + 1;
      return entry;
    }
  }
  end_schedule(Ending::uncontrolled, "more than %zu atomic or kernel objects", size);
}

bool acquires(int order) { return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE; }
bool releases(int order) {
  return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

VectorClock& mine(MemoryModel& memory) { return memory.now[current_lane]; }
unsigned self() { return static_cast<unsigned>(current_lane); }

void join(MemoryModel& memory, const Release& release) {
  mine(memory).join(release.happened);
  if (!control->weak_memory) return;
  memory.visible[self()].join(release.happened);
  memory.visible[self()].join(release.visible);
}

void acquire(MemoryModel& memory, const Release& release, int order) {
  if (acquires(order)) {
    join(memory, release);
  } else {
    memory.to_acquire[self()].join(release);
  }
}

Release release_now(MemoryModel& memory) {
  return {.happened = mine(memory), .visible = memory.visible[self()]};
}

// What follows is not part of what was released.
void tick(MemoryModel& memory) { memory.visible[self()].of[self()] = ++mine(memory).of[self()]; }

void join_sequential(MemoryModel& memory) {
  memory.visible[self()].join(memory.sequential);
  memory.sequential.join(memory.visible[self()]);
}

// Does this lane have to see this store, or a newer one? It does when the store, or somebody's
// reading it, came before (coherence, [intro.races]).
bool hides_older(const Store& store, const VectorClock& visible) {
  if (store.at.of[store.lane] <= visible.of[store.lane]) return true;
  for (unsigned lane = 0; lane < lanes_max; ++lane) {
    if (store.read.of[lane] != 0 && store.read.of[lane] <= visible.of[lane]) return true;
  }
  return false;
}

class Checker {
 public:
  explicit Checker(MemoryModel& memory)
      : memory_(memory),
        now_(mine(memory)),
        me_(self()),
        epoch_(now_.of[me_] | me_ << epoch_lane_shift) {}

  void read(ByteShadow& byte, Access access, std::uint64_t key) {
    if (!ordered(byte.write)) race(key, byte.write, true, "read");
    if (access == Access::plain) check_all(byte.atomic_write, key, true, "read");
    note_one_more(access == Access::plain ? byte.read : byte.atomic_read);
  }

  void write(ByteShadow& byte, Access access, std::uint64_t key) {
    if (!ordered(byte.write)) race(key, byte.write, true, "write");
    check_all(byte.read, key, false, "write");
    if (access == Access::atomic) {
      note_one_more(byte.atomic_write);
      return;
    }
    check_all(byte.atomic_write, key, true, "write");
    check_all(byte.atomic_read, key, false, "write");
    byte.write = epoch_;
  }

 private:
  bool ordered(Epoch epoch) const {
    return (epoch & clock_mask) <= now_.of[epoch >> epoch_lane_shift];
  }

  // Of accesses that need no order among themselves.
  void note_one_more(Epoch& reader) {
    if (reader == epoch_) return;
    if (reader >= shared_epoch) {
      memory_.together[reader - shared_epoch].of[me_] = epoch_ & clock_mask;
      return;
    }
    const bool same_lane = reader >> epoch_lane_shift == me_;
    if (same_lane || ordered(reader) || memory_.together_count == together_max) {
      reader = epoch_;
      return;
    }
    VectorClock& both = memory_.together[memory_.together_count];
    both = {};
    both.of[reader >> epoch_lane_shift] = reader & clock_mask;
    both.of[me_] = epoch_ & clock_mask;
    reader = shared_epoch + memory_.together_count++;
  }

  void check_all(Epoch others, std::uint64_t key, bool they_wrote, const char* doing) {
    if (others < shared_epoch) {
      if (!ordered(others)) race(key, others, they_wrote, doing);
      return;
    }
    const VectorClock& clocks = memory_.together[others - shared_epoch];
    for (unsigned lane = 0; lane < lanes_max; ++lane) {
      const Epoch one = clocks.of[lane] | lane << epoch_lane_shift;
      if (lane != me_ && !ordered(one)) race(key, one, they_wrote, doing);
    }
  }

  [[noreturn]] void race(std::uint64_t key, Epoch other, bool other_wrote, const char* doing) {
    char object[80];
    describe_key(key, object, sizeof object);
    note_value(0);
    end_schedule(Ending::race, "lane %u's %s of %s is not ordered after lane %u's %s", me_, doing,
                 object, other >> epoch_lane_shift, other_wrote ? "write" : "read");
  }

  MemoryModel& memory_;
  const VectorClock& now_;
  const unsigned me_;
  const Epoch epoch_;
};

}  // namespace

void forget_all(MemoryModel& memory, unsigned lanes) {
  ++memory.generation;
  memory.together_count = 0;
  memory.sequential = {};
  memory.stamped = {};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    memory.now[lane] = {};
    memory.now[lane].of[lane] = 1;
    memory.visible[lane] = memory.now[lane];
    memory.to_acquire[lane] = {};
    memory.fence_release[lane] = {};
  }
}

void begin_lane(MemoryModel& memory, unsigned lane) {
  memory.now[lane] = mine(memory);
  memory.now[lane].of[lane] = 1;
  memory.visible[lane] = memory.visible[self()];
  memory.visible[lane].of[lane] = 1;
  memory.to_acquire[lane] = {};
  memory.fence_release[lane] = {};
  tick(memory);
}

void learn_from(MemoryModel& memory, unsigned lane) {
  mine(memory).join(memory.now[lane]);
  memory.visible[self()].join(memory.now[lane]);
  memory.visible[self()].join(memory.visible[lane]);
}

void check_access(MemoryModel& memory, std::uint64_t key, std::size_t bytes, bool writes,
                  Access access) {
  Checker checker(memory);
  for (std::uint64_t at = key; at < key + bytes;) {
    LineShadow& line = shadow[at / line_bytes];
    if (line.generation != memory.generation) {
      std::fill_n(line.byte, line_bytes, ByteShadow{});
      line.generation = memory.generation;
    }
    const std::uint64_t end = std::min(key + bytes, (at / line_bytes + 1) * line_bytes);
    for (; at < end; ++at) {
      ByteShadow& byte = line.byte[at % line_bytes];
      if (writes) {
        checker.write(byte, access, at);
      } else {
        checker.read(byte, access, at);
      }
    }
  }
}

std::uint64_t model_load(MemoryModel& memory, std::uint64_t key, std::uint64_t newest, int order,
                         unsigned bytes, bool weak, const void* pc) {
  Location& location = find(memory.location, key, memory.generation);
  if (location.bytes == 0) location.bytes = bytes;
  if (location.bytes != bytes) location.mixed = true;
  if (weak && order == __ATOMIC_SEQ_CST) join_sequential(memory);
  if (location.count == 0) return newest;
  std::uint32_t index = location.count;
  LaneControl& lane = control->lane[current_lane];
  if (weak && !location.mixed && lane.stale_in_row < stale_in_row_max) {
    std::uint32_t oldest = location.seen[current_lane];
    if (location.count > stores_kept) oldest = std::max(oldest, location.count - stores_kept);
    const VectorClock& visible = memory.visible[self()];
    for (std::uint32_t i = location.count; i > oldest; --i) {
      if (hides_older(location.store[(i - 1) % stores_kept], visible)) oldest = i;
    }
    const std::uint32_t choices = std::min(location.count - oldest + 1, stale_answers_max);
    index -= ask(Question::stale, choices, pc);
  }
  lane.stale_in_row = index == location.count ? 0 : lane.stale_in_row + 1;
  location.seen[current_lane] = index;
  if (index == 0) return location.first;
  Store& store = location.store[(index - 1) % stores_kept];
  std::uint32_t& first_read = store.read.of[self()];
  if (first_read == 0) first_read = mine(memory).of[self()];
  acquire(memory, store.released, order);
  return location.mixed || index == location.count ? newest : store.value;
}

void model_store(MemoryModel& memory, std::uint64_t key, std::uint64_t before, std::uint64_t value,
                 int order, unsigned bytes, bool update) {
  Location& location = find(memory.location, key, memory.generation);
  if (location.bytes == 0) location.bytes = bytes;
  if (location.bytes != bytes) location.mixed = true;
  if (location.count == 0) location.first = before;
  // A read-modify-write sees the newest store, and continues its release sequence.
  const bool continues = update && location.count > 0;
  const Release before_it =
      continues ? location.store[(location.count - 1) % stores_kept].released : Release{};
  if (continues) acquire(memory, before_it, order);
  tick(memory);
  if (order == __ATOMIC_SEQ_CST) join_sequential(memory);
  Release released = releases(order) ? release_now(memory) : memory.fence_release[self()];
  if (continues) released.join(before_it);
  Store& store = location.store[location.count % stores_kept];
  store.value = value;
  store.lane = self();
  store.at = memory.visible[self()];
  store.read = {};
  store.released = released;
  ++location.count;
  location.seen[current_lane] = location.count;
  tick(memory);
}

void model_fence(MemoryModel& memory, int order) {
  if (acquires(order)) join(memory, memory.to_acquire[self()]);
  if (order == __ATOMIC_SEQ_CST) join_sequential(memory);
  if (releases(order)) {
    memory.fence_release[self()] = release_now(memory);
    tick(memory);
  }
}

void order_in_time(MemoryModel& memory) {
  memory.visible[self()].join(memory.stamped);
  memory.stamped.join(memory.visible[self()]);
}

void release_to(MemoryModel& memory, std::uint64_t object) {
  find(memory.object, object, memory.generation).release.join(release_now(memory));
  tick(memory);
}

void acquire_from(MemoryModel& memory, std::uint64_t object) {
  join(memory, find(memory.object, object, memory.generation).release);
}

}  // namespace ipctorture::schedule
