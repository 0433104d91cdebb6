// What a system call may lawfully answer instead of doing what it was asked: the errors of a
// machine that is full, and which reads and writes may be short. One table for both engines: the
// controlled one asks it as choices (harness/schedule/calls/), the free one draws from it
// (harness/launch/calls/).
//
// An error is here when its manual page names it for a shortage that any machine may have, and the
// call has then done nothing. EAGAIN is the answer of descriptors that do not wait only: who asked
// for it may be told to come again although something is there (select(2), BUGS).
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

namespace ipctorture {

// Up to two errors; the first 0 ends them.
struct PossibleErrors {
  std::int16_t error[2] = {};
  bool operator==(const PossibleErrors&) const = default;
  constexpr unsigned count() const { return error[0] == 0 ? 0 : error[1] == 0 ? 1 : 2; }
};

namespace errors_of {

// A new descriptor of an object that did not exist: socket, pipe2, eventfd, memfd_create, ...
inline constexpr PossibleErrors new_descriptor{{EMFILE, ENOMEM}};
// A descriptor of something that is there: open, shm_open, mq_open, accept.
inline constexpr PossibleErrors open{{EMFILE}};
inline constexpr PossibleErrors open_or_create{{EMFILE, ENOSPC}};
// Room on the medium, or for one more object of System V: fallocate, fsync, link, semget, ...
inline constexpr PossibleErrors room{{ENOSPC}};
inline constexpr PossibleErrors watch{{ENOSPC}};  // epoll_ctl, inotify_add_watch
inline constexpr PossibleErrors map{{ENOMEM}};    // mmap, shmat
inline constexpr PossibleErrors thread{{EAGAIN}};
inline constexpr PossibleErrors process{{EAGAIN, ENOMEM}};
inline constexpr PossibleErrors queue_signal{{EAGAIN}};      // RLIMIT_SIGPENDING
inline constexpr PossibleErrors system_v_message{{ENOMEM}};  // msgsnd
inline constexpr PossibleErrors none{};

constexpr std::int16_t again_unless(bool waits) { return waits ? 0 : EAGAIN; }
constexpr PossibleErrors send(bool waits) { return {{ENOBUFS, again_unless(waits)}}; }
constexpr PossibleErrors receive(bool waits) { return {{again_unless(waits)}}; }
constexpr PossibleErrors use_pipe(bool waits) { return {{again_unless(waits)}}; }

}  // namespace errors_of

// What is behind a descriptor, as far as it decides what may be short.
enum class Behind : std::uint8_t {
  file,
  pipe,
  packet_pipe,  // O_DIRECT: each write is a packet, and a read that is too small loses the rest;
                // on the reading end next_is_packet (packet_pipe.h) says so
  stream,       // SOCK_STREAM
  packets,      // other sockets: a datagram goes whole, and what a read has no room for is lost
  other,        // eventfd, signalfd, message queues: units of their own
};

// May a read take less than is there?
constexpr bool read_may_be_short(Behind what) {
  return what == Behind::pipe || what == Behind::stream;
}
// May a write of so many bytes put in less than that? Up to PIPE_BUF a pipe takes all or nothing.
constexpr bool write_may_be_short(Behind what, std::size_t bytes) {
  return what == Behind::stream || (what == Behind::pipe && bytes > PIPE_BUF);
}

}  // namespace ipctorture
