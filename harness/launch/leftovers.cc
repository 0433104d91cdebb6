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

// Does a table of proc(5) list the key? It is the first column, in decimal.
bool lists_key(const std::string& table, key_t key) {
  std::ifstream lines(table);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    long long listed = 0;
    if (std::istringstream(line) >> listed && listed == key) return true;
  }
  return false;
}

void report_system_v(std::vector<Evidence>& leaks, key_t key) {
  for (const auto& [table, what] : {std::pair{"/proc/sysvipc/shm", "System V segment"},
                                    {"/proc/sysvipc/msg", "System V message queue"},
                                    {"/proc/sysvipc/sem", "System V semaphore set"}}) {
    if (lists_key(table, key)) leaks.push_back({.fact = Fact::leaked, .value = 1, .text = what});
  }
}

// What this process still has open or mapped of the scenario's objects: create() and destroy() run
// here. Only what bears the scenario's name or lies in its directory is surely its own: other
// engines of this process work meanwhile. So pipes, sockets and unnamed memory are not seen.
void report_held(std::vector<Evidence>& leaks, const Options& options) {
  const auto ours = [&](const std::string& target) {
    return target.find("/" + options.name) != std::string::npos ||
           target.find(options.directory + "/") != std::string::npos;
  };
  std::uint64_t descriptors = 0, mappings = 0;
  for (const std::string& fd : names_in("/proc/self/fd", "")) {
    char target[256];
    const ssize_t length = ::readlink(("/proc/self/fd/" + fd).c_str(), target, sizeof target);
    descriptors += length > 0 && ours(std::string(target, static_cast<std::size_t>(length)));
  }
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) mappings += ours(line);
  for (const auto& [count, what] : {std::pair{descriptors, "descriptors of the creator"},
                                    {mappings, "mappings of the creator"}}) {
    if (count > 0) leaks.push_back({.fact = Fact::leaked, .value = count, .text = what});
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
    report_system_v(leaks, system_v_key(options));
    report_held(leaks, options);
  }
  return leaks;
}

}  // namespace ipctorture
