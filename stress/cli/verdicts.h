// What the output of `run` says, read as a person would.
#pragma once

#include <string>

#include "stress/cli/child.h"

namespace ipctorture {

// Runs again while the verdict is merely inconclusive, three times at most: a loaded machine can
// spoil one of a few scenarios. Three scenarios cannot have an occasion for every promise to be
// broken either; that alone is no reason to run again.
Ended run_until_decided(const Scratch& scratch, const std::vector<std::string>& arguments,
                        const Surroundings& surroundings = {});

// Why this is no pass: empty for the exit code 0, and for 2 where only occasions were missing.
std::string objection(const Ended& ended);

// Why this is no orderly end, whatever the verdict: killed by a signal, hanging, an exit code that
// the manual does not know.
std::string disorder(const Ended& ended);

// The lines of the last table, its title first; before a terminal too.
std::vector<std::string> table_of(const Ended& ended);
// The last word of a transport's line in the table, empty when it has none.
std::string verdict_of(const Ended& ended, const std::string& transport);

}  // namespace ipctorture
