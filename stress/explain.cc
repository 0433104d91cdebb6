// `ipctorture explain`: a bundle in words: the promise that was broken, the events that show it,
// and what would have been legal.
#include "harness/report/explain.h"

#include "harness/report/bundle.h"
#include "harness/report/replay_line.h"
#include "stress/selection.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {

ExitCode explain_bundle(const Settings& settings, const std::string& path) {
  BundleContent bundle;
  try {
    bundle = load_bundle(path);
  } catch (const std::runtime_error& error) {
    throw UsageError(error.what());
  }
  const Registration& registration = transport_named(bundle.scenario.transport_name());
  print_result(explain(bundle.judgement, bundle.history, bundle.scenario, registration.contract,
                       replay_line(program_as_started(), path),
                       {.width = this_terminal(settings).results.width}));
  if (!bundle.interleaving.empty()) print_result("\n" + bundle.interleaving);
  if (!bundle.truncated.empty()) print_result("\n" + bundle.truncated + "\n");
  return ExitCode::pass;
}

}  // namespace ipctorture
