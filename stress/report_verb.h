// `ipctorture report NIGHT`: what one night of ci/nightly found, as report.md and report.html, and
// the exit code of its worst verdict.
#pragma once

#include <string>

#include "stress/exit_code.h"

namespace ipctorture {

struct Night;

struct ReportRequest {
  std::string folder;  // of the night
  std::string out;     // where the pages go; empty: into the folder
  // File of earlier nights, read and given this night's line; empty: history.jsonl beside the
  // folder is read, if it is there, and stays as it is.
  std::string history;
  std::string step_summary;  // file to append the Markdown to, at most 1 MB; empty: none
  bool annotate = false;     // print "::error" lines for GitHub instead of the digest
  bool unrated = false;      // print the failures whose hit rate is not measured, and end
};

// Prints a digest. A file that cannot be written is no reason to say nothing: the whole page is
// printed instead, and the exit code is at least 3. Throws UsageError when there is no such folder.
ExitCode report_night(const ReportRequest& request);

// Of all steps, failures and builds the gravest.
ExitCode exit_code_of(const Night& night);

}  // namespace ipctorture
