#include "harness/launch/engine.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <system_error>

#include "harness/launch/active.h"
#include "harness/launch/crew.h"
#include "harness/launch/director.h"
#include "harness/launch/lane_reader.h"
#include "harness/launch/leftovers.h"
#include "harness/launch/watch.h"
#include "harness/scenario/options.h"

namespace ipctorture {
namespace {

// The machine's limits, not the transport's fault.
bool is_machine_limit(int error) {
  constexpr int limits[] = {ENOSPC, EMFILE, ENFILE, ENOMEM,       EDQUOT,
                            EACCES, EPERM,  ENOSYS, EAFNOSUPPORT, EADDRNOTAVAIL};
  return std::find(std::begin(limits), std::end(limits), error) != std::end(limits);
}

bool is_full_disk(int error) { return error == ENOSPC || error == EDQUOT; }

std::uint64_t journal_records(const Scenario& s, std::uint64_t at_least) {
  const std::uint64_t sent = s.messages * s.producers;
  return std::max(at_least, 4 * sent + 50'000);
}

// Real-time order matters as soon as two peers compete or an answer tells of a moment.
bool needs_serialised_stamps(const Scenario& s) {
  return s.lanes() > 2 || s.workload != Workload::stream || s.send_deadlines.now_permille > 0 ||
         s.receive_deadlines.now_permille > 0 || s.fill_first;
}

}  // namespace

class Engine::Implementation {
 public:
  explicit Implementation(const EngineOptions& options)
      : options_(options), watch_(options.stamps), forked_(make_forked_crew()) {
    const std::string number = claim_number(options.run_directory);
    for (unsigned channel = 0; channel < channels_max; ++channel) {
      directories_.push_back(lanes_directory_ + "/c" + std::to_string(channel));
      make_directory(directories_.back());
    }
    active_ = std::make_unique<ActiveFile>(options.run_directory + "/engine-" + number + ".active");
  }

  ~Implementation() {
    exec_.reset();
    forked_.reset();
    for (const std::string& directory : directories_) ::rmdir(directory.c_str());
    ::rmdir(lanes_directory_.c_str());
  }

  Run run(const Scenario& scenario, const Registration& registration, const Soak* soak,
          RoundJudge* judge) {
    Run result;
    soak_ = soak;
    judge_ = judge;
    if (scenario.launch == Launch::exec && options_.worker_program.empty()) {
      result.unsupported = "separate workers: no worker program is known";
      return result;
    }
    CrewJob job{.scenario = scenario,
                .stamp_source = options_.stamps.source,
                .serialised = options_.always_fenced || needs_serialised_stamps(scenario),
                .journal_records = journal_records(scenario, options_.journal_records),
                .stays = soak != nullptr};
    if (soak != nullptr) job.journal_records = soak->records / scenario.lanes();
    std::vector<std::unique_ptr<Transport>> transports;
    for (unsigned channel = 0; channel < scenario.channels(); ++channel) {
      job.options.push_back(
          make_options(scenario, registration.contract, channel, directories_[channel]));
      transports.push_back(registration.build(job.options.back(), {}));
    }
    result.options = job.options.front();
    try {
      result.unsupported = create(registration, job, transports);
      if (result.unsupported.empty()) perform(job, registration.contract, result);
    } catch (...) {
      announce(nullptr, scenario);
      crew_of(scenario).reset();  // whatever its workers do now, it ends with them
      destroy(registration, transports);
      throw;
    }
    destroy(registration, transports);
    transports.clear();
    if (result.unsupported.empty()) account_for_leaks(job, result.history);
    return result;
  }

  std::string describe() const {
    const std::scoped_lock lock(mutex_);
    std::string text;
    for (unsigned lane = 0; lane < running_lanes_; ++lane) {
      const LaneHeader& header = crew_->lane(lane).header();
      const auto records = header.head.load();
      text += "  " + running_ + " lane " + std::to_string(lane) + " pid " +
              std::to_string(header.pid.load()) + ": " +
              std::string(to_string(crew_->lane(lane).state())) + ", " + std::to_string(records) +
              " operations, " + std::to_string(header.accepted.load()) + " accepted, " +
              std::to_string(header.received.load()) + " received" +
              inside_operation(crew_->lane(lane)) + "\n";
    }
    return text.empty() ? "  idle\n" : text;
  }

  std::string overdue() const {
    const std::scoped_lock lock(mutex_);
    const Instant now = monotonic_now();
    if (inside_.empty() || now - inside_since_ < options_.transport_patience_ns) return {};
    return inside_ + " has not returned for " +
           std::to_string((now - inside_since_) / 1'000'000'000) + " s\n" +
           describe_hang(::getpid(), inside_thread_);
  }

 private:
  // ", inside receive (never) for 1.2 s"; nothing between operations. The worker goes on meanwhile:
  // a record that changes while it is read gives a wrong word for once, no more.
  std::string inside_operation(const Lane& lane) const {
    const LaneHeader& header = lane.header();
    const std::uint64_t head = header.head.load(std::memory_order_acquire);
    if (header.opened.load(std::memory_order_acquire) <= head || head >= crew_->lane_records()) {
      return {};
    }
    const Record record = lane.records()[head];
    const Stamp now = watch_.stamp();
    const Stamp spent = now - std::min(now, record.invoked);
    return fmt::format(", inside {} ({}) for {:.1f} s", to_string(record.op()),
                       to_string(record.mode()),
                       static_cast<double>(spent) / options_.stamps.ticks_per_ns / 1e9);
  }

  // While it lives, the calling thread is inside a call of the transport.
  class InsideCall {
   public:
    InsideCall(Implementation& engine, const char* call, std::string_view transport)
        : engine_(engine) {
      const std::scoped_lock lock(engine_.mutex_);
      engine_.inside_ = std::string(call) + "() of " + std::string(transport);
      engine_.inside_since_ = monotonic_now();
      engine_.inside_thread_ = ::gettid();
    }
    ~InsideCall() {
      const std::scoped_lock lock(engine_.mutex_);
      engine_.inside_.clear();
    }
    InsideCall(const InsideCall&) = delete;
    InsideCall& operator=(const InsideCall&) = delete;

   private:
    Implementation& engine_;
  };

  static void make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) throw_system_error("mkdir", path);
  }

  // The first engine directory `e0`, `e1`, ... of the run that nobody has.
  std::string claim_number(const std::string& run_directory) {
    for (unsigned number = 0;; ++number) {
      lanes_directory_ = run_directory + "/e" + std::to_string(number);
      if (::mkdir(lanes_directory_.c_str(), 0700) == 0) return std::to_string(number);
      if (errno != EEXIST) throw_system_error("mkdir", lanes_directory_);
    }
  }

  // Empty when everything exists; else why this machine cannot. Other failures of create() are
  // thrown.
  std::string create(const Registration& registration, CrewJob& job,
                     std::vector<std::unique_ptr<Transport>>& transports) {
    for (unsigned channel = 0; channel < transports.size(); ++channel) {
      Transport& transport = *transports[channel];
      const InsideCall inside(*this, "create", registration.name);
      // First: some try in unsupported() what they will create, and may be killed at that.
      active_->set(channel, std::string(registration.name), job.options[channel]);
      if (std::string why = transport.unsupported(); !why.empty()) return why;
      try {
        transport.create();
      } catch (const std::system_error& e) {
        if (!is_machine_limit(e.code().value())) throw;
        return e.what();
      }
      job.handles.push_back(transport.take_handles());
    }
    return {};
  }

  void destroy(const Registration& registration,
               std::vector<std::unique_ptr<Transport>>& transports) {
    for (unsigned channel = 0; channel < transports.size(); ++channel) {
      const InsideCall inside(*this, "destroy", registration.name);
      transports[channel]->destroy();
      active_->clear(channel);
    }
  }

  std::unique_ptr<Crew>& crew_of(const Scenario& scenario) {
    return scenario.launch == Launch::exec ? exec_ : forked_;
  }

  // A new one after a failure of the harness. Its zygote is forked late then, among threads. The
  // allocator stands that (glibc), other locks of the C++ library in theory do not: a worker that
  // hung at one would be told as hanging. The zygote dies with the thread that made it, which is
  // the one that uses this engine.
  Crew& ready_crew(const Scenario& scenario) {
    std::unique_ptr<Crew>& crew = crew_of(scenario);
    if (crew == nullptr && scenario.launch == Launch::exec) {
      crew = make_exec_crew(options_.worker_program, lanes_directory_);
    } else if (crew == nullptr) {
      crew = make_forked_crew();
    }
    return *crew;
  }

  void perform(CrewJob& job, const Contract& contract, Run& result) {
    const Scenario& scenario = job.scenario;
    Crew& crew = ready_crew(scenario);
    // What earlier scenarios left, whose resources nobody counted, is not this one's leak.
    if (scenario.count_resources) crew.end_strays();
    try {
      crew.start(job);
    } catch (const std::system_error& e) {
      if (!is_full_disk(e.code().value())) throw;
      result.unsupported = std::string("no room for the workers' journals: ") + e.what();
      crew_of(scenario).reset();  // those that did start end with it
      return;
    }
    std::vector<Lane> lanes;
    lanes.reserve(scenario.lanes());
    for (unsigned lane = 0; lane < scenario.lanes(); ++lane) lanes.push_back(crew.lane(lane));
    announce(&crew, scenario);
    watch_.begin(lanes, crew.lane_records());
    Director director(crew, watch_, scenario, contract, options_.interrupted);
    Traffic before;  // of earlier rounds
    const auto take_round = [&] {
      result.history = gather(job, lanes, crew.lane_records(), director);
      result.traffic = measure(result.history, lanes, before);
    };
    if (soak_ != nullptr) {
      const std::uint64_t room = std::min(job.journal_records, crew.lane_records());
      director.soak(*soak_, room, [&](const Round& round) {
        take_round();
        const Traffic all = count(lanes);
        Run taken{.options = result.options,
                  .history = std::move(result.history),
                  .traffic = result.traffic,
                  .round = round};
        if (!judge_->take(std::move(taken))) return false;
        before = all;
        return true;
      });
    }
    director.lead([&] { job.handles.clear(); });
    announce(nullptr, scenario);
    take_round();
    result.round = director.round();
    result.round.last = true;
  }

  void announce(const Crew* crew, const Scenario& scenario) {
    const std::scoped_lock lock(mutex_);
    crew_ = crew;
    running_ = scenario.transport_name();
    running_lanes_ = crew == nullptr ? 0 : scenario.lanes();
  }

  History gather(const CrewJob& job, const std::vector<Lane>& lanes, std::uint64_t lane_records,
                 const Director& director) {
    History history;
    history.stamps = options_.stamps;
    history.serialised = job.serialised;
    history.channels = job.scenario.channels();
    history.continues = director.round().number > 1;
    history.evidence = watch_.take_evidence();
    for (unsigned number = 0; number < lanes.size(); ++number) {
      gather_lane(lanes[number], number, job.scenario, std::min(job.journal_records, lane_records),
                  &history);
    }
    return history;
  }

  void account_for_leaks(const CrewJob& job, History& history) {
    const Search search = job.scenario.count_resources ? Search::thorough : Search::directory_only;
    for (const Options& options : job.options) {
      for (Evidence& leak : find_leftovers(options, search)) {
        history.evidence.push_back(std::move(leak));
      }
    }
    if (job.scenario.count_resources) account_for_strays(crew_of(job.scenario), history);
  }

  // What was found until now must not be lost when the zygote is: then the scenario is doubted.
  void account_for_strays(std::unique_ptr<Crew>& crew, History& history) {
    if (crew == nullptr) return;
    try {
      const Strays strays = crew->end_strays();
      if (strays.count == 0) return;
      history.evidence.push_back(
          {.fact = Fact::leaked, .value = strays.count, .text = "process " + strays.name});
    } catch (const std::exception& e) {
      crew.reset();
      history.evidence.push_back({.fact = Fact::truncated, .to = watch_.stamp(), .text = e.what()});
    }
  }

  // Since the scenario began.
  static Traffic count(const std::vector<Lane>& lanes) {
    Traffic all;
    for (const Lane& lane : lanes) {
      all.accepted += lane.header().accepted.load();
      all.received += lane.header().received.load();
    }
    return all;
  }

  // From the first send to the last successful receive of the history, which began after `before`.
  Traffic measure(const History& history, const std::vector<Lane>& lanes,
                  const Traffic& before) const {
    Traffic traffic = count(lanes);
    traffic.accepted -= before.accepted;
    traffic.received -= before.received;
    Stamp first = ~Stamp{0}, last = 0;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const auto& records = history.lanes[i].records;
      const auto send = std::find_if(records.begin(), records.end(),
                                     [](const Record& r) { return r.op() == Op::send; });
      if (send != records.end()) first = std::min(first, send->invoked);
      const auto receive = std::find_if(records.rbegin(), records.rend(), [](const Record& r) {
        return r.op() == Op::receive && r.result() == Outcome::ok;
      });
      if (receive != records.rend()) last = std::max(last, receive->returned);
      for (const Record& record : records.first(std::min<std::size_t>(records.size(), 100'000))) {
        if (record.op() == Op::receive && record.result() == Outcome::ok) {
          traffic.bytes_received += record.size;
        }
      }
    }
    if (last > first) traffic.traffic_ns = history.ns(last - first);
    return traffic;
  }

  EngineOptions options_;
  Watch watch_;
  std::unique_ptr<Crew> forked_, exec_;
  std::vector<std::string> directories_;
  std::string lanes_directory_;
  std::unique_ptr<ActiveFile> active_;
  mutable std::mutex mutex_;
  const Crew* crew_ = nullptr;  // while a scenario runs
  std::string running_;
  unsigned running_lanes_ = 0;
  const Soak* soak_ = nullptr;  // of the scenario that runs
  RoundJudge* judge_ = nullptr;
  std::string inside_;  // the transport's call that runs in this process; empty: none
  Instant inside_since_ = 0;
  pid_t inside_thread_ = 0;
};

Engine::Engine(const EngineOptions& options)
    : implementation_(std::make_unique<Implementation>(options)) {}
Engine::~Engine() = default;

Engine::Run Engine::run(const Scenario& scenario, const Registration& registration) {
  return implementation_->run(scenario, registration, nullptr, nullptr);
}
Engine::Run Engine::run(const Scenario& scenario, const Registration& registration,
                        const Soak& soak, RoundJudge& judge) {
  return implementation_->run(scenario, registration, &soak, &judge);
}

std::string Engine::describe_workers() const { return implementation_->describe(); }
std::string Engine::overdue() const { return implementation_->overdue(); }

}  // namespace ipctorture
