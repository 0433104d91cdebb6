#include "harness/launch/strays.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace ipctorture {
namespace {

std::vector<pid_t> children_of(pid_t parent) {
  const std::string pid = std::to_string(parent);
  std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

// Gone, dead and not yet reaped, or a sanitizer's symbolizer.
bool is_not_left_behind(pid_t pid) {
  const std::string name = process_name(pid);
  return name.empty() || name == "llvm-symbolizer" || name == "addr2line";
}

}  // namespace

std::string process_name(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t begin = line.find('('), end = line.rfind(") ");
  if (begin == std::string::npos || end == std::string::npos || end + 2 >= line.size()) return {};
  const char state = line[end + 2];
  return state == 'Z' || state == 'X' ? "" : line.substr(begin + 1, end - begin - 1);
}

std::vector<pid_t> find_orphans(std::span<const pid_t> workers) {
  std::vector<pid_t> orphans = children_of(::getpid());
  std::erase_if(orphans, [&](pid_t pid) {
    return std::find(workers.begin(), workers.end(), pid) != workers.end();
  });
  std::erase_if(orphans, is_not_left_behind);
  return orphans;
}

std::vector<pid_t> find_strays(std::span<const pid_t> workers) {
  std::vector<pid_t> strays = find_orphans(workers);
  for (const pid_t worker : workers) {
    std::vector<pid_t> children = children_of(worker);
    std::erase_if(children, is_not_left_behind);
    strays.insert(strays.end(), children.begin(), children.end());
  }
  return strays;
}

}  // namespace ipctorture
