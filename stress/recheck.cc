// `ipctorture recheck`: judges the history of a bundle again, without running anything: after a
// change of the checkers, or on a machine that cannot run the transport.
#include <fmt/format.h>

#include "harness/check/check.h"
#include "harness/report/bundle.h"
#include "harness/report/table.h"
#include "stress/selection.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

std::string findings_table(const Judgement& judgement, std::size_t width) {
  Table table(
      {{"promise", Align::left, 9}, {"occasions", Align::right, 1}, {"verdict", Align::left, 9}});
  for (const Finding& finding : judgement.findings) {
    table.add({std::string(to_string(finding.promise)),
               human_count(static_cast<double>(finding.occasions)),
               std::string(to_string(finding.verdict))});
  }
  return table.text(width);
}

// Promises on which the checkers of now and of then disagree.
std::string disagreements(const Judgement& then, const Judgement& now) {
  std::string text;
  for (const Finding& finding : now.findings) {
    for (const Finding& before : then.findings) {
      if (before.promise != finding.promise || before.verdict == finding.verdict) continue;
      text += fmt::format("{}: was {}, is {}\n", to_string(finding.promise),
                          to_string(before.verdict), to_string(finding.verdict));
    }
  }
  return text;
}

}  // namespace

ExitCode recheck(const Settings& settings, const std::string& path) {
  BundleContent bundle;
  try {
    bundle = load_bundle(path);
  } catch (const std::runtime_error& error) {
    throw UsageError(error.what());
  }
  const Registration& registration = transport_named(bundle.scenario.transport_name());
  if (!bundle.truncated.empty()) {
    print_result(
        fmt::format("inconclusive: {}; a cut history cannot be judged again\n", bundle.truncated));
    return ExitCode::inconclusive;
  }
  const Judgement judgement = check(
      {.history = bundle.history, .contract = registration.contract, .scenario = bundle.scenario});
  print_result(findings_table(judgement, this_terminal(settings).results.width));
  for (const Finding& finding : judgement.findings) {
    if (finding.verdict != Verdict::pass) {
      print_result(fmt::format("{}: {}\n", to_string(finding.promise), finding.what));
    }
  }
  print_result(disagreements(bundle.judgement, judgement));
  return exit_code_of(judgement.verdict(), AskedFor::by_name);
}

}  // namespace ipctorture
