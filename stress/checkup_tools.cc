#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"
#include "stress/checkup.h"

namespace ipctorture {
namespace {

using State = CheckupItem::State;

constexpr std::uint64_t unlimited = 1ull << 60;  // version 1 writes the largest page number

std::string first_word_of(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// May a process look into a sibling? That is how a stack reader that we start looks into a worker.
// Answers the errno of the refusal, 0 when it may.
int sibling_trace_error() {
  const pid_t looked_at = ::fork();
  if (looked_at == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  const pid_t looker = ::fork();
  if (looker == 0) {
    const bool may = ::ptrace(PTRACE_SEIZE, looked_at, nullptr, nullptr) == 0;
    ::_exit(may ? 0 : (errno & 127));
  }
  int status = 0;
  if (looker > 0) ::waitpid(looker, &status, 0);
  if (looked_at > 0) {
    ::kill(looked_at, SIGKILL);
    ::waitpid(looked_at, nullptr, 0);
  }
  if (looker < 0 || looked_at < 0) return EAGAIN;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

CheckupItem tracing() {
  CheckupItem item{.name = "stacks of workers (ptrace)"};
  const int error = sibling_trace_error();
  if (error == 0) {
    item.found = "may be read";
    return item;
  }
  item.state = State::lacking;
  item.found = "refused: " + std::generic_category().message(error);
  const std::string yama = first_word_of("/proc/sys/kernel/yama/ptrace_scope");
  item.mend = !yama.empty() && yama != "0" ? "sysctl -w kernel.yama.ptrace_scope=0"
                                           : "start the container with --cap-add=SYS_PTRACE";
  return item;
}

CheckupItem stack_reader() {
  CheckupItem item{.name = "eu-stack", .mend = "apt-get install elfutils"};
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string file = std::string(rest.substr(0, end)) + "/eu-stack";
    if (::access(file.c_str(), X_OK) == 0) {
      item.found = file;
      return item;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  item.state = State::lacking;
  item.found = "not installed: a hung worker is reported without its stack";
  return item;
}

CheckupItem clock_source() {
  CheckupItem item{.name = "clock"};
  const StampProperties stamps = measure_stamps();
  if (stamps.source == StampSource::hardware) {
    item.found = fmt::format("hardware counter, {:.2f} GHz", stamps.ticks_per_ns);
    return item;
  }
  item.state = State::weaker;
  item.found = "no invariant counter: stamps cost more";
  return item;
}

CheckupItem cores() {
  const unsigned count = std::thread::hardware_concurrency();
  CheckupItem item{.name = "cores", .found = fmt::format("{}", count)};
  if (count >= 2) return item;
  item.state = State::weaker;
  item.found += ": nothing runs in parallel, races show rarely";
  return item;
}

// The limits of the control group we are in, v2 or v1, where they are visible.
std::string group_limit(const char* v2, const char* v1) {
  std::ifstream file("/proc/self/cgroup");
  std::string line, group;
  while (std::getline(file, line)) {
    if (line.starts_with("0::")) group = line.substr(3);
  }
  for (const std::string& path :
       {"/sys/fs/cgroup" + group + "/" + v2, std::string("/sys/fs/cgroup/") + v2,
        std::string("/sys/fs/cgroup/") + v1}) {
    const std::string word = first_word_of(path);
    if (!word.empty()) return word;
  }
  return "max";
}

// Compares a limit of the group with what is wanted; "max" and -1 are no limit.
CheckupItem group_item(const char* name, const std::string& limit, std::uint64_t wanted,
                       const char* mend) {
  CheckupItem item{.name = name, .found = limit};
  char* end = nullptr;
  const unsigned long long value = std::strtoull(limit.c_str(), &end, 10);
  if (end == limit.c_str() || limit[0] == '-' || value > unlimited) {
    item.found = "no limit";
    return item;
  }
  if (value >= wanted) return item;
  item.state = State::lacking;
  item.found += fmt::format(", needs {}", wanted);
  item.mend = mend;
  return item;
}

// A call that a container's filter may refuse. `result` is what it returned.
CheckupItem call(const char* name, long result, State without, const char* loss) {
  CheckupItem item{.name = name, .found = "there"};
  if (result >= 0) return item;
  item.state = without;
  item.found = fmt::format("{}: {}", std::generic_category().message(errno), loss);
  item.mend = "start the container with --security-opt seccomp=unconfined";
  return item;
}

CheckupItem unnamed_memory() {
  const int fd = ::memfd_create("ipctorture-doctor", MFD_CLOEXEC);
  const CheckupItem item =
      call("memfd_create", fd, State::lacking, "journals and memfd_ring need it");
  if (fd >= 0) ::close(fd);
  return item;
}

}  // namespace

std::vector<CheckupItem> check_up_tools() {
  return {cores(),
          clock_source(),
          tracing(),
          stack_reader(),
          group_item("memory of the control group",
                     group_limit("memory.max", "memory/memory.limit_in_bytes"), 512u << 20,
                     "start the container with --memory=1g"),
          group_item("processes of the control group", group_limit("pids.max", "pids/pids.max"),
                     256, "start the container with --pids-limit=1024"),
          unnamed_memory()};
}

}  // namespace ipctorture
