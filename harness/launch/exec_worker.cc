#include "harness/launch/exec_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <stdexcept>

#include "harness/base/shared_mapping.h"
#include "harness/launch/lane_reader.h"
#include "harness/launch/start_line.h"
#include "harness/launch/worker.h"

namespace ipctorture {
namespace {

constexpr std::size_t line_max = 256 * 1024;

// A lane is believed only as far as its file reaches.
SharedMapping map_lane(const std::string& path) {
  const Descriptor fd =
      own_descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW), "open", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) throw_system_error("fstat", path);
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (bytes < lane_bytes(1)) throw std::invalid_argument(path + ": too short for a lane");
  SharedMapping mapping(fd.get(), bytes, path);
  refuse_unless_lane({mapping.data(), bytes}, path);
  return mapping;
}

std::string read_line() {
  std::string line;
  for (char c; ::read(0, &c, 1) == 1 && c != '\n';) {
    line.push_back(c);
    if (line.size() > line_max)
      throw std::invalid_argument("the start line is longer than 256 KiB");
  }
  return line;
}

}  // namespace

int run_exec_worker() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What the supervisor ignores is inherited; a transport is to find what a program finds at first.
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_DFL);
  // The supervisor decides when to end, also where a signal goes to the whole group.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  try {
    StartLine start = parse_start_line(read_line());
    const Registration* registration = find_registration(start.scenario.transport_name());
    if (registration == nullptr) {
      std::cerr << "worker: unknown transport " << start.scenario.transport_name() << "\n";
      return 69;
    }
    WorkerJob job{.scenario = &start.scenario,
                  .registration = registration,
                  .options = start.options,
                  .worker = start.worker};
    job.handles.resize(start.options.size());
    std::vector<SharedMapping> mappings;
    for (const std::string& path : start.lanes) {
      mappings.push_back(map_lane(path));
      job.lanes.emplace_back(mappings.back().data());
    }
    run_worker_job(std::move(job));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "worker: " << e.what() << "\n";
    return 64;
  }
}

}  // namespace ipctorture
