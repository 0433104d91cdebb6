// libFuzzer: scenarios over one transport in the free engine, with every oracle. An input is what
// differs from a small scenario (harness/scenario/scenario_input.h); forked workers that stay alive
// run it, and are parked again before the input is over.
//
//   build/fuzz-plain/fuzz_scenario --transport=pipe CORPUS -max_total_time=60
//
// What the fuzzer sees: the coverage of all processes (shared_counters.h), and in which order these
// did things. It ends at once when the workers' coverage does not reach it. A violation ends it
// with its fingerprint; what is inconclusive is no find. An input of another transport or of
// another version is left out, the latter with a word. Run: ci/fuzz scenario
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/interleavings.h"
#include "fuzz/scenario_mutator.h"
#include "fuzz/shared_counters.h"
#include "harness/launch/run_directory.h"
#include "harness/run_scenario.h"
#include "harness/scenario/scenario_input.h"

namespace {

using namespace ipctorture;

constexpr std::size_t features = 1u << 12;
// libFuzzer reads these beside the coverage, and makes them zero before each input.
[[gnu::section("__libfuzzer_extra_counters"), gnu::used]] std::uint8_t interleavings[features];

constexpr unsigned failures_max = 10;  // of the harness, in all

[[noreturn]] void give_up(int code, const std::string& why) {
  std::fprintf(stderr, "scenario_fuzzer: %s\n", why.c_str());
  std::exit(code);
}

class Target {
 public:
  // Empty: inputs of every transport.
  explicit Target(std::string transport)
      : transport_(std::move(transport)),
        engine_({.run_directory = directory_.path(), .stamps = measure_stamps()}) {}

  const std::string& transport() const { return transport_; }

  enum class Answer : std::uint8_t { good, left_out, cannot_run, harness_failed, violation };
  Answer run(std::span<const std::byte> bytes) {
    ScenarioInput input;
    try {
      input = scenario_input_from_bytes(bytes);
    } catch (const std::invalid_argument& refused) {
      const std::string_view why(refused.what());
      if (why.find("version") != std::string_view::npos) tell_once(why);
      return Answer::left_out;
    }
    if (!transport_.empty() && input.transport != transport_) return Answer::left_out;
    const Registration* registration = find_registration(input.transport);
    if (registration == nullptr || registration->contract.exec_only) return Answer::left_out;
    try {
      return judge(run_scenario(engine_, scenario_of(input, registration->contract)));
    } catch (const std::exception& failure) {
      std::fprintf(stderr, "scenario_fuzzer: the harness failed: %s\n", failure.what());
      return Answer::harness_failed;
    }
  }

 private:
  Answer judge(const ScenarioResult& result) {
    if (!result.unsupported.empty()) {
      tell_once("cannot run here: " + result.unsupported);
      return Answer::cannot_run;
    }
    note_interleavings(result.history, interleavings);
    const Finding* finding = result.judgement.worst();
    if (finding == nullptr || finding->verdict < Verdict::inconclusive) return Answer::good;
    if (finding->verdict == Verdict::inconclusive) return Answer::left_out;
    std::fprintf(stderr, "scenario_fuzzer: %s: %s: %s\n", result.scenario.transport.data(),
                 fingerprint(*finding).c_str(), finding->what.c_str());
    return Answer::violation;
  }
  void tell_once(std::string_view why) {
    if (!told_) std::fprintf(stderr, "scenario_fuzzer: left out: %s\n", std::string(why).c_str());
    told_ = true;
  }

  const std::string transport_;
  const RunDirectory directory_;
  Engine engine_;
  bool told_ = false;
};

std::unique_ptr<Target> target;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view flag = "--transport=";
  std::string transport = "pipe";
  if (const char* set = std::getenv("IPCTORTURE_FUZZ_TRANSPORT"); set != nullptr) transport = set;
  static std::vector<char*> words;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (word.starts_with(flag)) {
      transport = word.substr(flag.size());
    } else {
      words.push_back((*argv)[i]);
    }
  }
  // What comparisons see does not come from the workers; here it is the names of transports.
  static char no_comparisons[] = "-use_cmp=0";
  words.insert(words.begin() + 1, no_comparisons);
  ::setenv("IPCTORTURE_FUZZ_TRANSPORT", transport.c_str(), 1);  // for -merge=1, -fork=N ...
  clean_dead_runs(run_base_directory(), nullptr);               // a signal ends libFuzzer at once
  *argc = static_cast<int>(words.size());
  words.push_back(nullptr);
  *argv = words.data();
  const Registration* registration = find_registration(transport);
  if (registration == nullptr) give_up(64, "no transport '" + transport + "'");
  if (registration->contract.exec_only) give_up(69, transport + " needs separate programs");
  std::atexit([] { target.reset(); });  // before the destructors of static objects, which it needs
  ::prctl(PR_SET_TIMERSLACK, 1);        // ns, of the workers too: their pauses are short
  const std::vector<std::byte> small = to_bytes({.transport = transport, .settings = {}});
  share_and_try(find_counters(), Workers::forked, [&] {
    target.reset();
    target = std::make_unique<Target>(transport);
    const Target::Answer answer = target->run(small);
    if (answer == Target::Answer::cannot_run) give_up(69, transport + " cannot run here");
  });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (target == nullptr) {  // no libFuzzer: replay_inputs.cc
    std::atexit([] { target.reset(); });
    target = std::make_unique<Target>("");
  }
  const Target::Answer answer = target->run(std::as_bytes(std::span(data, size)));
  static unsigned failures = 0;
  if (answer == Target::Answer::harness_failed && ++failures == failures_max) {
    target.reset();
    ::_exit(71);  // libFuzzer calls exit() a find
  }
  if (answer == Target::Answer::violation) {
    target.reset();  // leaves nothing behind
    std::abort();
  }
  return answer == Target::Answer::good ? 0 : -1;  // what is left out, never in the corpus
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  const std::string own = target == nullptr ? "" : target->transport();
  return ipctorture::mutate_scenario({data, size_max}, size, own.empty() ? "pipe" : own, seed);
}
