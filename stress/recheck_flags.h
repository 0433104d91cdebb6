// The flags of `ipctorture recheck` and `ipctorture list --contracts`.
#pragma once

#include <CLI/CLI.hpp>

#include "stress/verbs.h"

namespace ipctorture {

void add_recheck_flags(CLI::App& verb, RecheckRequest& request);
void add_contracts_flag(CLI::App& verb, Selection& selection);

}  // namespace ipctorture
