// For tests: the controlled engine's state without a session, its lanes played by the test. What
// ends a schedule comes as an exception, Ended.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/schedule/arena.h"
#include "harness/schedule/lane_heap.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {

struct Ended : std::runtime_error {
  Ended(Ending how, const std::string& said) : std::runtime_error(said), ending(how) {}
  Ending ending;
};

// One at a time in a process, and no Session beside it.
class ByHand {
 public:
  explicit ByHand(unsigned lanes, std::size_t shared_bytes = 4 * page_bytes)
      : control_(std::make_unique<Control>()), shadow_(shared_bytes / line_bytes) {
    make_lane_heaps();
    control = control_.get();
    shadow = shadow_.data();
    objects = &objects_;
    control->workload_lanes = control->lanes = lanes;
    control->runnable = (1u << lanes) - 1;
    control->source = Source::keyed;
    handover = {.to_lane = [](int, int) { throw std::logic_error("nobody takes over here"); },
                .to_session =
                    [] {
                      current_lane = -1;
                      throw Ended(control->ending, control->said);
                    }};
    direction = {.rested = [] {},
                 .nobody_runs = [] { return false; },
                 .progress = [] { return std::uint64_t{0}; },
                 .worker = [](unsigned lane) { return lane; }};
    begin_schedule();
    forget_all(control->memory, lanes);
    control->stop = UINT32_MAX;  // no step is a choice of who is next
  }
  ~ByHand() {
    current_lane = -1;
    control = before_.control;
    shadow = before_.shadow;
    objects = before_.objects;
    handover = before_.handover;
    direction = before_.direction;
  }
  ByHand(const ByHand&) = delete;
  ByHand& operator=(const ByHand&) = delete;

  // The next question to the lane is answered so, if it is asked in its next step.
  void answer_next(unsigned lane, unsigned answer) {
    control->keyed_count = 1;
    control->keyed[0] = {.step = control->lane[lane].steps + 1,
                         .lane = static_cast<std::uint8_t>(lane),
                         .change = Change::answer,
                         .value = static_cast<std::uint8_t>(answer)};
  }

  std::vector<Step> trace() const {
    return {control->trace + 1, control->trace + 1 + control->step};
  }

 private:
  // What sessions of this process left.
  struct {
    Control* control = schedule::control;
    LineShadow* shadow = schedule::shadow;
    ObjectTable* objects = schedule::objects;
    Handover handover = schedule::handover;
    Direction direction = schedule::direction;
  } before_;
  std::unique_ptr<Control> control_;
  std::vector<LineShadow> shadow_;
  ObjectTable objects_;
};

// Within it the test is a lane.
class AsLane {
 public:
  explicit AsLane(unsigned lane) { current_lane = static_cast<int>(lane); }
  ~AsLane() { current_lane = -1; }
  AsLane(const AsLane&) = delete;
  AsLane& operator=(const AsLane&) = delete;
};

}  // namespace ipctorture::schedule
