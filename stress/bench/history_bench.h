// `ipctorture recheck --bench`: how fast plain histories are judged and read, on one core, with
// lengths from 10^4 to 10^7 operations, and a picture of it.
#pragma once

#include <string>

#include "stress/exit_code.h"
#include "stress/settings.h"

namespace ipctorture {

// `plot`: a file for an SVG picture, or empty. A missed figure is no failure. Throws UsageError
// when the file cannot be written.
ExitCode bench_histories(const Settings& settings, const std::string& plot);

}  // namespace ipctorture
