// What the output of `run` says, read as a person would.
#pragma once

#include <string>

#include "stress/cli/child.h"

namespace ipctorture {

// Why this is no pass: empty for the exit code 0, and for 2 where each reason is a want of
// occasions (a few scenarios cannot have one for every term) or a load of the machine that the run
// names.
std::string objection(const Ended& ended);

// Why this is no orderly end, whatever the verdict: killed by a signal, hanging, an exit code that
// the manual does not know.
std::string disorder(const Ended& ended);

// The lines of the last table, its title first; before a terminal too.
std::vector<std::string> table_of(const Ended& ended);
// The last word of a transport's line in the table, empty when it has none.
std::string verdict_of(const Ended& ended, const std::string& transport);

}  // namespace ipctorture
