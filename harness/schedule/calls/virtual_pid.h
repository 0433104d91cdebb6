// The process ids that transports see under control: the same in every run, so that what they
// derive from an id (a slot, a tag, who is dead) is the same too. Every call that takes or shows an
// id translates it; ids of other processes are left alone.
//
// Where it stops: paths below /proc are not translated, nor are the thread ids that glibc keeps in
// its mutexes. A process id of the schedule never is that of another process: real ones do not come
// so close to 2^22, the most that Linux allows.
#pragma once

#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <span>

namespace ipctorture::schedule {

inline constexpr pid_t first_virtual_pid = 4'194'000;
// The process that started the workers.
inline constexpr pid_t virtual_parent_pid = first_virtual_pid - 1;

// As the transport knows a process of the schedule (LaneControl::process).
constexpr pid_t virtual_pid(unsigned process) {
  return first_virtual_pid + static_cast<pid_t>(process);
}
// To be called within the process, as soon as it knows its number.
void register_process(unsigned process);

// Ids of processes; 0 and negative ones (groups) and those of strangers come back as they are.
pid_t to_virtual(pid_t real);
// Of a process that never was: one that the kernel does not know either.
pid_t to_real(pid_t seen);
// As the kernel delivered it: si_pid, where the signal has one.
void show_virtual_pid(siginfo_t& info);
// What was read, if it was from a signalfd(2).
void show_virtual_pids(int fd, std::span<const iovec> parts, long bytes);
// Credentials that came with a message.
void show_virtual_pids(msghdr& message);

// A message that is to be sent, with the credentials that the kernel knows.
class RealCredentials {
 public:
  explicit RealCredentials(const msghdr& message);
  RealCredentials(const RealCredentials&) = delete;
  RealCredentials& operator=(const RealCredentials&) = delete;
  const msghdr& message() const { return message_; }

 private:
  msghdr message_;
  alignas(cmsghdr) std::byte copy_[256];
};

// Of calls by number: true when it asks for an id, `result` is the answer. Else ids among its
// arguments become real ones.
bool asks_for_id(long number, long& result);
void translate_ids(long number, long* arguments);

}  // namespace ipctorture::schedule
