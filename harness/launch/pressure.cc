#include "harness/launch/pressure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace ipctorture {
namespace {

constexpr std::uint64_t throttled_noted_ns = 5'000'000;

// A mounted hierarchy of control groups, proc_pid_mountinfo(5).
struct Mount {
  std::string root;   // the group that the mount point shows
  std::string point;  // where
  std::string type;   // cgroup, cgroup2
  std::string options;
};

std::vector<Mount> group_mounts(const std::string& mountinfo) {
  std::vector<Mount> mounts;
  std::ifstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash)), tail(line.substr(dash + 3));
    Mount mount;
    std::string id, parent, device, source;
    head >> id >> parent >> device >> mount.root >> mount.point;
    tail >> mount.type >> source >> mount.options;
    if (mount.type == "cgroup" || mount.type == "cgroup2") mounts.push_back(std::move(mount));
  }
  return mounts;
}

bool lists(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    if (names.substr(0, comma) == name) return true;
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  return false;
}

// The directories of a group and of those above it, innermost first, as far as they are mounted. A
// group that is not below the mount, as in a container without a namespace for groups, is shown at
// the mount point.
std::vector<std::string> directories(const Mount& mount, const std::string& group) {
  const std::string above = mount.root == "/" ? "" : mount.root;
  const bool below = group.starts_with(above + "/");
  std::string rest = below ? group.substr(above.size()) : "";
  std::vector<std::string> all;
  for (; rest.size() > 1; rest.resize(rest.rfind('/'))) all.push_back(mount.point + rest);
  all.push_back(mount.point);
  return all;
}

// The file of each directory that has it: the outermost group of a machine has no such counters.
std::vector<std::string> readable(const std::string& root, const std::vector<std::string>& chain,
                                  const char* file) {
  std::vector<std::string> found;
  for (const std::string& directory : chain) {
    std::string path = root + directory + file;
    if (::access(path.c_str(), R_OK) == 0) found.push_back(std::move(path));
  }
  return found;
}

// The number behind a word that begins a line; 0 when there is none.
std::uint64_t number_of(const std::string& path, std::string_view word) {
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ') continue;
    std::uint64_t value = 0;
    std::istringstream(line.substr(word.size())) >> value;
    return value;
  }
  return 0;
}

std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after > before ? after - before : 0;
}

}  // namespace

PressureGauge::PressureGauge(std::string root) : root_(std::move(root)) {
  const std::vector<Mount> mounts = group_mounts(root_ + "/proc/self/mountinfo");
  std::ifstream lines(root_ + "/proc/self/cgroup");
  // "0::/user.slice" of version 2, "4:cpu,cpuacct:/docker/1f" of version 1.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    for (const Mount& mount : mounts) {
      const bool version_2 = controllers.empty() && mount.type == "cgroup2";
      const auto counts = [&](const char* controller) {
        return version_2 || (mount.type == "cgroup" && lists(controllers, controller) &&
                             lists(mount.options, controller));
      };
      const std::vector<std::string> chain = directories(mount, group);
      if (counts("memory")) {
        const char* const file = version_2 ? "/memory.events" : "/memory.oom_control";
        const std::vector<std::string> found = readable(root_, chain, file);
        if (!found.empty()) memory_files_.push_back(found.front());
      }
      if (counts("cpu")) {
        const std::vector<std::string> found = readable(root_, chain, "/cpu.stat");
        cpu_files_.insert(cpu_files_.end(), found.begin(), found.end());
      }
    }
  }
}

PressureCounts PressureGauge::read() const {
  PressureCounts counts;
  counts.machine_kills = number_of(root_ + "/proc/vmstat", "oom_kill");
  for (const std::string& file : memory_files_) counts.group_kills += number_of(file, "oom_kill");
  for (const std::string& file : cpu_files_) {
    counts.throttled += number_of(file, "nr_throttled");
    counts.throttled_ns +=
        number_of(file, "throttled_usec") * 1000 + number_of(file, "throttled_time");
  }
  return counts;
}

std::vector<Evidence> pressure_between(const PressureCounts& before, const PressureCounts& after,
                                       std::int64_t ns) {
  std::vector<Evidence> evidence;
  const std::uint64_t ours = growth(before.group_kills, after.group_kills);
  const std::uint64_t all = growth(before.machine_kills, after.machine_kills);
  if (ours + all > 0) {
    evidence.push_back(
        {.fact = Fact::pressure,
         .value = ours > 0 ? ours : all,
         .text = fmt::format("out of memory: the kernel killed {} process(es) of this {}",
                             ours > 0 ? ours : all, ours > 0 ? "control group" : "machine")});
  }
  const std::uint64_t throttled_ns = growth(before.throttled_ns, after.throttled_ns);
  if (throttled_ns >= throttled_noted_ns) {
    const auto window = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ns));
    evidence.push_back({.fact = Fact::machine_stalled,
                        .value = std::min(throttled_ns, window),
                        .text = fmt::format("the control group was throttled {} time(s)",
                                            growth(before.throttled, after.throttled))});
  }
  return evidence;
}

}  // namespace ipctorture
