#include "harness/work/lane_plan.h"

#include <algorithm>

namespace ipctorture {
namespace {

unsigned groups(unsigned lanes, unsigned threads) { return (lanes + threads - 1) / threads; }

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
    plan.quota = plan.leaves_early ? scenario.messages / 10 + 1 : scenario.messages;
  } else {
    plan.consumer_on[0] = index;
    if (replies) plan.producer_on[1] = index;
    plan.late = plan.index + scenario.late_consumers >= scenario.consumers;
  }
  return plan;
}

unsigned worker_count(const Scenario& scenario) {
  const unsigned threads = std::max(1u, scenario.threads);
  return groups(scenario.producers, threads) + groups(scenario.consumers, threads);
}

}  // namespace ipctorture
