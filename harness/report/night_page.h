// What people read of a night: the page, a few lines for a terminal, and annotations for GitHub.
#pragma once

#include <string>
#include <string_view>

#include "harness/report/night.h"
#include "harness/report/page.h"

namespace ipctorture {

// `exit_code`: of the night as a whole.
Page night_page(const Night& night, int exit_code);
// The same in a few lines: the verdict, each failure with its replay line, what did not run.
std::string night_digest(const Night& night, int exit_code);
// Lines "::error ...", at most ten: GitHub shows no more of a step. The last says how many are
// left out.
std::string night_annotations(const Night& night, int exit_code);
// "pass", "VIOLATION", "interrupted" ...
std::string_view night_verdict(int exit_code);
// Did this step not do what it was to do? Then why, else empty.
std::string step_trouble(const NightStep& step);

}  // namespace ipctorture
