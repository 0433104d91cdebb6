// What a controlled schedule is made of: points, choices, and departures from the default.
//
// A schedule begins when every lane is attached. The lanes take steps, one at a time; each step
// that could have gone otherwise is a choice. The default is always the same: the lane that runs
// goes on; when it cannot, the next one that can; calls succeed whole. So a schedule is written
// down as its departures alone, each keyed by the lane that was running and that lane's own step
// count: that survives changes elsewhere, which a global count would not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture::schedule {

inline constexpr unsigned lanes_max = 8;

// Where a lane is about to do something that others could see.
enum class Point : std::uint8_t {
  none = 0,
  read,  // plain accesses to shared memory
  write,
  copy,  // memcpy, memmove, memset
  atomic_load,
  atomic_store,
  after_store,    // the step after an atomic store or exchange: others may see it first
  atomic_update,  // exchange, fetch_*, compare_exchange
  fence,
  futex_wait,
  futex_wake,
  mutex_lock,
  mutex_unlock,
  condition_wait,
  condition_signal,
  semaphore_wait,
  semaphore_post,
  rwlock,
  barrier,
  read_call,   // read, recv and their families
  write_call,  // write, send and their families
  poll,
  connect,
  accept,
  open,
  close,
  map,
  file,       // rename, unlink, ftruncate, fsync, ...
  file_lock,  // flock, fcntl locks
  message_queue,
  system_v,
  signal,
  timer,
  process,
  thread,
  sleep,
  yield,
  between,  // two operations of the workload
  order,    // waits for what the director orders
  choice,   // not a place but a question: Question says which
  end,
};
inline constexpr unsigned point_count = 41;
std::string_view to_string(Point point);

// What may go otherwise in one step beside who runs next. 0 is always "as it should".
enum class Question : std::uint8_t {
  waiter = 0,   // which of several waiters is woken
  shorter,      // 1: half of a read or write, 2: one byte of it
  interrupted,  // 1: EINTR before anything happened
  spurious,     // 1: a wait returns for no reason
  stale,        // n: an atomic load returns the n-th last store that it may
  shortage,     // n: the call fails with the n-th of the errors that a full machine gives it
  hostile,      // n: a peer has just written another value where this load looks
  unbacked,     // 1: the first touch of a page that nothing backs is a SIGBUS
};
inline constexpr unsigned question_count = 8;
std::string_view to_string(Question question);

enum class Change : std::uint8_t {
  run = 0,   // value: the lane that runs instead
  time_out,  // value: the lane whose deadline passes now
  answer,    // value: the answer to a question
  kill,      // the lane is ended by SIGKILL right here
};
std::string_view to_string(Change change);

// A departure from the default, at the step-th step of a lane.
struct Departure {
  std::uint32_t step = 0;  // of the lane, from 1
  std::uint8_t lane = 0;
  Change change = Change::run;
  std::uint8_t value = 0;
  bool operator==(const Departure&) const = default;
};

using Departures = std::vector<Departure>;

// "0@17:run=1 1@4:kill": for bundles and people. The reader takes it as hostile input: throws
// std::invalid_argument that names the word; at most departures_max.
inline constexpr std::size_t departures_max = 1u << 14;
std::string to_text(const Departures& departures);
Departures departures_from_text(std::string_view text);

}  // namespace ipctorture::schedule
