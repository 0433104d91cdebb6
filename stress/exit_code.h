// What a command answers to its caller; the table of docs and of `ipctorture --help`.
#pragma once

#include <cstdint>

#include "harness/check/verdict.h"

namespace ipctorture {

enum class ExitCode : std::uint8_t {
  pass = 0,
  violation = 1,
  inconclusive = 2,
  harness_failed = 3,
  nothing_selected = 4,
  usage = 64,
  unsupported = 69,
  interrupted = 130,  // SIGINT
  terminated = 143,   // SIGTERM
};

// Over several results the gravest: violation, harness failed, interrupted, inconclusive,
// unsupported, pass. (Usage and nothing selected end a command before there are results.)
ExitCode graver(ExitCode a, ExitCode b);

// A transport that is not supported here counts only when it was asked for by name: otherwise pass.
enum class AskedFor : std::uint8_t { by_name, with_others };
ExitCode exit_code_of(Verdict verdict, AskedFor asked);

}  // namespace ipctorture
