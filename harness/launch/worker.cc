#include "harness/launch/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "harness/base/futex.h"
#include "harness/base/prng.h"
#include "harness/launch/failing_calls.h"
#include "harness/work/lane_life.h"

namespace ipctorture {
namespace {

// The free engine's stage: choices from a seeded generator, time from the kernel.
class FreeStage final : public Stage {
 public:
  FreeStage(const Scenario& scenario, unsigned lane_number, Lane lane,
            std::atomic<std::uint32_t>* bell)
      : prng_(mix64(scenario.seed ^ mix64(lane_number + 1))),
        header_(lane.header()),
        bell_(bell),
        failing_calls_(scenario.faults, scenario.seed, lane_number, lane) {
    follows_operations_ = failing_calls_.any();
  }

  std::uint64_t draw(std::uint64_t bound) override { return prng_.below(bound); }

  void enter(LaneState state) override {
    header_.state.store(static_cast<std::uint32_t>(state), std::memory_order_seq_cst);
    // Nobody waits for these.
    const bool passing =
        state == LaneState::attaching || state == LaneState::running || state == LaneState::closing;
    if (bell_ == nullptr || passing) return;
    bell_->fetch_add(1, std::memory_order_seq_cst);
    futex_wake(*bell_);
  }

  std::uint32_t wait_for_order(std::uint32_t obeyed) override {
    for (;;) {
      const std::uint32_t word = header_.order.load(std::memory_order_acquire);
      if (word != obeyed) return word;
      futex_wait(header_.order, obeyed, Deadline::never());
    }
  }

  bool stopped() const override { return header_.stop.load(std::memory_order_relaxed) != 0; }
  void sleep_ns(std::int64_t ns) override {
    const timespec duration = to_timespec(ns);
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, nullptr);
  }
  void spin_ns(std::int64_t ns) override {
    for (const Instant until = monotonic_now() + ns; monotonic_now() < until;) {
    }
  }
  void yield() override { ::sched_yield(); }
  unsigned shortages() const override { return failing_calls_.failed(); }

  // Second field of schedstat: ns spent runnable on a run queue
  // (Documentation/scheduler/sched-stats).
  std::int64_t starved_ns() const override {
    const Descriptor fd(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC));
    char text[96] = {};
    if (!fd.valid() || ::read(fd.get(), text, sizeof text - 1) <= 0) return 0;
    long long running = 0, waiting = 0;
    return std::sscanf(text, "%lld %lld", &running, &waiting) == 2 ? waiting : 0;
  }

 private:
  void enter_operation(Op op) override { failing_calls_.enter(op); }
  void leave_operation() override { failing_calls_.leave(); }

  Prng prng_;
  LaneHeader& header_;
  std::atomic<std::uint32_t>* bell_;
  FailingCalls failing_calls_;
};

std::vector<Descriptor> duplicate(const std::vector<Descriptor>& handles) {
  std::vector<Descriptor> copies;
  copies.reserve(handles.size());
  for (const Descriptor& handle : handles) {
    copies.push_back(own_descriptor(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0), "fcntl", "handle"));
  }
  return copies;
}

// One lane, on the calling thread.
void run_lane(const WorkerJob& job, const LanePlan& plan,
              std::vector<std::vector<Descriptor>> handles) {
  const Lane lane = job.lanes[plan.lane];
  FreeStage stage(*job.scenario, plan.lane, lane, job.bell);
  live({.scenario = job.scenario,
        .registration = job.registration,
        .options = &job.options,
        .plan = plan,
        .lane = lane},
       handles, stage);
}

// One lane on a thread of its own. Where no thread or descriptor is to be had, the lane fails and
// says so; the others go on.
void start_lane(const WorkerJob& job, const LanePlan& plan, std::vector<std::thread>& threads) {
  try {
    std::vector<std::vector<Descriptor>> copies;
    copies.reserve(job.handles.size());
    for (const auto& of_channel : job.handles) copies.push_back(duplicate(of_channel));
    threads.emplace_back([&job, plan, copies = std::move(copies)]() mutable {
      run_lane(job, plan, std::move(copies));
    });
  } catch (const std::system_error& e) {
    const Lane lane = job.lanes[plan.lane];
    FreeStage stage(*job.scenario, plan.lane, lane, job.bell);
    fail_lane(lane, stage, e.code().value(), e.what());
  }
}

// The processors that this process was given when it started: a cpuset, or taskset(1), may leave
// out any of them. Empty when the machine has more than a cpu_set_t can say.
const cpu_set_t& processors_given() {
  static const cpu_set_t given = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    return set;
  }();
  return given;
}

// The n-th of them alone, counted around.
cpu_set_t one_processor(const cpu_set_t& given, unsigned n) {
  cpu_set_t one;
  CPU_ZERO(&one);
  unsigned to_skip = n % static_cast<unsigned>(CPU_COUNT(&given));
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &given) || to_skip-- > 0) continue;
    CPU_SET(cpu, &one);
    break;
  }
  return one;
}

void place(const Scenario& scenario, unsigned worker) {
  const cpu_set_t& given = processors_given();
  if (CPU_COUNT(&given) > 0) {
    const unsigned n = scenario.pinning == Pinning::one_core ? 0 : worker;
    const cpu_set_t wanted = scenario.pinning == Pinning::none ? given : one_processor(given, n);
    ::sched_setaffinity(0, sizeof wanted, &wanted);  // a pooled worker may be bound by its last job
  }
  if (scenario.nice_max > 0) {
    ::setpriority(PRIO_PROCESS, 0, static_cast<int>(worker * 7 % (scenario.nice_max + 1)));
  }
}

// The highest that is open, plus one.
rlim_t descriptors_in_use() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  long highest = 2;
  while (const dirent* entry = ::readdir(directory)) {
    highest = std::max(highest, std::strtol(entry->d_name, nullptr, 10));
  }
  ::closedir(directory);
  return static_cast<rlim_t>(highest) + 1;
}

// Of all processes of this user, "SigQ:\t3/63432", proc_pid_status(5).
rlim_t signals_pending() {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("SigQ:")) return std::strtoul(line.c_str() + 5, nullptr, 10);
  }
  return 0;
}

// Never raises one. Answers the limit that holds.
rlim_t lower_limit(__rlimit_resource resource, rlim_t wanted) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return 0;
  limit.rlim_cur = std::min(limit.rlim_cur, wanted);
  ::setrlimit(resource, &limit);
  return limit.rlim_cur;
}

// For the whole process; such workers live for one scenario.
void prepare_for_faults(const Faults& faults, const std::vector<LanePlan>& plans,
                        const std::vector<Lane>& lanes) {
  if (faults.signals > 0) {
    struct sigaction nothing{};
    nothing.sa_handler = [](int) {};
    ::sigaction(storm_signal, &nothing, nullptr);
  }
  if (faults.spare_signals > 0) {
    lower_limit(RLIMIT_SIGPENDING, signals_pending() + faults.spare_signals);
  }
  if (faults.queue_bytes > 0) lower_limit(RLIMIT_MSGQUEUE, faults.queue_bytes);
  if (faults.spare_descriptors == 0) return;
  const rlim_t limit = lower_limit(RLIMIT_NOFILE, descriptors_in_use() + faults.spare_descriptors);
  for (const LanePlan& plan : plans) {
    lanes[plan.lane].header().descriptors_max.store(static_cast<std::uint32_t>(limit));
  }
}

}  // namespace

int count_descriptors() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  int count = -1;  // its own
  while (const dirent* entry = ::readdir(directory)) count += entry->d_name[0] != '.';
  ::closedir(directory);
  return count;
}

// "7f3c60000000-7f3c60001000 rw-s 00000000 00:01 1024  /dev/shm/x", proc_pid_maps(5)
int count_shared_mappings() {
  std::ifstream lines("/proc/self/maps");
  if (!lines) return -1;
  int count = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t flags = line.find(' ') + 1;
    const bool shared = flags + 4 <= line.size() && line[flags + 3] == 's';
    const bool writable = shared && line[flags + 1] == 'w';
    // The C library maps caches of its own, for reading: /usr/lib/.../gconv-modules.cache.
    count += shared && (writable || line.find(" /usr/") == std::string::npos);
  }
  return count;
}

void run_worker_job(WorkerJob job) {
  std::vector<LanePlan> plans;
  for (unsigned lane = 0; lane < job.scenario->lanes(); ++lane) {
    const LanePlan plan = plan_lane(*job.scenario, lane);
    if (plan.worker == job.worker) plans.push_back(plan);
  }
  if (plans.empty()) return;
  place(*job.scenario, job.worker);
  prepare_for_faults(job.scenario->faults, plans, job.lanes);
  LaneHeader& first = job.lanes[plans.front().lane].header();
  std::size_t handles = 0;
  for (const auto& of_channel : job.handles) handles += of_channel.size();
  if (job.scenario->count_resources) {
    first.descriptors_before = count_descriptors() - static_cast<int>(handles);
    first.mappings_before = count_shared_mappings();
  }
  std::vector<std::thread> threads;
  threads.reserve(plans.size());
  for (std::size_t i = 1; i < plans.size(); ++i) start_lane(job, plans[i], threads);
  run_lane(job, plans.front(), std::move(job.handles));
  for (auto& thread : threads) thread.join();
  if (job.scenario->count_resources) {
    first.descriptors_after = count_descriptors();
    first.mappings_after = count_shared_mappings();
  }
}

}  // namespace ipctorture
