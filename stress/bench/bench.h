// `ipctorture run --bench`: what the harness itself costs. Every figure is the median of 11 pairs
// whose sides take turns, so that a noisy machine troubles both alike; it takes about three
// minutes.
//
//  - traffic: messages per second, journalled and every byte checked, against a bare loop over the
//    same primitive (bare_loop.h), and how long run and check together take beside the traffic;
//  - scenarios: how many small ones a second, with fresh and with pooled workers;
//  - check: ten million messages of a real history;
//  - deadlock: from the last movement to the verdict.
// A missed figure is no failure: the exit code tells of broken promises and of the harness only.
#pragma once

#include "stress/verbs.h"

namespace ipctorture {

// With names only the traffic over those transports is measured.
ExitCode run_bench(const Settings& settings, const Selection& selection);

}  // namespace ipctorture
