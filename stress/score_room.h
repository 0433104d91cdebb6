// What the two kinds of score share (score_verb.cc, worth_verb.cc): the flags that both have, the
// output folder, ears for signals, and runs of `ipctorture run` as children.
//
// Construct it in the main thread, before any other.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "stress/engine_room.h"
#include "stress/run_output.h"
#include "stress/score_child.h"
#include "stress/settings.h"
#include "stress/terminal.h"
#include "stress/under_control.h"

namespace ipctorture {

class ScoreRoom {
 public:
  // Throws UsageError for flags that make no sense.
  ScoreRoom(const Settings& settings, unsigned default_seeds);

  // Its runs are what a user would start: both engines, with their usual shares of the time.
  bool default_campaign() const { return control_.empty() && UnderControl::available(); }
  unsigned seeds() const { return seeds_; }
  bool json() const { return json_; }
  std::size_t width() const { return terminal_.results.width; }
  bool interrupted() const { return interrupted_.load(); }
  const std::atomic<bool>* stop() const { return &interrupted_; }
  ExitCode exit_code() const { return watch_.exit_code(); }  // of the interruption; else pass

  // Run number k of `name`, told on standard error while it lasts.
  ScoredRun run(const std::string& name, unsigned k, std::int64_t time_ns, FailFast fail_fast);
  // Into results.jsonl, and with --json to standard output.
  void record(const std::string& line);
  // The file of --page, when there is one and nobody interrupted; throws std::system_error.
  void write_page(const std::string& text) const;

 private:
  const unsigned seeds_;
  const std::uint64_t seed_;
  const std::string page_, control_;
  const bool json_;
  const Terminal terminal_;
  RunOutput output_;
  std::atomic<bool> interrupted_{false};
  SignalWatch watch_;
};

// "2 cores, Linux 6.1, x86_64", for a page's head; and the day, "2026-01-31".
std::string machine_text();
std::string today();

}  // namespace ipctorture
