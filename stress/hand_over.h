// The controlled engine is an executable of its own, PROGRAM-explore beside PROGRAM: there the
// transports are compiled instrumented. What is its own is handed over to it, arguments and all.
#pragma once

#include <string>

#include "stress/exit_code.h"

namespace ipctorture {

std::string own_path();       // of this program's executable
std::string explorer_path();  // of the other one, beside it; whether or not it is there
// Replaces this process; returns only when that fails: unsupported, having said why.
ExitCode hand_over(char** argv);

}  // namespace ipctorture
