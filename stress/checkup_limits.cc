#include <fmt/format.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <cstdio>
#include <fstream>
#include <optional>

#include "harness/base/descriptor.h"
#include "harness/launch/run_directory.h"
#include "harness/report/summary.h"
#include "stress/checkup.h"

namespace ipctorture {
namespace {

using State = CheckupItem::State;

// Some engines at once, each with a scenario of large messages.
constexpr std::uint64_t shm_bytes_wanted = 256u << 20;
constexpr std::uint64_t run_bytes_wanted = 64u << 20;

std::optional<std::uint64_t> number_in(const std::string& path, unsigned field = 0) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  for (unsigned i = 0; i <= field; ++i) {
    if (!(file >> value)) return std::nullopt;
  }
  return value;
}

CheckupItem kernel_version() {
  utsname name{};
  ::uname(&name);
  unsigned major = 0, minor = 0;
  std::sscanf(name.release, "%u.%u", &major, &minor);
  const bool good = major > 4 || (major == 4 && minor >= 18);
  return {"kernel", good ? State::good : State::lacking,
          fmt::format("{}{}", name.release, good ? "" : ", needs 4.18"), ""};
}

CheckupItem shared_memory() {
  struct statvfs status{};
  CheckupItem item{.name = "/dev/shm", .mend = "mount -o remount,size=256M /dev/shm"};
  if (::statvfs("/dev/shm", &status) != 0) {
    item.state = State::lacking;
    item.found = std::generic_category().message(errno);
    item.mend = "mount -t tmpfs -o size=256M,mode=1777 tmpfs /dev/shm";
    return item;
  }
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  item.found = fmt::format("{} MiB free", free >> 20);
  if (free < shm_bytes_wanted) {
    item.state = State::lacking;
    item.found += fmt::format(", {} MiB wanted", shm_bytes_wanted >> 20);
    item.mend += "   (container: --shm-size=256m)";
  }
  return item;
}

CheckupItem run_directory_space() {
  const std::string base = run_base_directory();
  struct statvfs status{};
  CheckupItem item{.name = "directory of runs"};
  const bool known = ::statvfs(base.c_str(), &status) == 0;
  const std::uint64_t free = known ? std::uint64_t{status.f_bavail} * status.f_frsize : 0;
  item.found = fmt::format("{}, {} MiB free", base, free >> 20);
  if (free < run_bytes_wanted) {
    item.state = State::lacking;
    item.found += fmt::format(", {} MiB wanted", run_bytes_wanted >> 20);
    item.mend = "export TMPDIR=<a directory with room>; unset XDG_RUNTIME_DIR";
  }
  return item;
}

// A kernel setting that must be at least `wanted`.
CheckupItem kernel_setting(const char* name, std::uint64_t wanted) {
  std::string path = std::string("/proc/sys/") + name;
  std::string dotted = name;
  for (char& c : dotted) {
    if (c == '/') c = '.';
  }
  CheckupItem item{.name = dotted};
  const auto value = number_in(path);
  if (!value) {
    item.state = State::lacking;
    item.found = "not there: this kernel or container lacks it";
    return item;
  }
  item.found = fmt::format("{}", *value);
  if (*value < wanted) {
    item.state = State::lacking;
    item.found += fmt::format(", needs {}", wanted);
    item.mend = fmt::format("sysctl -w {}={}", dotted, wanted);
  }
  return item;
}

CheckupItem semaphores() {
  CheckupItem item{.name = "kernel.sem"};
  const auto per_set = number_in("/proc/sys/kernel/sem", 0);
  const auto sets = number_in("/proc/sys/kernel/sem", 3);
  if (per_set && sets && *per_set >= 32 && *sets >= 64) {
    item.found = fmt::format("{} per set, {} sets", *per_set, *sets);
    return item;
  }
  item.state = State::lacking;
  item.found = "needs 32 per set and 64 sets";
  item.mend = "sysctl -w kernel.sem='250 32000 100 128'";
  return item;
}

CheckupItem resource(const char* name, decltype(RLIMIT_NOFILE) which, std::uint64_t wanted,
                     const char* flag) {
  rlimit limit{};
  CheckupItem item{.name = name};
  if (::getrlimit(which, &limit) != 0) {
    item.state = State::weaker;
    item.found = std::generic_category().message(errno);
    return item;
  }
  item.found = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : fmt::format("{}", limit.rlim_cur);
  if (limit.rlim_cur >= wanted) return item;
  item.state = State::lacking;
  item.found += fmt::format(", needs {}", wanted);
  item.mend = fmt::format("ulimit -{} {}", flag, wanted);
  if (limit.rlim_max < wanted) item.mend += "   (as root: the hard limit is lower)";
  return item;
}

CheckupItem message_queue_call() {
  CheckupItem item{.name = "POSIX message queues"};
  const std::string name = fmt::format("/ipctorture-doctor-{}", ::getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 1;
  attributes.mq_msgsize = 8192;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue >= 0) {
    ::mq_close(queue);
    ::mq_unlink(name.c_str());
    item.found = "can be made";
    return item;
  }
  item.state = State::lacking;
  item.found = "mq_open: " + std::generic_category().message(errno);
  item.mend = "sysctl -w fs.mqueue.msgsize_max=8192; ulimit -q 819200";
  return item;
}

CheckupItem loopback() {
  CheckupItem item{.name = "loopback network", .mend = "ip link set lo up"};
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket.valid() &&
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    item.found = "127.0.0.1 can be bound";
    return item;
  }
  item.state = State::lacking;
  item.found = "127.0.0.1: " + std::generic_category().message(errno);
  return item;
}

CheckupItem notification() {
  CheckupItem item{.name = "inotify", .mend = "sysctl -w fs.inotify.max_user_instances=512"};
  const auto instances = number_in("/proc/sys/fs/inotify/max_user_instances");
  const Descriptor watch(::inotify_init1(IN_CLOEXEC));
  if (!watch.valid()) {
    item.state = State::lacking;
    item.found = std::generic_category().message(errno);
    return item;
  }
  item.found = fmt::format("{} instances", instances.value_or(0));
  if (instances.value_or(0) < 128) item.state = State::lacking;
  return item;
}

}  // namespace

std::vector<CheckupItem> check_up_limits() {
  return {kernel_version(),
          shared_memory(),
          run_directory_space(),
          message_queue_call(),
          kernel_setting("fs/mqueue/msg_max", 10),
          kernel_setting("fs/mqueue/msgsize_max", 8192),
          kernel_setting("fs/mqueue/queues_max", 64),
          resource("message queue bytes", RLIMIT_MSGQUEUE, 819'200, "q"),
          resource("queued signals", RLIMIT_SIGPENDING, 1024, "i"),
          resource("open files", RLIMIT_NOFILE, 1024, "n"),
          resource("processes", RLIMIT_NPROC, 256, "u"),
          kernel_setting("kernel/msgmax", 8192),
          kernel_setting("kernel/msgmnb", 16'384),
          kernel_setting("kernel/msgmni", 64),
          kernel_setting("kernel/shmmni", 64),
          semaphores(),
          notification(),
          loopback()};
}

}  // namespace ipctorture
