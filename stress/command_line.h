// The whole program as a function, so that a transport outside this tree gets every verb: its
// executable links its own objects, this library, and the main() that calls it.
#pragma once

#include <string>

#include "stress/exit_code.h"

namespace ipctorture {

class Settings;
struct Selection;

// Verbs that only the explorer's executable has; where they are null they are handed over to it
// (hand_over.h).
struct ControlledVerbs {
  ExitCode (*explore)(const Settings&, const Selection&) = nullptr;
  ExitCode (*replay_schedule)(const Settings&, const std::string& path) = nullptr;
  ExitCode (*regress)(const Settings&, const std::string& path) = nullptr;
  ExitCode (*show_schedule)(const Settings&, const std::string& path) = nullptr;
  ExitCode (*shrink_schedule)(const Settings&, const std::string& path) = nullptr;
};

// Never throws; the answer is main's. Call it from a single-threaded main.
int ipctorture_main(int argc, char** argv, const ControlledVerbs& controlled = {}) noexcept;

}  // namespace ipctorture
