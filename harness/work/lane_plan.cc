#include "harness/work/lane_plan.h"

#include <algorithm>

namespace ipctorture {
namespace {

unsigned groups(unsigned lanes, unsigned threads) { return (lanes + threads - 1) / threads; }

// Of one who stays a tenth of the time: at least one message.
std::uint64_t tenth(std::uint64_t messages) { return messages / 10 + 1; }

// What a consumer receives when all get the same.
std::uint64_t share_of_consumer(const Scenario& scenario) {
  const std::uint64_t all = scenario.messages * scenario.producers;
  return scenario.workload == Workload::stream ? all / scenario.consumers : all;
}

}  // namespace

LanePlan plan_lane(const Scenario& scenario, unsigned lane) {
  const unsigned threads = std::max(1u, scenario.threads);
  LanePlan plan;
  plan.lane = lane;
  const bool produces = lane < scenario.producers;
  plan.role = produces ? Role::producer : Role::consumer;
  plan.index = produces ? lane : lane - scenario.producers;
  plan.worker = plan.index / threads + (produces ? 0 : groups(scenario.producers, threads));
  plan.thread = plan.index % threads;
  const int index = static_cast<int>(plan.index);
  const bool replies = scenario.workload == Workload::request_reply;
  if (produces) {
    plan.producer_on[0] = index;
    if (replies) plan.consumer_on[1] = index;
    // The last producer always stays: it sends the marks and hand-offs.
    const bool last = plan.index + 1 == scenario.producers;
    plan.leaves_early = plan.index < scenario.early_producers && !last;
    plan.late = plan.index + scenario.late_producers >= scenario.producers;
    plan.quota = plan.leaves_early ? tenth(scenario.messages) : scenario.messages;
  } else {
    plan.consumer_on[0] = index;
    if (replies) plan.producer_on[1] = index;
    plan.late = plan.index + scenario.late_consumers >= scenario.consumers;
    plan.leaves_early =
        plan.index < scenario.early_consumers && plan.index + 1 < scenario.consumers;
    if (plan.leaves_early) plan.quota = tenth(share_of_consumer(scenario));
  }
  return plan;
}

unsigned worker_count(const Scenario& scenario) {
  const unsigned threads = std::max(1u, scenario.threads);
  return groups(scenario.producers, threads) + groups(scenario.consumers, threads);
}

}  // namespace ipctorture
