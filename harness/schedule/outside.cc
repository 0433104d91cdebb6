#include "harness/schedule/outside.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "harness/base/descriptor.h"

namespace ipctorture::schedule {

std::set<int> open_descriptors(pid_t process) {
  std::set<int> open;
  DIR* directory = ::opendir(("/proc/" + std::to_string(process) + "/fd").c_str());
  if (directory == nullptr) return open;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') open.insert(std::atoi(entry->d_name));
  }
  if (process == ::getpid()) open.erase(::dirfd(directory));
  ::closedir(directory);
  return open;
}

namespace {

// The words of proc_pid_stat(5) from the state on; empty when it is gone.
std::string state_and_on(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024] = {};
  if (!fd.valid() || ::read(fd.get(), text, sizeof text - 1) <= 0) return {};
  const char* name_end = ::strrchr(text, ')');
  return name_end == nullptr || name_end[1] == 0 ? std::string() : std::string(name_end + 2);
}

// A set of signals in proc_pid_status(5), "SigIgn:" and the like.
std::uint64_t signals(const std::string& status, const char* name) {
  const std::size_t at = status.find(name);
  return at == std::string::npos
             ? 0
             : std::strtoull(status.c_str() + at + std::strlen(name), nullptr, 16);
}

}  // namespace

bool is_asleep(pid_t process) {
  const std::string state = state_and_on(process);
  return state.empty() || state[0] == 'S' || state[0] == 'D';
}

bool is_gone(pid_t process) {
  const std::string state = state_and_on(process);
  return state.empty() || state[0] == 'Z' || state[0] == 'X';
}

void wait_until_gone(pid_t process) {
  constexpr int looks_max = 100'000;
  for (int look = 0; look < looks_max && !is_gone(process); ++look) ::usleep(100);
}

int status_of_gone(pid_t process) {
  const std::string state = state_and_on(process);
  const std::size_t last = state.rfind(' ');
  return last == std::string::npos ? 0 : std::atoi(state.c_str() + last);
}

bool ends_by(pid_t process, int signal) {
  if (signal == SIGKILL) return true;
  for (const int harmless :
       {0, SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    if (signal == harmless) return false;
  }
  const std::string path = "/proc/" + std::to_string(process) + "/status";
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string status(4096, 0);
  if (!fd.valid()) return true;
  const ssize_t bytes = ::read(fd.get(), status.data(), status.size());
  status.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  const std::uint64_t met =
      signals(status, "SigBlk:") | signals(status, "SigIgn:") | signals(status, "SigCgt:");
  return (met >> (signal - 1) & 1) == 0;
}

std::string waits_where(pid_t process) {
  const auto first_word = [&](const char* name) {
    const std::string path = "/proc/" + std::to_string(process) + "/" + name;
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[64] = {};
    if (!fd.valid() || ::read(fd.get(), text, sizeof text - 1) <= 0) return std::string();
    return std::string(text, ::strcspn(text, " \n"));
  };
  const std::string call = first_word("syscall"), channel = first_word("wchan");
  if (call.empty() && channel.empty()) return {};
  return " (system call " + call + (channel.empty() ? "" : ", " + channel) + ")";
}

}  // namespace ipctorture::schedule
