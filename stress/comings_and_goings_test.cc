// Peers that leave early and peers that come late, over every shipped transport that takes several:
// nothing is lost, nobody hangs, and the harness does what the scenario says. Generated scenarios
// have these now and then; here each has them, so that none goes untested by chance.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "harness/run_scenario.h"
#include "harness/scenario/codec.h"

namespace ipctorture {
namespace {

class ComingsAndGoings : public ::testing::TestWithParam<std::string_view> {
 protected:
  ComingsAndGoings() : directory_(::testing::TempDir() + "comingsXXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) throw_system_error("mkdtemp", directory_);
    engine_ = std::make_unique<Engine>(
        EngineOptions{.run_directory = directory_, .stamps = measure_stamps()});
  }
  ~ComingsAndGoings() override {
    engine_.reset();
    std::filesystem::remove_all(directory_);
  }

  Scenario crowd() const {
    const Contract& contract = registration_.contract;
    Scenario s;
    s.set_transport(registration_.name);
    s.workload = contract.delivery == Delivery::latest_value ? Workload::latest_value
                 : contract.fan_out == FanOut::broadcast     ? Workload::broadcast
                                                             : Workload::stream;
    s.producers = std::min(contract.producers_max, 3u);
    s.consumers = std::min(contract.consumers_max, 3u);
    s.messages = 120;
    s.capacity = 4;
    // Slower than the others, so that each consumer has its share while there is something left.
    s.producer_noise = {.yield_permille = 500};
    return s;
  }

  // Runs and judges it over the transport with this contract.
  Engine::Run run(const Scenario& scenario, const Contract& contract) {
    EXPECT_TRUE(scenario_faults(scenario, contract).empty()) << scenario_to_json(scenario);
    Registration registration = registration_;
    registration.contract = contract;
    Engine::Run ran = engine_->run(scenario, registration);
    if (!ran.unsupported.empty()) return ran;
    const Judgement judgement = check({ran.history, contract, scenario});
    for (const Finding& finding : judgement.findings) {
      EXPECT_NE(finding.verdict, Verdict::violation)
          << fingerprint(finding) << ": " << finding.what << "\n"
          << scenario_to_json(scenario);
    }
    return ran;
  }

  const Registration& registration_ = *find_registration(GetParam());
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

std::uint64_t received_by(const LaneHistory& lane) {
  std::uint64_t count = 0;
  for (const Record& r : lane.records) count += r.op() == Op::receive && r.result() == Outcome::ok;
  return count;
}

TEST_P(ComingsAndGoings, ConsumersLeaveEarly) {
  const Contract& contract = registration_.contract;
  if (contract.consumers_max < 2 || contract.fan_out == FanOut::bound_consumer) {
    GTEST_SKIP() << "one consumer, or messages that would be lost with it";
  }
  for (const bool threads : {false, true}) {
    Scenario scenario = crowd();
    scenario.early_consumers = 2;
    scenario.threads = threads && contract.threads ? 3 : 1;
    scenario.handoff = scenario.workload == Workload::stream;
    const Engine::Run ran = run(scenario, contract);
    if (!ran.unsupported.empty()) GTEST_SKIP() << ran.unsupported;
    const std::uint64_t all = scenario.messages * scenario.producers;
    const bool shared = scenario.workload == Workload::stream;
    const std::uint64_t quota = all / (shared ? scenario.consumers : 1) / 10 + 1;
    for (unsigned lane = scenario.producers; lane < scenario.producers + 2; ++lane) {
      const LaneHistory& early = ran.history.lanes[lane];
      EXPECT_LE(received_by(early), quota) << "it did not leave";
      EXPECT_EQ(early.records.back().op(), Op::close);
    }
  }
}

// Closed is told when everyone expected has come and gone, however late that is.
TEST_P(ComingsAndGoings, ProducersComeLate) {
  Contract contract = registration_.contract;
  if (contract.producers_max < 2) GTEST_SKIP() << "one producer";
  if (contract.reports_closed) contract.late_producer = true;
  if (!contract.late_producer) GTEST_SKIP() << "the contract does not allow it";
  Scenario scenario = crowd();
  scenario.late_producers = 1;
  const Engine::Run ran = run(scenario, contract);
  if (!ran.unsupported.empty()) GTEST_SKIP() << ran.unsupported;
  const LaneHistory& late = ran.history.lanes[scenario.producers - 1];
  const LaneHistory& first = ran.history.lanes[0];
  ASSERT_FALSE(late.records.empty());
  EXPECT_GT(late.records.front().invoked, first.records[1].invoked) << "it was not late";
}

std::vector<std::string_view> shipped() {
  std::vector<std::string_view> names;
  for (const Registration& registration : registrations()) {
    if (registration.kind == Kind::shipped) names.push_back(registration.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shipped, ComingsAndGoings, ::testing::ValuesIn(shipped()),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ipctorture
