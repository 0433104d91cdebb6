#include "stress/exit_code.h"

namespace ipctorture {
namespace {

unsigned gravity(ExitCode code) {
  switch (code) {
    case ExitCode::pass:
      return 0;
    case ExitCode::unsupported:
      return 1;
    case ExitCode::inconclusive:
      return 2;
    case ExitCode::interrupted:
      return 3;
    case ExitCode::terminated:
      return 4;
    case ExitCode::harness_failed:
      return 5;
    case ExitCode::violation:
      return 6;
    case ExitCode::nothing_selected:
      return 7;
    case ExitCode::usage:
      return 8;
  }
  return 8;
}

}  // namespace

ExitCode graver(ExitCode a, ExitCode b) { return gravity(a) >= gravity(b) ? a : b; }

ExitCode exit_code_of(Verdict verdict, AskedFor asked) {
  switch (verdict) {
    case Verdict::pass:
    case Verdict::known:
      return ExitCode::pass;
    case Verdict::violation:
      return ExitCode::violation;
    case Verdict::inconclusive:
      return ExitCode::inconclusive;
    case Verdict::unsupported:
      return asked == AskedFor::by_name ? ExitCode::unsupported : ExitCode::pass;
  }
  return ExitCode::harness_failed;
}

}  // namespace ipctorture
