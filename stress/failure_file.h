// What `replay` and `shrink` are given: a bundle, a scenario as JSON, or a fuzz input that is one.
// Read as hostile input.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "harness/check/verdict.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

// What is to be run again, and which failures would be the same.
struct FailureFile {
  Scenario scenario;
  std::set<std::string> fingerprints;    // empty: any violation
  std::string named;                     // of these the one that the bundle is named after, if any
  std::vector<std::string> differences;  // between the bundle's machine and build, and these
};

// Throws UsageError that begins with the path.
FailureFile load_failure(const std::string& path);

// Where what is made small of it goes: "out/pipe-order-late-small", beside what was given.
std::string small_name(std::string path);

// Throws UsageError: there is no such transport, or the scenario does not suit it.
void refuse_unless_runnable(const Scenario& scenario);

// The fingerprints of all that was violated.
std::set<std::string> violations(const Judgement& judgement);

}  // namespace ipctorture
