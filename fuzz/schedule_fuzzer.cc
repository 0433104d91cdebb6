// libFuzzer: schedules of one transport under the controlled engine, with every oracle. An input is
// a small scenario and the departures from its default schedule
// (harness/schedule/schedule_input.h): who runs, what fails, what a hostile peer writes.
//
//   build/fuzz-plain/fuzz_schedule --transport=shm_ring CORPUS -max_total_time=60
//
// Lanes are fibers where the contract lets endpoints share an address space, else (and with
// --backend=processes) processes; peers die and come late in processes alone. What the fuzzer sees:
// the coverage of the transport's code in all processes (shared_counters.h), and which points of
// two lanes followed each other. A violation ends the fuzzer with its fingerprint; the input
// becomes a bundle by `ipctorture shrink FILE`. An input of another transport or of another version
// is left out, the latter with a word. Run: ci/fuzz schedule
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/schedule_mutator.h"
#include "fuzz/shared_counters.h"
#include "harness/base/descriptor.h"
#include "harness/explore_scenario.h"
#include "harness/launch/active.h"
#include "harness/launch/run_directory.h"
#include "harness/scenario/options.h"
#include "harness/schedule/schedule_input.h"
#include "harness/schedule/sut.h"
#include "harness/transport/registry.h"

namespace {

using namespace ipctorture;
using schedule::Ending;

constexpr std::size_t features = 1u << 14;
// libFuzzer reads these beside the coverage, and makes them zero before each input.
[[gnu::section("__libfuzzer_extra_counters"), gnu::used]] std::uint8_t interleavings[features];

class Target {
 public:
  Target(const std::string& transport, bool in_processes)
      : transport_(transport), registration_(find_registration(transport)) {
    if (registration_ == nullptr) {
      std::fprintf(stderr, "schedule_fuzzer: no transport '%s'\n", transport.c_str());
      std::exit(64);
    }
    const bool fibers = registration_->contract.may_share_address_space && !in_processes;
    backend_ = fibers ? schedule::Backend::fibers : schedule::Backend::processes;
  }
  const std::string& transport() const { return transport_; }
  ~Target() { end_session(); }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  bool in_processes() const { return backend_ == schedule::Backend::processes; }

  // 0: taken into the corpus when it is new; -1: never; or a violation.
  int run(std::span<const std::byte> bytes) {
    schedule::ScheduleInput input;
    try {
      input = schedule::schedule_input_from_bytes(bytes);
    } catch (const std::invalid_argument& refused) {
      if (!told_ && std::string_view(refused.what()).find("version") != std::string_view::npos) {
        std::fprintf(stderr, "schedule_fuzzer: left out: %s\n", refused.what());
        told_ = true;
      }
      return -1;
    }
    if (input.transport != transport_) return -1;
    if (session_ == nullptr || input.shape != shape_) {
      schedule::Trial trial = trial_of(input, registration_->contract, backend_);
      if (trial.backend != backend_) return -1;
      shape_ = input.shape;
      begin(std::move(trial));
    }
    schedule::Plan plan = trial_->plan();
    plan.source = schedule::Source::keyed;
    plan.keyed = departures_of(input, *trial_);
    const Ending ending = session_->run(plan);
    note_interleaving();
    if (ending == Ending::uncontrolled || ending == Ending::budget) return 0;
    const Judgement* judgement = judge_->judge(*session_, ending);
    const Finding* finding = judgement == nullptr ? nullptr : violation_of(*judgement);
    if (finding == nullptr) return 0;
    std::fprintf(stderr, "schedule_fuzzer: %s: %s: %s\n", transport_.c_str(),
                 fingerprint(*finding).c_str(), finding->what.c_str());
    return violation;
  }
  static constexpr int violation = 1;

 private:
  void begin(schedule::Trial trial) {
    end_session();
    if (!directory_) {
      directory_.emplace();
      active_.emplace(directory_->path() + "/engine-0.active");
      place_ = directory_->path() + "/0";  // cleaning believes what names a folder in the run's
      if (::mkdir(place_.c_str(), 0700) != 0) throw_system_error("mkdir", place_);
    }
    trial_ = std::move(trial);
    std::vector<Options> options;
    for (unsigned channel = 0; channel < trial_->scenario.channels(); ++channel) {
      options.push_back(make_options(trial_->scenario, registration_->contract, channel, place_));
      active_->set(channel, transport_, options.back());
    }
    judge_ = std::make_unique<ScheduleJudge>(trial_->scenario, registration_->contract);
    session_ = std::make_unique<schedule::Session>(trial_->scenario, *registration_, backend_,
                                                   std::move(options), trial_->late_lanes);
    if (const std::string why = session_->unsupported(); !why.empty()) {
      std::fprintf(stderr, "schedule_fuzzer: %s cannot run here: %s\n", transport_.c_str(),
                   why.c_str());
      std::exit(69);
    }
  }

  void end_session() {
    if (session_ == nullptr) return;
    session_.reset();
    for (unsigned channel = 0; channel < trial_->scenario.channels(); ++channel) {
      active_->clear(channel);
    }
  }

  // Where one lane took over from another.
  void note_interleaving() const {
    const schedule::Control& state = session_->state();
    const std::uint32_t last = std::min(state.step, schedule::trace_max - 1);
    for (std::uint32_t step = 2; step <= last; ++step) {
      const schedule::Step &before = state.trace[step - 1], &now = state.trace[step];
      if (before.lane == now.lane) continue;
      const std::uint32_t from = before.key ^ static_cast<std::uint32_t>(before.point) << 24;
      const std::uint32_t to = now.key ^ static_cast<std::uint32_t>(now.point) << 24;
      const std::uint32_t hash = (from * 31 + to) * 0x9e3779b1u;
      ++interleavings[hash >> 18];
    }
  }

  const std::string transport_;
  const Registration* const registration_;
  schedule::Backend backend_{};
  std::optional<RunDirectory> directory_;
  std::string place_;                 // of the transport's files, in it
  std::optional<ActiveFile> active_;  // what a kill leaves behind is found by it
  schedule::Shape shape_;
  std::optional<schedule::Trial> trial_;
  std::unique_ptr<ScheduleJudge> judge_;
  std::unique_ptr<schedule::Session> session_;
  bool told_ = false;
};

std::unique_ptr<Target> target;

// Worker processes count here too, and what they count stays when they return to a snapshot.
void see_all(const std::string& transport, bool in_processes) {
  const std::vector<Counters> counters = find_counters();
  for (const Counters& one : counters) {
    schedule::go_on_counting(std::as_writable_bytes(one.coverage));
  }
  target = std::make_unique<Target>(transport, in_processes);
  const Workers workers = target->in_processes() ? Workers::forked : Workers::none;
  const auto input =
      to_bytes(schedule::ScheduleInput{.transport = transport, .shape = {}, .departures = {}});
  const auto renew = [&] {
    target.reset();
    target = std::make_unique<Target>(transport, in_processes);
  };
  share_and_try(counters, workers, [&] {
    renew();
    target->run(input);
  });
  renew();  // it shall not remember that it has judged this one
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view flag = "--transport=", processes = "--backend=processes";
  const char* const backend = std::getenv("IPCTORTURE_FUZZ_BACKEND");
  bool in_processes = backend != nullptr && std::string_view(backend) == "processes";
  std::string transport = "shm_ring";
  if (const char* set = std::getenv("IPCTORTURE_FUZZ_TRANSPORT"); set != nullptr) transport = set;
  static std::vector<char*> words;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (word.starts_with(flag)) {
      transport = word.substr(flag.size());
    } else if (word == processes) {
      in_processes = true;
    } else {
      words.push_back((*argv)[i]);
    }
  }
  static char no_thread[] = "-rss_limit_mb=0";  // its watch would be a thread, and we fork
  static char stay[] = "-mutate_depth=50";      // another shape costs a session of its own
  static char no_alarm[] = "-timeout=0";  // it would read the clock that the engine gives to lanes
  words.insert(words.begin() + 1, {no_thread, stay});
  words.push_back(no_alarm);
  ::setenv("IPCTORTURE_FUZZ_TRANSPORT", transport.c_str(), 1);  // for -merge=1, -fork=N ...
  ::setenv("IPCTORTURE_FUZZ_BACKEND", in_processes ? "processes" : "", 1);
  std::array<const Registration*, 1024> all{};
  const unsigned count = ipctorture_sut_registrations(all.data(), all.size());
  for (unsigned i = 0; i < count && i < all.size(); ++i) Registered registered(*all[i]);
  clean_dead_runs(run_base_directory(), nullptr);  // a signal ends libFuzzer at once
  *argc = static_cast<int>(words.size());
  words.push_back(nullptr);
  *argv = words.data();
  // Before the destructors of static objects, which a session needs.
  std::atexit([] { target.reset(); });
  see_all(transport, in_processes);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int answer = target->run(std::as_bytes(std::span(data, size)));
  if (answer != Target::violation) return answer;
  target.reset();  // leaves nothing behind
  std::abort();
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  return ipctorture::mutate_schedule({data, size_max}, size, target->transport(),
                                     target->in_processes(), seed);
}
