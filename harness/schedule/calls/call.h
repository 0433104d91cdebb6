// What the interposed calls share: the loop of point, try, wait and try again, and what they have
// to know about a descriptor. Internal to calls/.
//
// An attempt answers as a system call does: a result, or -errno; or would_block, when the caller
// asked for a call that waits and it would have to.
//
// Where it stops: SO_RCVTIMEO and SO_SNDTIMEO are ignored; EINTR is given only to calls that would
// wait, as Linux does, and never in the name of a signal that another lane sent: a handler runs,
// but the call that it should interrupt does not notice.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <climits>
#include <cstdint>

#include "harness/schedule/arena.h"
#include "harness/schedule/interpose.h"

namespace ipctorture::schedule {

namespace errors_of = ipctorture::errors_of;

// Numbers of objects that order their users but are no descriptor's (object_of_descriptor).
inline constexpr std::uint64_t sync_tag = std::uint64_t{1} << 62;      // | key of the object
inline constexpr std::uint64_t system_v_tag = std::uint64_t{1} << 61;  // | id
inline constexpr std::uint64_t all_names = std::uint64_t{1} << 59;     // of files, queues, ...
inline constexpr std::uint64_t any_descriptor = std::uint64_t{1} << 58;
inline constexpr std::uint64_t all_signals = std::uint64_t{1} << 57;

// How a call orders the users of its object.
enum class Users : std::uint8_t { unordered, release, acquire, both };

struct Call {
  Point at = Point::none;
  std::uint64_t key = 0;        // what it is about; the same in every replay
  std::uint32_t waits_for = 0;  // effects that may let it go on
  std::uint32_t effects = 0;    // of its success
  Users users = Users::unordered;
  int fd = -1;               // the object is what is behind it
  std::uint64_t object = 0;  // or this
  std::int64_t deadline = 0;
  long late = -ETIMEDOUT;     // the answer when the deadline has passed
  bool by_key = false;        // waits until its key is woken, rather than for effects
  bool may_interrupt = true;  // EINTR is an answer
  PossibleErrors errors{};    // of a machine that is full
};

inline constexpr long would_block = LONG_MIN;

inline void release_object(std::uint64_t object) {
  if (control->detect_races) release_to(control->memory, object);
}
inline void acquire_object(std::uint64_t object) {
  if (control->detect_races) acquire_from(control->memory, object);
}

inline void order_users(Users users, std::uint64_t object) {
  if (users == Users::acquire || users == Users::both) acquire_object(object);
  if (users == Users::release || users == Users::both) release_object(object);
}

inline void order_users_of_descriptor(Users users, int fd) {
  if (!control->detect_races) return;
  order_users(users, object_of_descriptor(fd));
  // epoll_wait does not know which descriptors it found ready: it acquires from all of them.
  if (users != Users::acquire) release_object(any_descriptor);
}

// The call did something, perhaps not all of it yet.
inline void succeeded(const Call& call) {
  if (call.effects != 0) note_kernel_call();
  if (call.users != Users::unordered) {
    if (call.fd >= 0) {
      order_users_of_descriptor(call.users, call.fd);
    } else {
      order_users(call.users, call.object);
    }
  }
  if (call.effects != 0) effect(call.effects);
}

// Waits until the call may be tried again: true; or says what it answers.
inline bool may_try_again(const Call& call, const void* pc, long& result) {
  const std::int64_t until = call.may_interrupt ? with_interrupts(call.deadline) : call.deadline;
  // What has passed already is not waited for: others would run first.
  if (until == 0 || until > control->time) {
    if (call.may_interrupt && ask(Question::interrupted, 2, pc) == 1) {
      result = -EINTR;
      return false;
    }
    const bool again = call.by_key ? wait_for_key(call.at, call.key, until, pc)
                                   : wait_to_retry(call.at, call.waits_for, call.key, until, pc);
    if (again) return true;
  }
  result = call.may_interrupt && interrupted_by_timer(call.deadline) ? -EINTR : call.late;
  return false;
}

// Tries and waits, behind the point of the call.
template <typename Attempt>
long try_call(const Call& call, const void* pc, Attempt attempt) {
  long result;
  if (const int error = shortage(call.at, call.errors, pc); error != 0) {
    note_value(static_cast<std::uint64_t>(-error));
    return -error;
  }
  while ((result = attempt()) == would_block) {
    if (!may_try_again(call, pc, result)) {
      note_value(static_cast<std::uint64_t>(result));
      return result;
    }
  }
  if (result >= 0) succeeded(call);
  note_value(static_cast<std::uint64_t>(result));
  return result;
}

template <typename Attempt>
long make_call(const Call& call, const void* pc, Attempt attempt) {
  point(call.at, call.key, pc);
  return try_call(call, pc, attempt);
}

// The same as the C library's wrapper answers.
template <typename Attempt>
int make_int_call(const Call& call, const void* pc, Attempt attempt) {
  return static_cast<int>(answer(make_call(call, pc, attempt)));
}

// The result of the C library's own function, as a system call's.
inline long as_result(long value) { return value == -1 ? -errno : value; }

[[noreturn]] inline void blocks_uncontrolled(const char* call) {
  control->said_call = call;
  end_schedule(Ending::uncontrolled, "%s blocks outside the harness' control", call);
}

// --- descriptors

enum class Kind : std::uint8_t { file, pipe, socket, other };  // other: eventfd, inotify, ...

inline Kind kind_of(int fd) {
  struct stat status{};
  if (raw_call(SYS_fstat, fd, word(&status)) != 0) return Kind::other;
  if (S_ISFIFO(status.st_mode)) return Kind::pipe;
  if (S_ISSOCK(status.st_mode)) return Kind::socket;
  const bool on_disk =
      S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode);
  return on_disk ? Kind::file : Kind::other;
}

inline std::uint32_t effects_of(Kind kind) {
  return kind == Kind::file ? effect_file : kind == Kind::socket ? effect_socket : effect_pipe;
}

// What a transport prints is for people: no point, and it may wait.
inline bool is_standard_stream(int fd) { return fd >= 0 && fd <= STDERR_FILENO; }

inline bool is_nonblocking(int fd) {
  const long flags = raw_call(SYS_fcntl, fd, F_GETFL);
  return flags < 0 || (flags & O_NONBLOCK) != 0;
}

// Makes an open description non-blocking for a scope. The flag is shared with whoever shares the
// description, and none of them runs meanwhile: the scope must not contain a point.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) : fd_(fd), flags_(raw_call(SYS_fcntl, fd, F_GETFL)) {
    if (!by_choice()) raw_call(SYS_fcntl, fd_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~NonBlocking() {
    if (!by_choice()) raw_call(SYS_fcntl, fd_, F_SETFL, flags_);
  }
  NonBlocking(const NonBlocking&) = delete;
  NonBlocking& operator=(const NonBlocking&) = delete;

  // The user wants it so; or it is no descriptor, which the call itself will say.
  bool by_choice() const { return flags_ < 0 || (flags_ & O_NONBLOCK) != 0; }
  // What a call within the scope answers.
  long judged(long result) const {
    return result == -EAGAIN && !by_choice() ? would_block : result;
  }

 private:
  const int fd_;
  const long flags_;
};

// --- objects in memory

// The same in every process when shared; else of this process alone.
inline std::uint64_t key_of_object(const void* address) {
  if (in_arena(address)) {
    if (const std::uint64_t key = canonical(address); key != no_canonical) return key;
  }
  return private_key(address);
}

}  // namespace ipctorture::schedule
