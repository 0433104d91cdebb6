// The conformance suite: every registered transport keeps every promise of its contract, with
// forked and with separately started workers. Instantiated from the registry: nothing is listed by
// hand.
//
// Each test runs generated scenarios until every term of one promise had occasions to be broken;
// none may be broken, and hardly any may be inconclusive. Without an occasion a test fails: it
// would prove nothing. A transport that this machine cannot run is skipped, saying why. A failure
// prints the scenario; save it as a file and run `ipctorture replay FILE`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/check/terms.h"
#include "harness/launch/exec_worker.h"
#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

struct Case {
  const Registration* registration;
  Launch launch;
  Promise promise;
};

std::string text(const Case& one) {
  return std::string(one.registration->name) + "_" + std::string(to_string(one.launch)) + "_" +
         std::string(to_string(one.promise));
}
std::string name_of(const ::testing::TestParamInfo<Case>& info) { return text(info.param); }
// GoogleTest prints the bytes of a parameter otherwise, addresses and all.
void PrintTo(const Case& one, std::ostream* out) { *out << text(one); }

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Registration& registration : registrations()) {
    if (registration.kind != Kind::shipped) continue;
    for (const Launch launch : {Launch::fork, Launch::exec}) {
      const bool possible = launch == Launch::exec ? registration.contract.attach == AttachBy::named
                                                   : !registration.contract.exec_only;
      for (unsigned p = 0; possible && p < promise_count; ++p) {
        const auto promise = static_cast<Promise>(p);
        if (promise_applies(promise, registration.contract)) {
          cases.push_back({&registration, launch, promise});
        }
      }
    }
  }
  return cases;
}

class Conformance : public ::testing::TestWithParam<Case> {
 protected:
  Conformance() {
    std::string path = ::testing::TempDir() + "confXXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_system_error("mkdtemp", path);
    directory_ = path;
    engine_ = std::make_unique<Engine>(EngineOptions{
        .run_directory = path, .worker_program = "/proc/self/exe", .stamps = measure_stamps()});
  }
  ~Conformance() override {
    engine_.reset();
    EXPECT_EQ(std::filesystem::remove_all(directory_), 1u) << "something was left behind";
  }
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

// One of each role is killed, where the contract survives that: one of two, or one alone that has a
// successor.
void let_die(const Contract& contract, Scenario& s) {
  s.threads = 1;
  s.starved_worker = s.late_producers = s.late_consumers = 0;
  s.early_producers = s.early_consumers = 0;
  s.messages = std::max<std::uint64_t>(s.messages, 40);
  for (std::uint32_t i = 0; i < s.size_count; ++i) s.sizes[i] = std::max(8u, s.sizes[i]);
  if (contract.survives_producer_death) {
    s.faults.producer_kills = 1;
    s.late_producers = contract.producers_max == 1 ? 1 : 0;
    s.producers = std::max(2u, s.producers);
  }
  const bool others = contract.consumers_max > 1;
  if (contract.survives_consumer_death &&
      (others || contract.late_consumer != LateConsumer::unsupported)) {
    s.faults.consumer_kills = 1;
    s.late_consumers = others ? 0 : 1;
    s.consumers = std::max(2u, s.consumers);
  }
}

// Bends a generated scenario so that the promise has occasions within the few that are run here.
void favour(Promise promise, const Contract& contract, Scenario& s) {
  const auto ask = [&](DeadlineMix& mix, std::uint16_t permille) {
    if (contract.deadline_now) mix.now_permille = permille;
    if (contract.deadline_at) mix.at_permille = permille;
  };
  switch (promise) {
    case Promise::refusal:
      s.oversize_permille = 200;
      [[fallthrough]];
    case Promise::deadlines:
      ask(s.send_deadlines, 300);
      ask(s.receive_deadlines, 300);
      break;
    case Promise::delivery: {
      // A producer that leaves while the others go on, and what it sent still waits.
      const bool by_itself = contract.reports_closed || contract.producers_max < 2;
      if (by_itself || s.workload != Workload::stream) break;
      s.producers = std::max(s.producers, 2u);
      s.early_producers = 1;
      s.late_producers = s.late_consumers = 0;
      s.messages = std::min<std::uint64_t>(s.messages, 50);
      s.consumer_delay_us = 200;
      break;
    }
    case Promise::latest_value:
      s.repeat_permille = 300;
      break;
    case Promise::deadlock:
      if (s.workload != Workload::request_reply) let_die(contract, s);
      break;
    case Promise::leaks:
      s.count_resources = true;
      break;
    default:
      break;
  }
}

Scenario scenario_of(const Case& one, unsigned k) {
  const auto& [registration, launch, promise] = one;
  const Contract& contract = registration->contract;
  const std::uint64_t seed = case_seed(static_cast<unsigned>(promise), registration->name, k);
  // Only the patient one is sure to let a consumer sleep for long enough to be seen.
  const auto make = promise == Promise::stall && k == 0 ? generate_patient : generate;
  const GenerateOptions options{.allow_exec = false, .only_exec = launch == Launch::exec};
  Scenario scenario = make(seed, registration->name, contract, options);
  const Scenario plain = scenario;
  favour(promise, contract, scenario);
  return scenario_faults(scenario, contract).empty() ? scenario : plain;
}

// The most scenarios of one test: separate programs cost more.
unsigned most_scenarios(Launch launch) { return launch == Launch::fork ? 240 : 24; }

// The occasions of one promise, over all scenarios of a test.
class Tried {
 public:
  Tried(Promise promise, const Contract& contract) : terms_(promised_terms(promise, contract)) {}
  void add(const Finding& finding) {
    occasions_ += finding.occasions;
    for (unsigned t = 0; t < term_count; ++t) tried_[t] += finding.tried[t];
  }
  std::uint64_t occasions() const { return occasions_; }
  // The terms that had none, as words; empty: all had.
  std::string wanting() const {
    std::string words = occasions_ == 0 ? "all of it " : "";
    for (const Term term : terms_) {
      if (tried_[static_cast<unsigned>(term)] == 0) words += std::string(to_string(term)) + ", ";
    }
    return words;
  }

 private:
  std::vector<Term> terms_;
  std::uint64_t occasions_ = 0;
  std::array<std::uint64_t, term_count> tried_{};
};

TEST_P(Conformance, KeepsItsPromise) {
  const auto& [registration, launch, promise] = GetParam();
  const bool forked = launch == Launch::fork;
  const unsigned least = forked ? 12 : 3, most = most_scenarios(launch);
  Tried tried(promise, registration->contract);
  unsigned ran = 0, inconclusive = 0;
  std::string refusal;
  for (unsigned k = 0; k < most && (k < least || !tried.wanting().empty()); ++k) {
    const Scenario scenario = scenario_of(GetParam(), k);
    const ScenarioResult result = run_scenario(*engine_, scenario);
    if (!result.unsupported.empty()) {
      refusal = result.unsupported;
      if (ran == 0 && k + 1 == least) GTEST_SKIP() << refusal;
      continue;
    }
    ++ran;
    for (const Finding& finding : result.judgement.findings) {
      ASSERT_NE(finding.verdict, Verdict::violation)
          << fingerprint(finding) << ": " << finding.what << "\nlegal: " << finding.legal << "\n"
          << scenario_to_json(scenario);
      if (finding.promise != promise) continue;
      tried.add(finding);
      inconclusive += finding.verdict == Verdict::inconclusive ? 1 : 0;
    }
  }
  EXPECT_EQ(tried.wanting(), "") << "had no occasion in " << ran << " scenarios. " << refusal;
  EXPECT_LE(inconclusive, std::max(1u, ran / 10)) << "of " << ran << " scenarios";
  RecordProperty("occasions",
                 static_cast<int>(std::min<std::uint64_t>(tried.occasions(), 1u << 30)));
}

INSTANTIATE_TEST_SUITE_P(Registry, Conformance, ::testing::ValuesIn(all_cases()), name_of);

// A test runs as many scenarios as it needs occasions; the last of them must be sound too.
TEST(ConformanceScenarios, AreAllWithinTheContract) {
  for (const Case& one : all_cases()) {
    for (unsigned k = 0; k < most_scenarios(one.launch); ++k) {
      const Scenario scenario = scenario_of(one, k);
      EXPECT_EQ(scenario.launch, one.launch) << text(one) << " " << k;
      EXPECT_THAT(scenario_faults(scenario, one.registration->contract), ::testing::IsEmpty())
          << text(one) << " " << k;
    }
  }
}

// A static library would drop self-registering transports without a word.
TEST(Registry, HasEveryTransportOfTheTree) {
  const auto shipped = std::count_if(registrations().begin(), registrations().end(),
                                     [](auto& r) { return r.kind == Kind::shipped; });
  EXPECT_EQ(shipped, IPCTORTURE_SHIPPED_FILES);
}

}  // namespace
}  // namespace ipctorture

int main(int argc, char** argv) {
  // The engine starts this very program as a worker of Launch::exec.
  if (argc == 2 && std::strcmp(argv[1], "worker") == 0) return ipctorture::run_exec_worker();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
