#include "harness/schedule/calls/virtual_pid.h"

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>
#include <string_view>

#include "harness/schedule/calls/call.h"
#include "harness/schedule/lane_process.h"

namespace ipctorture::schedule {
namespace {

// Ids of threads that are not the first of their process. Tasks of the kernel are not that many.
constexpr pid_t first_virtual_tid = first_virtual_pid + 100;

pid_t own_pid() { return static_cast<pid_t>(raw_call(SYS_getpid)); }

bool is_first_of_process(unsigned lane) {
  for (unsigned before = 0; before < lane; ++before) {
    if (control->lane[before].process == control->lane[lane].process) return false;
  }
  return true;
}

unsigned my_process() { return control->lane[current_lane].process; }

pid_t virtual_tid() {
  const auto lane = static_cast<unsigned>(current_lane);
  if (is_first_of_process(lane)) return virtual_pid(my_process());
  return first_virtual_tid + current_lane;
}

}  // namespace

void register_process(unsigned process) {
  if (process >= lanes_max) return;
  control->real_pid[process] = own_pid();
  if (process == 0 || control->real_parent_pid == 0) {
    control->real_parent_pid = static_cast<pid_t>(raw_call(SYS_getppid));
  }
}

pid_t to_virtual(pid_t real) {
  if (real <= 0) return real;
  for (unsigned process = 0; process < lanes_max; ++process) {
    if (control->real_pid[process] == real) return virtual_pid(process);
  }
  if (current_lane >= 0 && real == own_pid()) return virtual_pid(my_process());
  return real == control->real_parent_pid ? virtual_parent_pid : real;
}

pid_t to_real(pid_t seen) {
  if (seen < 0 && seen > -first_virtual_tid - pid_t{lanes_max}) {
    return seen <= -first_virtual_pid ? -to_real(-seen) : seen;
  }
  if (seen == virtual_parent_pid) return static_cast<pid_t>(raw_call(SYS_getppid));
  // The lanes of a process are one task of the kernel's.
  const bool is_thread = seen >= first_virtual_tid && seen < first_virtual_tid + pid_t{lanes_max};
  const auto process = is_thread ? control->lane[seen - first_virtual_tid].process
                                 : static_cast<unsigned>(seen - first_virtual_pid);
  if (seen < first_virtual_pid || process >= lanes_max) return seen;
  if (current_lane >= 0 && process == my_process()) return own_pid();
  return control->real_pid[process] == 0 ? seen : control->real_pid[process];
}

void show_virtual_pid(siginfo_t& info) {
  const int code = info.si_code;
  const bool has_pid = code == SI_USER || code == SI_QUEUE || code == SI_TKILL ||
                       code == SI_MESGQ || (info.si_signo == SIGCHLD && code > 0);
  if (has_pid) info.si_pid = to_virtual(info.si_pid);
}

void show_virtual_pids(int fd, std::span<const iovec> parts, long bytes) {
  if (bytes < static_cast<long>(sizeof(signalfd_siginfo))) return;
  char path[40], name[40] = {};
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const long length = raw_call(SYS_readlinkat, AT_FDCWD, word(path), word(name), sizeof name - 1);
  if (length < 0 || std::string_view(name) != "anon_inode:[signalfd]") return;
  auto left = static_cast<std::size_t>(bytes);
  for (const iovec& part : parts) {
    const std::size_t here = left < part.iov_len ? left : part.iov_len;
    left -= here;
    for (std::size_t at = 0; at + sizeof(signalfd_siginfo) <= here;
         at += sizeof(signalfd_siginfo)) {
      auto* info = reinterpret_cast<signalfd_siginfo*>(static_cast<std::byte*>(part.iov_base) + at);
      info->ssi_pid = static_cast<std::uint32_t>(to_virtual(static_cast<pid_t>(info->ssi_pid)));
    }
  }
}

namespace {

// Calls `with` for the credentials that a message carries.
template <typename With>
void for_credentials(msghdr& message, With with) {
  if (message.msg_control == nullptr) return;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_CREDENTIALS) continue;
    ucred credentials;
    std::memcpy(&credentials, CMSG_DATA(one), sizeof credentials);
    with(credentials);
    std::memcpy(CMSG_DATA(one), &credentials, sizeof credentials);
  }
}

}  // namespace

void show_virtual_pids(msghdr& message) {
  for_credentials(message, [](ucred& one) { one.pid = to_virtual(one.pid); });
}

RealCredentials::RealCredentials(const msghdr& message) : message_(message) {
  if (message.msg_control == nullptr || message.msg_controllen == 0 ||
      message.msg_controllen > sizeof copy_) {
    return;
  }
  std::memcpy(copy_, message.msg_control, message.msg_controllen);
  message_.msg_control = copy_;
  for_credentials(message_, [](ucred& one) { one.pid = to_real(one.pid); });
}

bool asks_for_id(long number, long& result) {
  switch (number) {
    case SYS_getpid:
      result = virtual_pid(my_process());
      return true;
    case SYS_gettid:
      result = virtual_tid();
      return true;
    case SYS_getppid:
      result = ::getppid();
      return true;
    default:
      return false;
  }
}

void translate_ids(long number, long* arguments) {
  const auto translate = [&](int which) {
    arguments[which] = to_real(static_cast<pid_t>(arguments[which]));
  };
  switch (number) {
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo:
      translate(0);
      translate(1);
      break;
    case SYS_kill:
    case SYS_tkill:
    case SYS_rt_sigqueueinfo:
    case SYS_pidfd_open:
    case SYS_process_vm_readv:
    case SYS_process_vm_writev:
    case SYS_wait4:
      translate(0);
      break;
    case SYS_waitid:
      if (arguments[0] == P_PID) translate(1);
      break;
    default:
      break;
  }
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

pid_t getpid() noexcept {
  if (!controlled()) return static_cast<pid_t>(raw_call(SYS_getpid));
  return virtual_pid(my_process());
}

pid_t gettid() noexcept {
  if (!controlled()) return static_cast<pid_t>(raw_call(SYS_gettid));
  return virtual_tid();
}

pid_t getppid() noexcept {
  const auto real_parent = static_cast<pid_t>(raw_call(SYS_getppid));
  if (!controlled()) return real_parent;
  const pid_t seen = to_virtual(real_parent);
  return seen >= first_virtual_pid ? seen : virtual_parent_pid;
}

int pidfd_open(pid_t process, unsigned flags) noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_pidfd_open, process, flags)));
  return make_int_call({.at = Point::process, .effects = effect_process},
                       __builtin_return_address(0),
                       [&] { return raw_call(SYS_pidfd_open, to_real(process), flags); });
}

int getsockopt(int fd, int level, int option, void* value, socklen_t* bytes) noexcept {
  const long result = raw_call(SYS_getsockopt, fd, level, option, word(value), word(bytes));
  if (controlled() && result == 0 && level == SOL_SOCKET && option == SO_PEERCRED &&
      *bytes >= sizeof(ucred)) {
    auto* credentials = static_cast<ucred*>(value);
    credentials->pid = to_virtual(credentials->pid);
  }
  return static_cast<int>(answer(result));
}

}  // extern "C"
