// The conformance suite: every registered transport keeps every promise of its contract, with
// forked and with separately started workers. Instantiated from the registry: nothing is listed by
// hand.
//
// Each test looks for occasions to break one promise, in generated scenarios, and none may be
// broken. A failure prints the scenario; save it as a file and run `ipctorture replay FILE`.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

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

TEST_P(Conformance, KeepsItsPromise) {
  const auto& [registration, launch, promise] = GetParam();
  const bool forked = launch == Launch::fork;
  const unsigned least = forked ? 12 : 3, most = forked ? 120 : 12;
  std::uint64_t occasions = 0;
  for (unsigned k = 0; k < most && (k < least || occasions == 0); ++k) {
    const std::uint64_t seed = case_seed(static_cast<unsigned>(promise), registration->name, k);
    Scenario scenario =
        generate(seed, registration->name, registration->contract, {.allow_exec = false});
    scenario.launch = launch;
    scenario.count_resources = promise == Promise::leaks;
    if (!scenario_faults(scenario, registration->contract).empty()) continue;
    const ScenarioResult result = run_scenario(*engine_, scenario);
    if (!result.unsupported.empty()) {
      std::printf("[ MACHINE  ] %s\n", result.unsupported.c_str());
      continue;
    }
    for (const Finding& finding : result.judgement.findings) {
      if (finding.promise == promise) occasions += finding.occasions;
      ASSERT_NE(finding.verdict, Verdict::violation)
          << fingerprint(finding) << ": " << finding.what << "\nlegal: " << finding.legal << "\n"
          << scenario_to_json(scenario);
    }
  }
  RecordProperty("occasions", static_cast<int>(std::min<std::uint64_t>(occasions, 1u << 30)));
}

INSTANTIATE_TEST_SUITE_P(Registry, Conformance, ::testing::ValuesIn(all_cases()), name_of);

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
