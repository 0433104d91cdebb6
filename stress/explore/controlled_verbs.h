// The verbs of the controlled engine, each in the file of its name; the explorer's executable has
// them, the plain one hands over (stress/hand_over.h).
#pragma once

#include "stress/verbs.h"

namespace ipctorture {

ExitCode explore(const Settings& settings, const Selection& selection);
// `explore --bench`: schedules per second of each backend, how long exhaustive bounds take for each
// transport, how soon planted bugs and canaries are found, whether replays are exact.
ExitCode bench_explore(const Settings& settings, const Selection& selection);
// Of a bundle with a schedule: strict, the same steps or "diverged".
ExitCode replay_schedule(const Settings& settings, const std::string& path);
// The schedule's departures as hints, plus a small search around them.
ExitCode regress(const Settings& settings, const std::string& path);

// Of a fuzz input that is a schedule: in words; and as a bundle, made small.
ExitCode show_schedule(const Settings& settings, const std::string& path);
ExitCode shrink_schedule(const Settings& settings, const std::string& path);

}  // namespace ipctorture
