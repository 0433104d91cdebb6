// From a find to a failure worth telling: reproduced in worker processes, made small, recorded.
#pragma once

#include <atomic>
#include <optional>

#include "stress/explore/explore_transport.h"

namespace ipctorture {

struct Find {
  schedule::Trial trial;
  schedule::Departures departures;
  std::string fingerprint;
};

// The first violation of this trial's scenario, searched in worker processes; nothing: there is
// none within `patience_ns`.
std::optional<Find> find_in_processes(const Registration& registration,
                                      const schedule::Trial& trial, const std::string& directory,
                                      std::int64_t patience_ns);

// Nothing when processes do not reproduce it. The fingerprint's finding stands first in the
// failure's judgement, whatever else (a known failure) the schedule shows. Takes at most about
// `patience_ns`, less when `stop` becomes true: then it is as small as it was by then; runs in this
// process and its workers.
std::optional<ExploreFailure> confirm(const Registration& registration, const Find& find,
                                      const std::string& directory, std::int64_t patience_ns,
                                      const std::atomic<bool>* stop = nullptr);

}  // namespace ipctorture
