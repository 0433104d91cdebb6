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

void acquire(MemoryModel& memory, const VectorClock& released, int order) {
  if (acquires(order)) {
    mine(memory).join(released);
    memory.visible[self()].join(released);
  } else {
    memory.to_acquire[self()].join(released);
  }
}

void join_sequential(MemoryModel& memory) {
  memory.visible[self()].join(memory.sequential);
  memory.sequential.join(memory.visible[self()]);
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
    if (access == Access::plain && !ordered(byte.atomic_write)) {
      race(key, byte.atomic_write, true, "read");
    }
    note_reader(access == Access::plain ? byte.read : byte.atomic_read);
  }

  void write(ByteShadow& byte, Access access, std::uint64_t key) {
    if (!ordered(byte.write)) race(key, byte.write, true, "write");
    check_readers(byte.read, key);
    if (access == Access::atomic) {
      byte.atomic_write = epoch_;
      return;
    }
    if (!ordered(byte.atomic_write)) race(key, byte.atomic_write, true, "write");
    check_readers(byte.atomic_read, key);
    byte.write = epoch_;
  }

 private:
  bool ordered(Epoch epoch) const {
    return (epoch & clock_mask) <= now_.of[epoch >> epoch_lane_shift];
  }

  void note_reader(Epoch& reader) {
    if (reader == epoch_) return;
    if (reader >= shared_epoch) {
      memory_.readers[reader - shared_epoch].of[me_] = epoch_ & clock_mask;
      return;
    }
    const bool same_lane = reader >> epoch_lane_shift == me_;
    if (same_lane || ordered(reader) || memory_.reader_clocks == reader_clocks_max) {
      reader = epoch_;
      return;
    }
    VectorClock& both = memory_.readers[memory_.reader_clocks];
    both = {};
    both.of[reader >> epoch_lane_shift] = reader & clock_mask;
    both.of[me_] = epoch_ & clock_mask;
    reader = shared_epoch + memory_.reader_clocks++;
  }

  void check_readers(Epoch reader, std::uint64_t key) {
    if (reader < shared_epoch) {
      if (!ordered(reader)) race(key, reader, false, "write");
      return;
    }
    const VectorClock& readers = memory_.readers[reader - shared_epoch];
    for (unsigned lane = 0; lane < lanes_max; ++lane) {
      const Epoch one = readers.of[lane] | lane << epoch_lane_shift;
      if (lane != me_ && !ordered(one)) race(key, one, false, "write");
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
  memory.reader_clocks = 0;
  memory.sequential = {};
  memory.stamped = {};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    memory.now[lane] = {};
    memory.now[lane].of[lane] = 1;
    memory.visible[lane] = memory.now[lane];
    memory.to_acquire[lane] = memory.fence_release[lane] = {};
  }
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
      const Store& store = location.store[(i - 1) % stores_kept];
      if (store.at.of[store.lane] <= visible.of[store.lane]) oldest = i;
    }
    const std::uint32_t choices = std::min(location.count - oldest + 1, stale_answers_max);
    index -= ask(Question::stale, choices, pc);
  }
  lane.stale_in_row = index == location.count ? 0 : lane.stale_in_row + 1;
  location.seen[current_lane] = index;
  if (index == 0) return location.first;
  const Store& store = location.store[(index - 1) % stores_kept];
  acquire(memory, store.released, order);
  return location.mixed || index == location.count ? newest : store.value;
}

void model_store(MemoryModel& memory, std::uint64_t key, std::uint64_t before, std::uint64_t value,
                 int order, unsigned bytes, bool update) {
  Location& location = find(memory.location, key, memory.generation);
  if (location.bytes == 0) location.bytes = bytes;
  if (location.bytes != bytes) location.mixed = true;
  if (location.count == 0) location.first = before;
  VectorClock released = releases(order) ? mine(memory) : memory.fence_release[self()];
  if (update && location.count > 0) {
    // It continues the release sequence of the store that it read.
    const Store& read = location.store[(location.count - 1) % stores_kept];
    acquire(memory, read.released, order);
    if (releases(order)) released = mine(memory);
    released.join(read.released);
  }
  std::uint32_t& clock = mine(memory).of[self()];
  ++clock;
  memory.visible[self()].join(mine(memory));
  if (order == __ATOMIC_SEQ_CST) join_sequential(memory);
  Store& store = location.store[location.count % stores_kept];
  store.value = value;
  store.lane = self();
  store.at = memory.visible[self()];
  store.released = released;
  ++location.count;
  location.seen[current_lane] = location.count;
  ++clock;
  memory.visible[self()].of[self()] = clock;
}

void model_fence(MemoryModel& memory, int order) {
  if (acquires(order)) {
    mine(memory).join(memory.to_acquire[self()]);
    memory.visible[self()].join(memory.to_acquire[self()]);
  }
  if (releases(order)) {
    memory.fence_release[self()] = mine(memory);
    ++mine(memory).of[self()];
  }
  if (order == __ATOMIC_SEQ_CST) join_sequential(memory);
}

void order_in_time(MemoryModel& memory) {
  memory.visible[self()].join(memory.stamped);
  memory.stamped.join(memory.visible[self()]);
}

void release_to(MemoryModel& memory, std::uint64_t object) {
  find(memory.object, object, memory.generation).clock.join(mine(memory));
  ++mine(memory).of[self()];
}

void acquire_from(MemoryModel& memory, std::uint64_t object) {
  const VectorClock& clock = find(memory.object, object, memory.generation).clock;
  mine(memory).join(clock);
  memory.visible[self()].join(clock);
}

}  // namespace ipctorture::schedule
