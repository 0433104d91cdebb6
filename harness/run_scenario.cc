#include "harness/run_scenario.h"

#include <stdexcept>

namespace ipctorture {

const Registration& runnable(const Scenario& scenario) {
  const Registration* registration = find_registration(scenario.transport_name());
  if (registration == nullptr) {
    throw std::invalid_argument("unknown transport " + std::string(scenario.transport_name()));
  }
  const auto faults = scenario_faults(scenario, registration->contract);
  if (!faults.empty()) throw std::invalid_argument("scenario: " + faults.front());
  return *registration;
}

ScenarioResult run_scenario(Engine& engine, const Scenario& scenario) {
  const Registration& registration = runnable(scenario);
  Engine::Run run = engine.run(scenario, registration);
  ScenarioResult result{.scenario = scenario,
                        .options = std::move(run.options),
                        .history = std::move(run.history),
                        .unsupported = std::move(run.unsupported),
                        .traffic = run.traffic};
  if (!result.unsupported.empty()) return result;
  const Instant began = monotonic_now();
  result.judgement = check({result.history, registration.contract, scenario});
  result.traffic.check_ns = monotonic_now() - began;
  return result;
}

}  // namespace ipctorture
