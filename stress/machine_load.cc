#include "stress/machine_load.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

namespace ipctorture {
namespace {

// utime + stime + cutime + cstime of a process of group `group`; 0 for others (proc(5), stat).
std::uint64_t group_ticks(const std::string& pid, pid_t group) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  const std::size_t name_end = line.rfind(')');  // the name may hold blanks and parentheses
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state;
  pid_t parent = 0, process_group = 0;
  fields >> state >> parent >> process_group;
  if (process_group != group) return 0;
  std::string skipped;
  for (int i = 0; i < 8; ++i) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  std::int64_t children_user = 0, children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  if (!fields) return 0;
  return user + system + static_cast<std::uint64_t>(std::max<std::int64_t>(0, children_user)) +
         static_cast<std::uint64_t>(std::max<std::int64_t>(0, children_system));
}

}  // namespace

std::optional<CpuUse> cpu_use() {
  std::ifstream file("/proc/stat");
  std::string name;
  // user nice system idle iowait irq softirq steal
  std::array<std::uint64_t, 8> ticks{};
  if (!(file >> name) || name != "cpu") return std::nullopt;
  for (std::uint64_t& value : ticks) {
    if (!(file >> value)) return std::nullopt;
  }
  CpuUse use;
  for (const std::uint64_t value : ticks) use.all += value;
  use.busy = use.all - ticks[3] - ticks[4];

  struct Close {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, Close> proc(::opendir("/proc"));
  if (!proc) return std::nullopt;
  const pid_t group = ::getpgrp();
  while (const dirent* entry = ::readdir(proc.get())) {
    const char first = entry->d_name[0];
    if (first >= '0' && first <= '9') use.own += group_ticks(entry->d_name, group);
  }
  return use;
}

unsigned others_permille(const CpuUse& before, const CpuUse& after) {
  if (after.all <= before.all) return 0;
  const std::uint64_t busy = after.busy - std::min(after.busy, before.busy);
  const std::uint64_t own = after.own - std::min(after.own, before.own);
  const std::uint64_t others = busy - std::min(busy, own);
  return static_cast<unsigned>(
      std::min<std::uint64_t>(1000, others * 1000 / (after.all - before.all)));
}

}  // namespace ipctorture
