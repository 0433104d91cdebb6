// What all processes of one controlled scenario share: who runs, who waits for what, how the next
// departure from the default is chosen, and the trace of the steps taken. One mapping, made before
// the workers are forked; only the lane that runs touches it, so nothing in it is locked. Plain
// code: it is never a point itself.
#pragma once

#include <atomic>
#include <cstdint>

#include "harness/schedule/choices.h"
#include "harness/schedule/memory_model.h"

namespace ipctorture::schedule {

// Why a lane does not run.
enum class Waiting : std::uint8_t {
  none = 0,  // it can run
  key,       // until somebody wakes the key
  retry,     // until another lane did something of these classes; then it tries its call again
  order,     // for the director
  finished,
  dead,  // killed, or its process died
};

// Classes of effects: what a retrying lane may wait for.
enum Effect : std::uint32_t {
  effect_pipe = 1,
  effect_socket = 2,
  effect_message_queue = 4,
  effect_system_v = 8,
  effect_file = 16,
  effect_lock = 32,
  effect_signal = 64,
  effect_process = 128,
  effect_mutex = 256,
  effect_any = 0xffff,
};

struct LaneControl {
  Waiting waiting = Waiting::none;
  bool timed_out = false;  // how its last wait ended
  Point waits_in = Point::none;
  std::uint8_t process = 0;
  std::uint32_t classes = 0;   // of effects, when it retries
  std::uint64_t key = 0;       // that it waits for, or what the classes are about: for people
  std::int64_t deadline = 0;   // virtual ns; 0: none
  std::uint32_t steps = 0;     // taken, from 1
  std::uint32_t log_step = 0;  // its last one, of all
  std::int64_t priority = 0;   // PCT
  std::int64_t waiting_since = 0;
  void* timers = nullptr;               // that it made, in its own heap (calls/timer.cc)
  void* rings = nullptr;                // likewise (uring.h)
  std::uint32_t descriptor_timers = 0;  // likewise, in Control
  std::uint32_t handled_at = 0;  // its step in which a timer's handler ran while it waited; 0: none
  std::int64_t starved = 0;      // virtual ns that passed in leaps while it could run
  std::uint32_t stale_in_row = 0;
  const void* waits_at = nullptr;  // return address
  void* at_thread_exit = nullptr;  // destructors of its thread_local variables (calls/thread.cc)
};

// A lane that the transport started itself: a thread, or the first thread of a process.
struct AuxiliaryLane {
  std::uint8_t creator = 0;    // a lane
  bool leads_process = false;  // started by fork(2); else a thread of its creator's process
  bool detached = false;
  bool collected = false;  // joined, or waited for
  std::int32_t pid = 0;    // of the process that it leads
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  void* value = nullptr;     // that the thread ended with
  void* specific = nullptr;  // its values of pthread keys (calls/thread.cc)
};

// Which lane has a mutex whose kind asks for its owner. The library knows only the kernel's thread,
// which lanes of one process share.
struct HeldMutex {
  std::uint64_t key = 0;
  std::uint32_t lane = 0;
};
inline constexpr unsigned held_max = 64;

// A call was answered an error by choice: what the checkers must know.
struct Shortage {
  std::uint8_t lane = 0;
  Point at = Point::none;
  std::int32_t error = 0;
  std::int64_t time = 0;
};
inline constexpr unsigned shortages_max = 4;  // of one schedule

// A timer that is a descriptor (calls/timerfd.cc). A change of it is a kernel call.
struct DescriptorTimer {
  std::uint64_t device = 0, inode = 0;  // what its descriptors name
  std::int32_t clock = 0;
  std::int64_t expires = 0;  // virtual ns; 0: it is not set
  std::int64_t every = 0;
  std::uint64_t shown = 0;            // expiries that its readers were shown
  std::int32_t watched[lanes_max]{};  // by an epoll set, as this descriptor of that lane; 0: none
};
inline constexpr unsigned descriptor_timers_max = 8;  // made by one lane

// How the departures of a schedule are chosen.
enum class Source : std::uint8_t {
  listed,  // by global step: what an exhaustive search does
  keyed,   // by lane and its own step: what a replay does
  walk,    // a random lane, with some probability at each step
  pct,     // priorities that change at a few random steps (Burckhardt et al., ASPLOS 2010)
};

struct GlobalDeparture {
  std::uint32_t step = 0;
  Change change = Change::run;
  std::uint8_t value = 0;
};

inline constexpr unsigned listed_max = 8;
inline constexpr unsigned changes_max = 8;            // of priority, in PCT
inline constexpr std::uint32_t trace_max = 1u << 16;  // steps
inline constexpr std::uint32_t taken_max = 1u << 14;  // departures
inline constexpr std::uint32_t alone_max = 300;  // steps of one lane before the next has its turn
inline constexpr std::int64_t ns_per_step = 100;
inline constexpr std::int64_t long_sleep_ns = 100'000'000;  // worth telling the checkers
inline constexpr unsigned sleeps_max = 64;

// A lane slept in a call until its deadline.
struct LongSleep {
  std::uint8_t lane = 0;
  std::int64_t from = 0, to = 0;
};

// One step: 8 bytes, since every one of them is written. `others`: low byte, the lanes that could
// run instead; high byte, those whose deadline could pass. Of a question: the number of answers.
struct Step {
  std::uint8_t lane;
  Point point;
  std::uint16_t others;
  std::uint32_t key;
};
static_assert(sizeof(Step) == 8);

enum class Ending : std::uint8_t {
  running = 0,
  ready,     // every lane is attached and waits for the order to run
  complete,  // every lane of the workload is finished
  deadlock,  // nobody can run and nobody's deadline will pass
  livelock,  // the budget is used up and nothing was completed in its second half
  budget,    // the budget is used up
  race,
  misuse,        // an access to a shared mapping that is gone, or out of its bounds
  uncontrolled,  // a call blocked where the harness cannot see it
  crash,
  diverged,  // a strict replay took another step than the recorded one
  killed,    // internal: the running lane ends its process here
};
inline constexpr unsigned ending_count = 12;
std::string_view to_string(Ending ending);

struct Control {
  // --- of one schedule, set by the explorer
  std::uint32_t workload_lanes = 0;  // these have plans and journals, and come first
  std::uint32_t lanes = 0;           // and those that the transport started (AuxiliaryLane)
  std::uint32_t processes = 0;
  Source source = Source::listed;
  bool detect_races = true;
  bool weak_memory = false;
  bool keep_log = false;   // fill `log`, for explanations
  bool can_kill = false;   // lanes are processes
  bool questions = false;  // random sources may answer questions otherwise than by default
  bool hostile = false;    // a peer may write anything into shared memory, at any time
  bool shortages = false;  // calls may fail as on a machine that is full
  std::uint32_t step_budget = 20'000;
  std::uint32_t walk_one_in = 2;  // mean number of steps between random switches
  std::uint64_t random = 0;
  std::uint32_t listed_count = 0;
  GlobalDeparture listed[listed_max];
  std::uint32_t priority_changes = 0;
  std::uint32_t priority_change_at[changes_max] = {};
  std::uint32_t keyed_count = 0;
  std::uint32_t expected_steps = 0;  // strict replay: `expected` holds the recorded trace

  // --- its state
  Ending ending = Ending::running;
  std::int32_t current = -1;   // the lane that runs
  std::uint32_t runnable = 0;  // bit per lane
  // Bit per lane for which the kernel has something to do, which it does in the lane's next call:
  // no deadline passes before its time meanwhile.
  std::uint32_t resting = 0;
  std::uint32_t timed = 0;        // bit per lane that waits with a deadline
  std::uint32_t step = 0;         // taken, over all lanes
  std::uint32_t stop = 0;         // the step at which to think
  std::uint32_t alone_since = 0;  // the step at which the running lane began
  std::uint32_t next_listed = 0;
  std::uint32_t next_walk = 0;      // step of the next random switch
  std::uint32_t progress_step = 0;  // when the journals last moved
  std::uint64_t progress_heads = 0;
  std::int64_t lowest_priority = 0;
  std::int64_t time = 0;           // virtual ns
  std::uint64_t hash = 0;          // of the steps
  std::uint64_t stamp_order = 0;   // a hash of which lanes took stamps, in order
  std::uint32_t kernel_calls = 0;  // with an effect that a snapshot cannot take back
  std::uint32_t shared_accesses = 0;
  std::uint32_t taken_count = 0;   // departures so far
  std::uint32_t kill_lane = 0;     // when ending is `killed`
  std::uint32_t killed_lanes = 0;  // bit per lane
  std::uint32_t settles = 0;       // see scheduler.cc
  std::int64_t killed_at = 0;      // the last kill
  std::uint32_t sleep_count = 0;
  LongSleep sleeps[sleeps_max];
  std::uint32_t alterations = 0;  // by a hostile peer
  std::uint32_t shortage_count = 0;
  Shortage shortage[shortages_max];
  const char* said_call = nullptr;  // what ended it: a call (uncontrolled)
  char said[400] = {};              // ... in words
  std::uint32_t phase = 0;          // the director's
  std::uint32_t marks = 0;          // attempts
  std::uint32_t log_count = 0;
  LaneControl lane[lanes_max];
  AuxiliaryLane auxiliary[lanes_max];
  std::uint32_t held_count = 0;
  HeldMutex held[held_max];
  bool leaves = false;  // when ending is `killed`: the process ends by itself, with this status
  std::int32_t exit_status = 0;
  MemoryModel memory;

  DescriptorTimer descriptor_timer[lanes_max][descriptor_timers_max];
  std::int32_t real_pid[lanes_max] = {};  // by process (virtual_pid.h); 0: not known
  std::int32_t real_parent_pid = 0;

  // --- batons: who waits in futex(2) for its turn
  alignas(64) std::atomic<std::uint32_t> supervisor{0};
  struct alignas(64) Baton {
    std::atomic<std::uint32_t> word{0};
  } baton[lanes_max];
  std::uint32_t command = 0;  // ProcessCommand for whoever gets a baton

  Departure taken[taken_max];
  Departure keyed[taken_max];  // sorted by lane and step
  Step trace[trace_max];
  struct LogEntry {
    const void* pc;       // within the transport's code
    std::uint64_t value;  // that was loaded or stored, or the result of a call
  } log[trace_max];
  Step expected[trace_max];
};

}  // namespace ipctorture::schedule
