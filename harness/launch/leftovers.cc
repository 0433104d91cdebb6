#include "harness/launch/leftovers.h"

#include <dirent.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>

namespace ipctorture {
namespace {

std::vector<std::string> names_in(const std::string& directory, const std::string& prefix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), ::closedir);
  if (open == nullptr) return names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && name.starts_with(prefix)) names.push_back(name);
  }
  return names;
}

void report(std::vector<Evidence>& leaks, const std::string& directory, const std::string& prefix) {
  for (const std::string& name : names_in(directory, prefix)) {
    leaks.push_back({.fact = Fact::leaked, .value = 1, .text = "name " + directory + "/" + name});
  }
}

}  // namespace

std::vector<Evidence> find_leftovers(const Options& options, Search search) {
  std::vector<Evidence> leaks;
  report(leaks, options.directory, "");
  // Said once: the next scenario starts in an empty directory again.
  for (const Evidence& leak : leaks) ::unlink(leak.text.substr(sizeof "name " - 1).c_str());
  if (search == Search::thorough) {
    report(leaks, "/dev/shm", options.name);
    report(leaks, "/dev/mqueue", options.name);
  }
  return leaks;
}

unsigned count_own_sysv_segments() {
  unsigned count = 0;
  const std::string self = std::to_string(::getpid());
  std::ifstream table("/proc/sysvipc/shm");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string field;
    for (int column = 0; column <= 4 && fields >> field; ++column) {
    }
    count += field == self;  // key shmid perms size cpid: proc(5)
  }
  return count;
}

}  // namespace ipctorture
