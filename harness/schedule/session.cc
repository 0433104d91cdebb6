#include "harness/schedule/session.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>

#include "harness/base/clock.h"
#include "harness/schedule/arena.h"
#include "harness/schedule/calls/own_tasks.h"
#include "harness/schedule/controlled_stage.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/lane_process.h"
#include "harness/schedule/outside.h"
#include "harness/schedule/scheduler.h"
#include "harness/schedule/session_children.h"
#include "harness/schedule/session_history.h"
#include "harness/schedule/session_plan.h"

namespace ipctorture::schedule {
namespace {

constexpr std::int64_t virtual_start_ns = 1'000'000'000;
constexpr std::int64_t look_every_ns = 50'000'000;
constexpr Instant blocked_after_ns = 3'000'000'000;

// Everything that processes share, in one mapping that lives as long as this process.
struct SharedState {
  Control control;
  ProcessState process;
  ObjectTable objects;
};

std::byte* lanes_memory = nullptr;

void* map_shared_memory(std::size_t bytes, const char* what) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw_system_error("mmap", what);
  return memory;
}

// Once per process: sessions come and go, and use it one after the other. A forked process that
// has sessions of its own needs state of its own: what it inherits is shared with its parent.
void prepare_process() {
  static pid_t prepared_by = -1;
  if (prepared_by == ::getpid()) return;
  prepared_by = ::getpid();
  auto* state = new (map_shared_memory(sizeof(SharedState), "the control block")) SharedState;
  shadow = static_cast<LineShadow*>(
      map_shared_memory(canonical_pages_max * (page_bytes / line_bytes) * sizeof(LineShadow),
                        "the shadow of shared memory"));
  lanes_memory = static_cast<std::byte*>(
      map_shared_memory(lanes_max * lane_bytes(lane_records), "the journals"));
  reserve_arena(&state->objects);
  make_lane_heaps();
  for (Fiber& fiber : crew.fiber) {
    if (fiber.stack == nullptr) make_fiber(fiber);
  }
  process_state = &state->process;
  install_handover();
  install_direction();
  adopt_orphans();
  control = &state->control;
}

Descriptor duplicate(const Descriptor& handle) {
  return own_descriptor(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0), "fcntl", "handle");
}

}  // namespace

class Session::Implementation {
 public:
  Implementation(const Scenario& scenario, const Registration& registration, Backend backend,
                 std::vector<Options> options, LateLanes late_lanes)
      : registration_(registration), backend_(backend) {
    if (scenario.lanes() > lanes_max) throw std::invalid_argument("explore: at most 8 lanes");
    prepare_process();
    setting_.scenario = scenario;
    // The search kills, not a nemesis: nobody waits until it has.
    setting_.scenario.faults.producer_kills = setting_.scenario.faults.consumer_kills = 0;
    setting_.contract = registration.contract;
    setting_.late_are_successors = late_lanes == LateLanes::succeed;
    for (unsigned lane = 0; lane < scenario.lanes(); ++lane) {
      setting_.plans.push_back(plan_lane(scenario, lane));
      setting_.lanes.emplace_back(lanes_memory + lane * lane_bytes(lane_records));
    }
    setting = &setting_;
    crew.registration = &registration;
    crew.options = std::move(options);
    crew.code = reinterpret_cast<const void*>(registration.make);
    crew.variables.find(crew.code);
    crew.process = 0;
    crew.forked = false;
    Control& c = *control;
    c.workload_lanes = scenario.lanes();
    begin_without_auxiliary();
    c.can_kill = backend == Backend::processes;
    descriptors_before_ = open_descriptors(::getpid());
  }

  ~Implementation() {
    setting = nullptr;
    tear_down();
  }

  std::string unsupported() {
    for (const Options& options : crew.options) {
      const std::string why = registration_.build(options, {})->unsupported();
      if (!why.empty()) return why;
    }
    return {};
  }

  Ending run(const Plan& plan) {
    exits_.clear();
    const bool by_snapshot =
        lanes_wait_ready_ && !crew_snapshot_lost_ && !(abnormal_ && backend_ == Backend::processes);
    if (by_snapshot) {
      return_to_snapshot();
    } else if (const Ending ending = set_up(); ending != Ending::ready) {
      attached_ = false;
      return end(ending);
    }
    attached_ = true;
    configure(plan);
    begin_schedule();
    forget_all(control->memory, control->lanes);
    order_to_run();
    const Ending ending = choose_in_session() ? go() : control->ending;
    return end(ending);
  }

  const Setting& what() const { return setting_; }
  Outside outside() const { return {.exits = exits_, .leaks = leaks_}; }

  bool attached_ = false;
  bool returns_by_snapshot() const { return lanes_wait_ready_ && !crew_snapshot_lost_; }

 private:
  void begin_without_auxiliary() {
    Control& c = *control;
    c.lanes = c.workload_lanes;
    c.processes = backend_ == Backend::fibers ? 1 : worker_count(setting_.scenario);
    c.held_count = 0;
  }

  // Up to the moment at which every lane is attached: Ending::ready; else what went wrong.
  Ending set_up() {
    tear_down();
    forget_objects();
    Control& c = *control;
    begin_without_auxiliary();
    c.phase = c.marks = 0;
    c.time = virtual_start_ns;
    c.runnable = (1u << c.lanes) - 1;
    c.timed = 0;
    for (unsigned lane = 0; lane < c.lanes; ++lane) {
      c.lane[lane] = {};
      c.lane[lane].process = backend_ == Backend::fibers
                                 ? std::uint8_t{0}
                                 : static_cast<std::uint8_t>(setting_.plans[lane].worker);
      setting_.lanes[lane].reset(StampSource::monotonic, false, lane_records);
    }
    create();
    ++process_state->generation;
    process_state->from_snapshot = false;
    if (backend_ == Backend::processes && workers_.empty()) fork_workers();
    if (backend_ == Backend::processes) crew.lane_handles.clear();
    configure({});
    c.detect_races = false;
    begin_schedule();
    const Ending ending = choose_in_session() ? go() : c.ending;
    if (ending != Ending::ready) return ending;
    crew.lane_handles.clear();
    // What they have is not in a snapshot.
    if (c.processes > workers_.size() && backend_ == Backend::processes) crew_snapshot_lost_ = true;
    if (!crew_snapshot_lost_) save();
    return ending;
  }

  void create() {
    std::vector<std::vector<Descriptor>> handles;
    for (const Options& options : crew.options) {
      transports_.push_back(registration_.build(options, {}));
      transports_.back()->create();
      handles.push_back(transports_.back()->take_handles());
    }
    crew.lane_handles.clear();
    crew.lane_handles.resize(control->lanes);
    inherits_ = false;
    for (auto& of_lane : crew.lane_handles) {
      for (const auto& of_channel : handles) {
        of_lane.emplace_back();
        for (const Descriptor& handle : of_channel) of_lane.back().push_back(duplicate(handle));
        inherits_ = inherits_ || !of_channel.empty();
      }
    }
  }

  void fork_workers() {
    std::size_t handles = 0;
    for (const auto& of_lane : crew.lane_handles) {
      for (const auto& of_channel : of_lane) handles += of_channel.size();
    }
    descriptors_expected_ = open_descriptors(::getpid()).size() - handles;
    const pid_t parent = ::getpid();
    for (unsigned process = 0; process < control->processes; ++process) {
      control->baton[process].word.store(0);
      const pid_t child = ::fork();
      if (child < 0) throw_system_error("fork", "a worker");
      if (child == 0) live_as_worker(process, parent);
      workers_.push_back(child);
    }
    control->supervisor.store(0);
  }

  // --- running

  Ending go() {
    Control& c = *control;
    c.ending = Ending::running;
    if (backend_ == Backend::fibers) {
      run_fibers();
      return c.ending;
    }
    c.command = static_cast<std::uint32_t>(ProcessCommand::run);
    post(c.baton[c.lane[c.current].process].word);
    std::uint32_t seen = c.step;
    Instant seen_at = monotonic_now();
    for (;;) {
      if (await(c.supervisor, look_every_ns)) {
        if (c.ending != Ending::killed) return c.ending;
        if (!go_on_without_killed()) return c.ending;
        continue;
      }
      // It may have said so, and died, just after we stopped waiting.
      const int dead = find_dead();
      if (dead >= 0 && c.ending == Ending::killed) {
        std::erase_if(
            exits_, [&](const ProcessExit& e) { return e.process == c.lane[c.kill_lane].process; });
        c.supervisor.store(0);
        if (!go_on_without_killed()) return c.ending;
        continue;
      }
      if (dead >= 0) return c.ending = Ending::crash;
      if (c.step != seen) {
        seen = c.step;
        seen_at = monotonic_now();
      } else if (monotonic_now() - seen_at > blocked_after_ns &&
                 is_asleep(pid_of(c.lane[c.current].process))) {
        const std::string where = waits_where(pid_of(c.lane[c.current].process));
        char name[40];
        name_lane(static_cast<unsigned>(c.current), name, sizeof name);
        std::snprintf(c.said, sizeof c.said, "%s blocks outside the harness' control%s", name,
                      where.c_str());
        return c.ending = Ending::uncontrolled;
      }
    }
  }

  pid_t pid_of(unsigned process) const {
    return process < workers_.size() ? workers_[process] : child_of_worker(process);
  }

  // The running lane ended its process, as it was told to. False: that ends the schedule.
  bool go_on_without_killed() {
    Control& c = *control;
    const unsigned process = c.lane[c.kill_lane].process;
    if (process < workers_.size()) {
      int status = 0;
      while (workers_[process] > 0 && ::waitpid(workers_[process], &status, 0) < 0 &&
             errno == EINTR) {
      }
      workers_[process] = -1;
    } else {
      wait_until_gone(child_of_worker(process));
    }
    const std::uint32_t mask = lanes_going_with(process);
    if (!c.leaves) c.killed_lanes |= mask;
    for (unsigned other = 0; other < c.lanes; ++other) {
      const pid_t child = (mask >> other & 1) != 0 ? child_of_worker(c.lane[other].process) : 0;
      if (child > 0) wait_until_gone(child);
    }
    bury(mask);
    tell_parents(mask);
    for (unsigned lane = 0; lane < c.workload_lanes; ++lane) {
      if ((mask >> lane & 1) != 0) order_successor(lane);
    }
    direction.rested();
    if (!choose_in_session()) return false;
    c.ending = Ending::running;
    post(c.baton[c.lane[c.current].process].word);
    return true;
  }

  int find_dead() {
    for (unsigned process = 0; process < workers_.size(); ++process) {
      if (workers_[process] <= 0) continue;
      int status = 0;
      if (::waitpid(workers_[process], &status, WNOHANG) != workers_[process]) continue;
      workers_[process] = -1;
      exits_.push_back({process, status});
      return static_cast<int>(process);
    }
    if (const auto child = dead_child(); child && control->ending != Ending::killed) {
      exits_.push_back(*child);
      return static_cast<int>(child->process);
    }
    return -1;
  }

  // What the schedule left behind, and whether the next one can begin where this one did.
  Ending end(Ending ending) {
    const Control& c = *control;
    const bool orderly = ending == Ending::complete && c.killed_lanes == 0;
    if (c.kernel_calls > 0 && attached_) crew_snapshot_lost_ = true;
    if (!orderly && (!returns_by_snapshot() || backend_ == Backend::processes)) abnormal_ = true;
    if (!attached_) abnormal_ = true;
    end_children(children_);
    if (!children_.empty()) abnormal_ = true;  // they are their parents' to wait for
    leaks_.clear();
    if (orderly && (!looked_for_leaks_ || c.shortage_count > 0)) look_for_leaks();
    return ending;
  }

  // Once per session, and after calls that failed: what each worker has open when it has closed
  // everything.
  void look_for_leaks() {
    looked_for_leaks_ = true;
    for (unsigned process = 0; process < workers_.size(); ++process) {
      const std::size_t open = open_descriptors(workers_[process]).size();
      if (open > descriptors_expected_) leaks_.push_back({process, open - descriptors_expected_});
    }
  }

  // --- returning to the moment at which everybody was ready

  struct Moment {
    LaneControl lane[lanes_max];
    AuxiliaryLane auxiliary[lanes_max];
    std::vector<HeldMutex> held;
    std::uint32_t lanes = 0, runnable = 0, timed = 0, phase = 0;
    std::int64_t time = 0;
    std::vector<std::vector<std::byte>> headers;
  };

  void save() {
    Control& c = *control;
    process_state->saved = true;
    if (backend_ == Backend::fibers) {
      process_state->saved = save_lanes();
    } else {
      c.command = static_cast<std::uint32_t>(ProcessCommand::save);
      for (unsigned process = 0; process < c.processes; ++process) {
        post(c.baton[process].word);
        if (!await(c.supervisor, blocked_after_ns)) throw std::runtime_error("a worker hangs");
      }
    }
    if (!process_state->saved) {
      crew_snapshot_lost_ = true;
      return;
    }
    std::copy_n(c.lane, lanes_max, moment_.lane);
    std::copy_n(c.auxiliary, lanes_max, moment_.auxiliary);
    moment_.held.assign(c.held, c.held + c.held_count);
    moment_.lanes = c.lanes;
    moment_.runnable = c.runnable;
    moment_.timed = c.timed;
    moment_.phase = c.phase;
    moment_.time = c.time;
    moment_.headers.clear();
    for (const Lane& lane : setting_.lanes) {
      const auto* from = reinterpret_cast<const std::byte*>(&lane.header());
      moment_.headers.emplace_back(from, from + sizeof(LaneHeader));
    }
    lanes_wait_ready_ = true;
  }

  void return_to_snapshot() {
    Control& c = *control;
    abnormal_ = false;
    c.lanes = moment_.lanes;
    c.held_count = static_cast<std::uint32_t>(moment_.held.size());
    std::copy(moment_.held.begin(), moment_.held.end(), c.held);
    std::copy_n(moment_.lane, lanes_max, c.lane);
    const unsigned own = c.lanes - c.workload_lanes;
    std::copy_n(moment_.auxiliary + c.workload_lanes, own, c.auxiliary + c.workload_lanes);
    c.runnable = moment_.runnable;
    c.timed = moment_.timed;
    c.phase = moment_.phase;
    c.time = moment_.time;
    for (unsigned lane = 0; lane < c.workload_lanes; ++lane) {
      std::memcpy(static_cast<void*>(&setting_.lanes[lane].header()), moment_.headers[lane].data(),
                  sizeof(LaneHeader));
    }
    ++process_state->generation;
    process_state->from_snapshot = true;
    process_state->shared_restored = false;
  }

  // --- the end

  void tear_down() {
    // Workers that came to the end in order, and took nothing over, begin again by themselves.
    if (abnormal_ || inherits_ || setting == nullptr || lanes_wait_ready_) end_workers();
    crew.lane_handles.clear();
    crew.snapshot.clear();
    lanes_wait_ready_ = false;
    for (auto& transport : transports_) transport->destroy();
    transports_.clear();
    if (backend_ == Backend::fibers && abnormal_) close_leaked();
    abnormal_ = false;
  }

  void end_workers() {
    for (const pid_t worker : workers_) {
      if (worker <= 0) continue;
      ::kill(worker, SIGKILL);
      int status = 0;
      while (::waitpid(worker, &status, 0) < 0 && errno == EINTR) {
      }
    }
    workers_.clear();
    reap(children_);
  }

  // Fibers that were left in the middle never close what they opened.
  void close_leaked() const {
    for (const int fd : open_descriptors(::getpid())) {
      if (!descriptors_before_.contains(fd)) ::close(fd);
    }
  }

  const Registration& registration_;
  const Backend backend_;
  Setting setting_;
  std::vector<std::unique_ptr<Transport>> transports_;
  std::vector<pid_t> workers_;      // -1: dead
  std::vector<pid_t> children_;     // of theirs, ended, and not waited for
  std::vector<ProcessExit> exits_;  // of this schedule, not ordered
  std::set<int> descriptors_before_;
  std::size_t descriptors_expected_ = 0;  // of a worker that has closed everything
  std::vector<Leak> leaks_;               // of this schedule
  bool looked_for_leaks_ = false;
  bool inherits_ = false;
  bool abnormal_ = false;            // the lanes were left in the middle
  bool lanes_wait_ready_ = false;    // there is a snapshot to return to
  bool crew_snapshot_lost_ = false;  // returning takes the kernel
  Moment moment_;
};

Session::Session(const Scenario& scenario, const Registration& registration, Backend backend,
                 std::vector<Options> options, LateLanes late_lanes)
    : implementation_(std::make_unique<Implementation>(scenario, registration, backend,
                                                       std::move(options), late_lanes)) {}
Session::~Session() = default;
std::string Session::unsupported() { return implementation_->unsupported(); }
Ending Session::run(const Plan& plan) { return implementation_->run(plan); }
History Session::history() const {
  return history_of(implementation_->what(), *control, implementation_->outside());
}
std::uint64_t Session::history_hash() const {
  return hash_of_history(implementation_->what(), *control);
}
bool Session::ended_in_attach() const { return !implementation_->attached_; }
const Control& Session::state() const { return *control; }
bool Session::returns_by_snapshot() const { return implementation_->returns_by_snapshot(); }

bool Session::maps_shared_memory() const { return objects->count > 0; }

std::vector<std::string> Session::names() const {
  std::vector<std::string> names;
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    char name[40];
    name_lane(lane, name, sizeof name);
    names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> Session::waiting() const {
  std::vector<std::string> lines;
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    char name[40], text[160];
    name_lane(lane, name, sizeof name);
    describe_waiting(lane, text, sizeof text);
    lines.push_back(std::string(name) + " " + text);
  }
  return lines;
}

}  // namespace ipctorture::schedule
