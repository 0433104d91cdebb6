// Workers as separate programs, started through Boost.Process: they share nothing with the
// supervisor but standard input and the files named there, as if each had been started from its own
// terminal.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/io.hpp>
#include <boost/process/pipe.hpp>

#include "harness/base/futex.h"
#include "harness/launch/crew.h"
#include "harness/launch/start_line.h"
#include "harness/launch/worker_output.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

namespace process = boost::process;

constexpr std::uint64_t exec_records_max = 1u
                                           << 16;  // exec scenarios are small; lanes are real files
constexpr std::int64_t look_every_ns = 500'000;    // separate programs ring no bell

class ExecCrew final : public Crew {
 public:
  ExecCrew(std::string program, std::string directory)
      : program_(std::move(program)), directory_(std::move(directory)) {}

  ~ExecCrew() override { reset(); }

  void start(const CrewJob& job) override {
    reset();
    StartLine line{.scenario = job.scenario, .options = job.options};
    const std::uint64_t records = std::min(job.journal_records, exec_records_max);
    lane_records_ = records;
    scenario_ = job.scenario;
    for (unsigned lane = 0; lane < job.scenario.lanes(); ++lane) {
      const std::string path = directory_ + "/lane-" + std::to_string(lane);
      const Descriptor fd = own_descriptor(
          ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open", path);
      paths_.push_back(path);
      reserve_backing(fd.get(), lane_bytes(records), path);  // 2 MiB
      mappings_.emplace_back(fd.get(), lane_bytes(records), path);
      Lane(mappings_.back().data()).reset(job.stamp_source, job.serialised, records, job.stays);
      line.lanes.push_back(path);
    }
    for (unsigned worker = 0; worker < worker_count(job.scenario); ++worker) {
      line.worker = worker;
      start_worker(start_line(line));
    }
  }

  Lane lane(unsigned lane) const override { return Lane(mappings_.at(lane).data()); }
  std::uint64_t lane_records() const override { return lane_records_; }
  bool finished(unsigned worker) const override { return workers_.at(worker).gone; }

  void kill(unsigned worker) override {
    Worker& target = workers_.at(worker);
    if (!target.gone) ::kill(target.child.id(), SIGKILL);
  }

  void signal(unsigned worker, int signal, pid_t thread) override {
    const Worker& target = workers_.at(worker);
    if (target.gone) return;
    if (thread == 0) {
      ::kill(target.child.id(), signal);
    } else {
      ::syscall(SYS_tgkill, target.child.id(), thread, signal);
    }
  }

  bool delivered(unsigned) const override { return true; }

  std::vector<WorkerExit> collect_exits() override {
    std::vector<WorkerExit> exits;
    for (unsigned i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      std::error_code error;
      if (!worker.not_started.empty()) {
        exits.push_back({.worker = i, .status = -1, .text = std::move(worker.not_started)});
        worker.not_started.clear();
      }
      if (worker.gone || worker.child.running(error)) continue;
      worker.gone = true;
      const int status = worker.child.native_exit_code();
      if (status != 0 || !is_done(i)) exits.push_back({.worker = i, .status = status});
    }
    return exits;
  }

  Strays end_strays() override { return {}; }

  void wait(Deadline deadline) override {
    const timespec pause = to_timespec(std::min(deadline.remaining(), look_every_ns));
    ::nanosleep(&pause, nullptr);
  }

  std::string output(unsigned worker) const override {
    return read_output(workers_.at(worker).output.get());
  }

 private:
  struct Worker {
    process::child child;
    process::opstream input;  // stays open: a worker may take its end as the supervisor's end
    Descriptor output;
    bool gone = false;
    std::string not_started;  // why, until it is told
  };

  bool is_done(unsigned worker) const {
    for (unsigned number = 0; number < mappings_.size(); ++number) {
      const LaneState state = lane(number).state();
      if (plan_lane(scenario_, number).worker != worker) continue;
      if (state != LaneState::done && state != LaneState::failed) return false;
    }
    return true;
  }

  void start_worker(const std::string& line) {
    Worker& worker = workers_.emplace_back();
    worker.output = create_unnamed_memory("worker-output", 0, Backing::sparse);
    const std::string path = "/proc/self/fd/" + std::to_string(worker.output.get());
    // The child opens what the supervisor's descriptor names: appended to by both streams.
    FILE* sink = ::fopen(path.c_str(), "a");
    if (sink == nullptr) throw_system_error("fopen", path);
    try {
      worker.child =
          process::child(program_, process::args = {"worker"},
                         process::std_in<worker.input, (process::std_out & process::std_err)> sink);
    } catch (const std::system_error& e) {  // no process, or no descriptor, to be had
      worker.gone = true;
      worker.not_started = e.what();
    }
    ::fclose(sink);
    if (worker.gone) return;
    worker.input << line << std::flush;
  }

  void reset() {
    for (Worker& worker : workers_) {
      if (!worker.gone) worker.child.terminate();
      std::error_code ignored;
      worker.child.wait(ignored);
    }
    workers_.clear();
    mappings_.clear();
    for (const std::string& path : paths_) ::unlink(path.c_str());
    paths_.clear();
  }

  std::string program_, directory_;
  std::vector<SharedMapping> mappings_;
  std::vector<std::string> paths_;
  Scenario scenario_;
  std::uint64_t lane_records_ = 0;
  std::vector<Worker> workers_;
};

}  // namespace

std::unique_ptr<Crew> make_exec_crew(const std::string& worker_program,
                                     const std::string& directory) {
  return std::make_unique<ExecCrew>(worker_program, directory);
}

}  // namespace ipctorture
