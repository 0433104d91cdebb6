// What the controlled engine gives to a workload (harness/work/stage.h), and the director's part:
// when lanes come to rest it orders the next stage, as harness/launch/director.h does for the free
// engine, but within the schedule, by whichever lane came to rest last.
//
//   all attached -> ready: back to the session, which lets them run
//   -> producers at rest -> a mark for each consumer, where the contract reports no closed
//   -> everybody at rest -> close
#pragma once

#include <vector>

#include "harness/base/prng.h"
#include "harness/history/lane.h"
#include "harness/scenario/scenario.h"
#include "harness/work/lane_plan.h"
#include "harness/work/stage.h"

namespace ipctorture::schedule {

// What every process of a session knows, from before the workers are forked.
struct Setting {
  Scenario scenario;
  Contract contract;
  std::vector<LanePlan> plans;
  std::vector<Lane> lanes;
  // Late lanes do not come by themselves: each takes the place of one of its role that was killed.
  bool late_are_successors = false;
};
extern const Setting* setting;

// Where the director stands: Control::phase.
enum class Phase : std::uint32_t { attaching, ready, running, marking, closing };

// Installs the director's hooks (scheduler.h, Direction).
void install_direction();
// Every lane is ready: lets them all run. Called by the session, in no lane.
void order_to_run();
// A lane was killed: lets its successor in, if there is one.
void order_successor(unsigned dead);

class ControlledStage final : public Stage {
 public:
  ControlledStage(std::uint64_t seed, unsigned lane);
  std::uint64_t draw(std::uint64_t bound) override { return prng_.below(bound); }
  void enter(LaneState state) override;
  std::uint32_t wait_for_order(std::uint32_t obeyed) override;
  bool stopped() const override;
  void sleep_ns(std::int64_t ns) override;
  void spin_ns(std::int64_t ns) override;  // virtual time is not spent by spinning: a sleep
  void yield() override;
  void between_operations() override;
  unsigned shortages() const override;
  std::int64_t starved_ns() const override;  // what time leapt over while this lane could run

 private:
  Prng prng_;
  unsigned lane_;
};

}  // namespace ipctorture::schedule
