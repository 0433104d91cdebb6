#include "stress/cli/footprint.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "harness/launch/active.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

using Kind = SystemName::Kind;

std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code gone;  // a run may remove it while we look
  for (fs::directory_iterator it(directory, gone), end; !gone && it != end; it.increment(gone)) {
    paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Every name that the options of a transport may lead to.
void add_existing(const Options& options, std::vector<SystemName>& names) {
  for (const fs::path& file : entries("/dev/shm")) {
    const std::string name = file.filename();
    if (name.starts_with(options.name)) names.push_back({Kind::shared_memory, name});
  }
  const key_t key = system_v_key(options);
  for (const SystemName& possible : {SystemName{Kind::queue, "/" + options.name},
                                     SystemName{Kind::system_v_queue, options.name, key},
                                     SystemName{Kind::system_v_memory, options.name, key},
                                     SystemName{Kind::system_v_semaphores, options.name, key}}) {
    if (exists(possible)) names.push_back(possible);
  }
}

}  // namespace

std::vector<std::string> run_directories(const Scratch& scratch) {
  std::vector<std::string> runs;
  for (const fs::path& parent : entries(scratch.path())) {
    if (!parent.filename().string().starts_with("ipctorture-")) continue;
    for (const fs::path& run : entries(parent)) {
      if (run.filename().string().starts_with("run-")) runs.push_back(run);
    }
  }
  return runs;
}

std::vector<SystemName> system_names(const Scratch& scratch) {
  std::vector<SystemName> names;
  for (const std::string& run : run_directories(scratch)) {
    for (const fs::path& file : entries(run)) {
      if (file.extension() != ".active") continue;
      for (unsigned channel = 0; channel < channels_max; ++channel) {
        if (const auto active = read_active(file, channel)) add_existing(active->options, names);
      }
    }
  }
  return names;
}

bool exists(const SystemName& name) {
  switch (name.kind) {
    case Kind::shared_memory: {
      struct stat status{};
      return ::lstat(("/dev/shm/" + name.name).c_str(), &status) == 0;
    }
    case Kind::queue: {
      const mqd_t queue = ::mq_open(name.name.c_str(), O_RDONLY);
      if (queue >= 0) ::mq_close(queue);
      return queue >= 0;
    }
    case Kind::system_v_queue:
      return ::msgget(name.key, 0) >= 0;
    case Kind::system_v_memory:
      return ::shmget(name.key, 0, 0) >= 0;
    case Kind::system_v_semaphores:
      return ::semget(name.key, 0, 0) >= 0;
  }
  return false;
}

std::string to_string(const SystemName& name) {
  constexpr const char* kinds[] = {"shared memory", "queue", "System V queue", "System V segment",
                                   "System V semaphores"};
  return std::string(kinds[static_cast<unsigned>(name.kind)]) + " " + name.name;
}

std::vector<std::string> remaining(const std::vector<SystemName>& names) {
  std::vector<std::string> texts;
  for (const SystemName& name : names) {
    if (exists(name)) texts.push_back(to_string(name));
  }
  return texts;
}

std::vector<SystemName> freeze_with_names(Child& child, const Scratch& scratch) {
  std::vector<SystemName> names;
  child.until([&] {
    if (!child.freeze()) return false;
    names = system_names(scratch);
    if (names.empty()) child.signal(SIGCONT);
    return !names.empty();
  });
  return names;
}

std::string inventory(const std::string& directory) {
  std::string text;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) paths.push_back(entry);
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) continue;
    text += path.string() + " " + std::to_string(status.st_size) + " " +
            std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec) +
            "\n";
  }
  return text;
}

}  // namespace ipctorture
