#include "harness/schedule/outside.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

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

bool is_asleep(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[128] = {};
  if (!fd.valid() || ::read(fd.get(), text, sizeof text - 1) <= 0) return true;
  const char* name_end = ::strrchr(text, ')');
  if (name_end == nullptr || name_end[1] == 0) return true;
  return name_end[2] == 'S' || name_end[2] == 'D';
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
