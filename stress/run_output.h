// Where a run writes: its folder with bundles and results.jsonl, and the link `latest` beside it.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "harness/base/descriptor.h"
#include "harness/check/verdict.h"
#include "harness/run_scenario.h"
#include "stress/settings.h"

namespace ipctorture {

inline constexpr unsigned bundles_max = 16;          // of one run: together at most 1 GiB
inline constexpr unsigned doubtful_bundles_max = 4;  // of these, for what was inconclusive

// The part of a bundle that only the controlled engine has.
struct Schedule {
  std::string json;          // schedule.json; empty: none
  std::string interleaving;  // for people
};

// Throws UsageError when the file that a flag names cannot be written: now rather than after an
// hour's run. What is no regular file (a pipe) is left for the end.
void refuse_unwritable(const Settings::Value& file);

// Makes ipctorture-out/<time>-<random>/ and the link ipctorture-out/latest to it. Throws
// std::system_error.
std::string default_output_directory();

// "pipe-delivery-lost": letters, digits, '_' and '-' only. Another of that name has a number behind
// it.
std::string bundle_name(std::string_view transport, const Finding& finding);

// Writes a bundle of what a scenario showed at `wish`, or, where that is taken, at `wish`-2 ...
// Answers the path. Throws std::system_error.
std::string write_bundle_beside(const std::string& wish, const ScenarioResult& result,
                                const Schedule& schedule = {});

class RunOutput {
 public:
  // Makes `directory`, or, when it is empty, ipctorture-out/<time>-<random>/ and the link
  // ipctorture-out/latest to it. Throws std::system_error.
  explicit RunOutput(const std::string& directory);
  const std::string& path() const { return path_; }

  // Appends to results.jsonl; thread-safe. A full disk is no error here: results also go to
  // standard output.
  void append(std::string_view line);
  // Writes a bundle for one finding and returns its path; empty when there are enough of its
  // kind. Thread-safe. Throws std::system_error.
  std::string write_failure(const ScenarioResult& result, const Finding& finding,
                            const std::string& seed, const Schedule& schedule = {});

 private:
  std::string path_;
  std::mutex mutex_;
  Descriptor results_;
  unsigned bundles_ = 0, doubtful_bundles_ = 0;
};

}  // namespace ipctorture
