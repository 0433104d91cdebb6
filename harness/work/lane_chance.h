// What a lane does by chance, as its scenario says how often: drawn from the Stage.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "harness/scenario/scenario.h"
#include "harness/work/lane_plan.h"
#include "harness/work/stage.h"

namespace ipctorture {

class LaneChance {
 public:
  LaneChance(const Scenario& scenario, const LanePlan& plan, Stage& stage)
      : scenario_(scenario), plan_(plan), stage_(stage) {}

  bool happens(std::uint32_t permille) {
    return permille > 0 && stage_.draw(1000) >= 1000 - permille;
  }

  std::uint32_t size() {
    const std::uint32_t count = std::clamp(scenario_.size_count, 1u, sizes_max);
    return scenario_.sizes[count == 1 ? 0 : stage_.draw(count)];
  }

  // `patient`: has polled enough, and waits instead.
  DeadlineMode mode(const DeadlineMix& mix, bool patient) {
    if (mix.now_permille == 0 && mix.at_permille == 0) return DeadlineMode::never;
    const std::uint64_t drawn = stage_.draw(1000);
    if (drawn < mix.now_permille) return patient ? DeadlineMode::never : DeadlineMode::now;
    if (drawn < std::uint64_t{mix.now_permille} + mix.at_permille) return DeadlineMode::at;
    return DeadlineMode::never;
  }

  // Between two operations, the done-th of them.
  void pause(const Noise& noise, std::uint64_t done) {
    if (happens(noise.yield_permille)) stage_.yield();
    if (happens(noise.spin_permille)) {
      stage_.spin_ns(static_cast<std::int64_t>(stage_.draw(noise.spin_max_ns + std::uint64_t{1})));
    }
    if (happens(noise.sleep_permille)) {
      stage_.sleep_ns(
          1000 * static_cast<std::int64_t>(stage_.draw(noise.sleep_max_us + std::uint64_t{1})));
    }
    const bool starved_phase = scenario_.starved_worker == plan_.worker + 1 &&
                               done >= scenario_.messages / 3 && done < scenario_.messages * 2 / 3;
    if (starved_phase) stage_.sleep_ns(std::int64_t{noise.sleep_max_us} * 1000);
  }

  void pause_producer(std::uint64_t done) {
    pause(scenario_.producer_noise, done);
    if (scenario_.burst > 0 && (done + 1) % scenario_.burst == 0) {
      stage_.sleep_ns(std::int64_t{scenario_.burst_pause_us} * 1000);
    }
  }

 private:
  const Scenario& scenario_;
  const LanePlan plan_;
  Stage& stage_;
};

inline Deadline deadline_of(DeadlineMode mode, const DeadlineMix& mix) {
  if (mode == DeadlineMode::now) return Deadline::now();
  if (mode == DeadlineMode::never) return Deadline::never();
  return Deadline::in(std::chrono::microseconds(mix.at_us));
}

}  // namespace ipctorture
