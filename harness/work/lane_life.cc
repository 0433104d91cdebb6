#include "harness/work/lane_life.h"

#include <unistd.h>

#include <cstring>
#include <exception>
#include <system_error>

namespace ipctorture {

void fail_lane(const Lane& lane, Stage& stage, int error, const char* what) {
  LaneHeader& header = lane.header();
  header.error = error;
  std::strncpy(header.error_text, what, sizeof header.error_text - 1);
  stage.enter(LaneState::failed);
}

void live(const LaneLife& life, std::vector<std::vector<Descriptor>>& handles, Stage& stage) {
  LaneHeader& header = life.lane.header();
  header.pid.store(::getpid(), std::memory_order_relaxed);
  header.tid.store(::gettid(), std::memory_order_release);
  try {
    std::vector<std::unique_ptr<Transport>> transports;
    LaneJob job{.scenario = life.scenario,
                .contract = &life.registration->contract,
                .plan = life.plan,
                .lane = life.lane};
    for (unsigned channel = 0; channel < life.options->size(); ++channel) {
      const Options& options = (*life.options)[channel];
      std::vector<Descriptor> own;
      if (channel < handles.size()) own = std::move(handles[channel]);
      transports.push_back(life.registration->build(options, std::move(own)));
      job.transports.push_back(transports.back().get());
      job.tokens.push_back(options.token);
    }
    work(job, stage);
  } catch (const std::system_error& e) {
    fail_lane(life.lane, stage, e.code().value(), e.what());
  } catch (const std::exception& e) {
    fail_lane(life.lane, stage, 0, e.what());
  }
}

}  // namespace ipctorture
