#include "stress/explore/explore_transport.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"
#include "harness/launch/active.h"
#include "harness/launch/run_directory.h"
#include "stress/explore/confirm.h"
#include "stress/explore/shard.h"

namespace ipctorture {
namespace {

constexpr useconds_t look_every_us = 50'000;
constexpr Instant hangs_after_ns = 20'000'000'000;
constexpr std::int64_t confirm_patience_ns = 10'000'000'000;

template <std::size_t size>
std::string text_of(const char (&text)[size]) {
  return {text, ::strnlen(text, size)};
}

class Explorer {
 public:
  Explorer(const Registration& registration, const ExploreOptions& options)
      : registration_(registration),
        options_(options),
        trials_(schedule::portfolio(registration.name, registration.contract, options.seed)) {
    if (trials_.size() > trials_max) trials_.resize(trials_max);
    const std::size_t bytes = sizeof(ShardBoard) * options.jobs;
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw_system_error("mmap", "the boards of shards");
    boards_ = static_cast<ShardBoard*>(memory);
    for (unsigned shard = 0; shard < options.jobs; ++shard) new (&boards_[shard]) ShardBoard;
  }
  ~Explorer() {
    end_shards();
    ::munmap(boards_, sizeof(ShardBoard) * options_.jobs);
  }
  Explorer(const Explorer&) = delete;
  Explorer& operator=(const Explorer&) = delete;

  ExploreResult run(const std::function<void(const ExploreProgress&)>& progress) {
    const Instant began = monotonic_now();
    if (registration_.contract.exec_only) {
      result_.unsupported = "its endpoints do not survive a fork, and explore forks its workers";
      return std::move(result_);
    }
    const Instant until = began + options_.time_ns;
    do {
      search(until, progress);
      gather(began);
    } while (goes_past_crash(until));
    return std::move(result_);
  }

 private:
  struct Running {
    pid_t pid = -1;
    unsigned shard = 0;
  };
  struct Crash {
    unsigned shard = 0;
    int status = 0;
  };

  void search(Instant until, const std::function<void(const ExploreProgress&)>& progress) {
    start_shards(until);
    while (!shards_.empty() && !someone_found()) {
      ::usleep(look_every_us);
      collect();
      progress(progress_now());
      if (options_.interrupted != nullptr && options_.interrupted->load()) {
        result_.interrupted = true;
        break;
      }
      if (hangs() || (crashed_ && knows_a_crash())) break;
    }
    end_shards();
  }

  bool knows_a_crash() const {
    return std::any_of(options_.known.begin(), options_.known.end(),
                       [](const std::string& one) { return one.starts_with("crash/"); });
  }

  // Settles what was found. True: it was a known crash of a fiber, and the search begins anew in
  // processes alone, where a crash ends no shard.
  bool goes_past_crash(Instant until) {
    if (const auto find = first_find()) {
      settle(*find);
      return false;
    }
    if (!crashed_ || !settle_crash(*crashed_) || result_.interrupted || monotonic_now() >= until) {
      return false;
    }
    for (const TrialCoverage& trial : result_.trials) {
      if (trial.exhausted && trial.exhaustive) options_.complete.insert(trial.name);
    }
    for (schedule::Trial& trial : trials_) {
      if (trial.backend == schedule::Backend::fibers) trial.name += ", but in processes";
      trial.backend = schedule::Backend::processes;
    }
    crashed_.reset();
    moved_at_ = 0;
    result_.trials.clear();
    for (unsigned shard = 0; shard < options_.jobs; ++shard) new (&boards_[shard]) ShardBoard;
    return true;
  }

  void start_shards(Instant until) {
    const pid_t parent = ::getpid();
    for (unsigned shard = 0; shard < options_.jobs; ++shard) {
      const pid_t child = ::fork();
      if (child < 0) throw_system_error("fork", "a shard");
      if (child == 0)
        live_as_shard(registration_, trials_, options_, shard, until, boards_[shard], parent);
      shards_.push_back({child, shard});
    }
  }

  void end_shards() {
    for (const Running& shard : shards_) {
      ::kill(shard.pid, SIGKILL);
      int status = 0;
      while (::waitpid(shard.pid, &status, 0) < 0 && errno == EINTR) {
      }
    }
    shards_.clear();
    for (unsigned shard = 0; shard < options_.jobs; ++shard) clear_after(shard);
  }

  // What a shard left that was ended in the middle: its transport's names, its directory.
  void clear_after(unsigned shard) const {
    const std::string active = options_.directory + "/engine-x" + std::to_string(shard) + ".active";
    for (unsigned channel = 0; channel < channels_max; ++channel) {
      if (const auto run = read_active(active, channel)) {
        registration_.build(run->options, {})->destroy();
      }
    }
    ::unlink(active.c_str());
    const Descriptor parent(::open(options_.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (parent.valid()) remove_tree(parent.get(), ("x" + std::to_string(shard)).c_str());
  }

  bool someone_found() const {
    return std::any_of(boards_, boards_ + options_.jobs,
                       [](const ShardBoard& board) { return board.found.load() != 0; });
  }

  // Shards that ended: in order, or by a crash of the transport in a fiber.
  void collect() {
    std::erase_if(shards_, [&](const Running& shard) {
      int status = 0;
      if (::waitpid(shard.pid, &status, WNOHANG) != shard.pid) return false;
      if (status != 0) crashed_ = {shard.shard, status};
      return true;
    });
  }

  // Fibers that block in a call, or spin without a point, stop their whole shard.
  bool hangs() {
    std::uint64_t points = 0;
    for (unsigned shard = 0; shard < options_.jobs; ++shard) {
      points += boards_[shard].schedules.load();
    }
    const Instant now = monotonic_now();
    if (points != points_seen_ || moved_at_ == 0) {
      points_seen_ = points;
      moved_at_ = now;
    }
    if (now - moved_at_ < hangs_after_ns) return false;
    hung_trial_ = boards_[0].trial.load() % trials_max;
    return true;
  }

  ExploreProgress progress_now() const {
    ExploreProgress now;
    for (unsigned shard = 0; shard < options_.jobs; ++shard) {
      now.schedules += boards_[shard].schedules.load(std::memory_order_relaxed);
      now.points += boards_[shard].points.load(std::memory_order_relaxed);
      now.kill_points += boards_[shard].kill_points.load(std::memory_order_relaxed);
    }
    const std::size_t trial = boards_[0].trial.load();
    if (trial < trials_.size()) now.now = trials_[trial].name;
    return now;
  }

  void gather(Instant began) {
    result_.elapsed_ns = monotonic_now() - began;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      TrialCoverage one{.name = trials_[i].name,
                        .exhausted = true,
                        .exhaustive = trials_[i].kind != schedule::TrialKind::wander};
      for (unsigned shard = 0; shard < options_.jobs; ++shard) {
        const TrialState state = boards_[shard].state[i].load();
        one.begun = one.begun || state != TrialState::not_begun;
        one.exhausted = one.exhausted && state == TrialState::exhausted;
      }
      result_.trials.push_back(std::move(one));
    }
    for (unsigned shard = 0; shard < options_.jobs; ++shard) {
      const ShardBoard& board = boards_[shard];
      result_.schedules += board.schedules.load();
      result_.rounds = std::max(result_.rounds, board.rounds.load());
      result_.points += board.points.load();
      result_.kill_points += board.kill_points.load();
      result_.distinct += board.distinct.load();
      result_.over_budget += board.over_budget.load();
      result_.shared_accesses += board.shared_accesses.load();
      result_.in_processes_ns += board.in_processes_ns.load() / options_.jobs;  // side by side
      result_.maps_shared_memory = result_.maps_shared_memory || board.maps_shared_memory != 0;
      for (unsigned p = 0; p < promise_count; ++p) result_.occasions[p] += board.occasions[p];
      if (result_.uncontrolled.empty()) result_.uncontrolled = text_of(board.uncontrolled);
      if (result_.unsupported.empty()) result_.unsupported = text_of(board.unsupported);
      if (result_.harness_failure.empty()) result_.harness_failure = text_of(board.failure);
    }
    gather_known();
    if (hung_trial_ && result_.uncontrolled.empty()) {
      result_.uncontrolled = "a call blocked outside the harness' control (" +
                             trials_[*hung_trial_ % trials_.size()].name + ")";
    }
    if (crashed_ && !someone_found() && result_.harness_failure.empty()) {
      result_.harness_failure =
          "a shard ended with status " + std::to_string(crashed_->status) +
          " in: " + trials_[boards_[crashed_->shard].trial.load() % trials_.size()].name;
    }
  }

  void gather_known() {
    for (std::size_t i = 0; i < std::min(options_.known.size(), known_max); ++i) {
      for (unsigned shard = 0; shard < options_.jobs; ++shard) {
        const KnownSightings& seen = boards_[shard].known[i];
        if (seen.histories.load() == 0) continue;
        add_known(options_.known[i], text_of(seen.what), seen.histories.load());
      }
    }
  }

  void add_known(const std::string& fingerprint, const std::string& what, std::uint64_t histories) {
    const auto same = [&](const KnownSeen& one) { return one.fingerprint == fingerprint; };
    const auto found = std::find_if(result_.known.begin(), result_.known.end(), same);
    if (found != result_.known.end()) {
      found->histories += histories;
    } else {
      result_.known.push_back({.fingerprint = fingerprint, .what = what, .histories = histories});
    }
  }

  std::optional<Find> first_find() const {
    for (unsigned shard = 0; shard < options_.jobs; ++shard) {
      const ShardBoard& board = boards_[shard];
      if (board.found.load() == 0 || board.found_trial >= trials_.size()) continue;
      Find find{.trial = trials_[board.found_trial],
                .departures = schedule::departures_from_text(text_of(board.departures)),
                .fingerprint = text_of(board.fingerprint)};
      find.trial.scenario.seed = board.found_seed;
      find.trial.races = board.found_races;
      return find;
    }
    return std::nullopt;
  }

  // A transport that dies in a fiber takes its shard along. In processes a death is judged. True:
  // it is a known one.
  bool settle_crash(const Crash& crash) {
    const std::size_t trial = boards_[crash.shard].trial.load() % trials_.size();
    const auto find =
        find_in_processes(registration_, trials_[trial], options_.directory, confirm_patience_ns);
    if (!find) return false;
    result_.harness_failure.clear();
    const bool known = std::find(options_.known.begin(), options_.known.end(), find->fingerprint) !=
                       options_.known.end();
    if (known) add_known(find->fingerprint, "it ends its process", 1);
    if (!known) settle(*find);
    return known;
  }

  void settle(const Find& find) {
    auto failure = confirm(registration_, find, options_.directory, confirm_patience_ns);
    if (failure) {
      result_.failures.push_back(std::move(*failure));
      return;
    }
    result_.harness_failure = "found once and not again in processes: " + find.fingerprint + " (" +
                              find.trial.name + "; " + schedule::to_text(find.departures) + ")";
  }

  const Registration& registration_;
  ExploreOptions options_;
  std::vector<schedule::Trial> trials_;
  ShardBoard* boards_ = nullptr;
  std::vector<Running> shards_;
  std::optional<Crash> crashed_;
  std::optional<std::size_t> hung_trial_;
  std::uint64_t points_seen_ = 0;
  Instant moved_at_ = 0;
  ExploreResult result_;
};

}  // namespace

ExploreResult explore_transport(const Registration& registration, const ExploreOptions& options,
                                const std::function<void(const ExploreProgress&)>& progress) {
  return Explorer(registration, options).run(progress);
}

}  // namespace ipctorture
