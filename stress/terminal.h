// What the person sees: whether the streams are terminals, how wide they are, and colours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/report/progress.h"
#include "harness/report/summary.h"
#include "stress/settings.h"

namespace ipctorture {

struct Terminal {
  SummaryStyle results;   // standard output
  ProgressForm progress;  // standard error
  std::size_t progress_width;
};
// Honours NO_COLOR, TERM=dumb, --color (auto, always, never) and --quiet; output that goes nowhere
// special is 80 wide.
Terminal this_terminal(const Settings& settings);

// How the person started this program, from /proc: "build/dev/ipctorture".
std::string program_as_started();

// Whole text to a standard stream, in order with what was written before; a closed stream is no
// error.
void print_result(std::string_view text);
void print_note(std::string_view text);

}  // namespace ipctorture
