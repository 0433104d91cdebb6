// `ipctorture run NAME --runs 1 --export FILE`: the history of a run's one scenario, as a plain one
// that `recheck --contract` and other checkers read.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "harness/run_scenario.h"
#include "stress/campaign.h"
#include "stress/export_file.h"
#include "stress/export_history.h"

namespace ipctorture {

class RunExport {
 public:
  // `file`: of --export; empty: nothing is exported, and nothing below does anything.
  explicit RunExport(std::string file) : file_(std::move(file)) {}

  bool wanted() const { return !file_.empty(); }
  // Before anything is printed. Holds the plan to one scenario of which there is a plain history;
  // where nobody gave a seed (`may_draw`), seeds are drawn until it is of that kind. The plan has
  // no time limit afterwards. Throws UsageError.
  enum class Seed : std::uint8_t { given, may_draw };
  void settle(CampaignPlan& plan, Seed seed);
  // Of what ran; thread-safe.
  void take(const ScenarioResult& ran);
  // Writes it, at the end. Answers `code`, or a graver one when there is nothing to write (then it
  // says why), or no way to.
  ExitCode write(ExitCode code);
  // Of what was written: the result in JSON, and the last words to a person, with the command that
  // judges it. Empty: nothing was.
  std::string as_json_line(std::string_view program) const;
  std::string last_words(std::string_view program) const;

 private:
  std::string file_;
  std::optional<ExportFile> target_;
  std::mutex mutex_;
  std::optional<std::string> text_;
  std::string problem_ = "nothing ran";
  std::optional<PlainPromise> promise_;  // nothing: no contract of plain histories is so weak
  bool written_ = false;
  std::string recheck_line(std::string_view program) const;
};

}  // namespace ipctorture
