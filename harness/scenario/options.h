// Under which names and with which limits a transport takes part in a scenario.
#pragma once

#include <string>

#include "harness/scenario/scenario.h"

namespace ipctorture {

// Fresh each time: an unguessable name, a token that is nowhere visible. `directory` is private to
// the run and empty. Throws std::system_error when there is no randomness to be had.
Options make_options(const Scenario& scenario, const Contract& contract, unsigned channel,
                     const std::string& directory);

}  // namespace ipctorture
