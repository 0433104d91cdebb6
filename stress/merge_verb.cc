// `ipctorture merge`: folders -> parts -> union -> its folder, table or JSON lines, JUnit.
#include <fmt/format.h>

#include <fstream>
#include <set>

#include "harness/base/descriptor.h"
#include "harness/report/junit.h"
#include "harness/report/replay_line.h"
#include "harness/report/summary.h"
#include "stress/merge_folders.h"
#include "stress/run_output.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

std::string explorations_text(const ResultLines& lines, const SummaryStyle& style) {
  std::string text;
  for (const ExploreTally& one : lines.explorations) {
    const Verdict verdict = explore_verdict(one);
    text += fmt::format("{}: {}\n", one.transport,
                        painted(verdict, style.colour, std::string(to_string(verdict))));
    text += one.unsupported.empty() ? explore_coverage(one) : "  " + one.unsupported + "\n";
    if (verdict == Verdict::inconclusive) text += "  " + explore_doubt(one) + "\n";
    for (const auto& known : one.known) {
      text += fmt::format("  known: {}, in {} histories: {}\n", known.fingerprint, known.histories,
                          known.what);
    }
    for (const auto& failure : one.failures) {
      text += fmt::format("  {}: {}\n    fingerprint: {}\n    found in: {}\n", failure.promise,
                          failure.what, failure.fingerprint, failure.found_in);
      if (failure.bundle.empty()) continue;
      text += fmt::format("    {}\n", replay_line(style.program, failure.bundle));
    }
  }
  return text;
}

void tell(const Merged& merged, const SummaryStyle& style) {
  const ResultLines& lines = merged.lines;
  print_result(fmt::format("seed {}\nshards {}\n\n", lines.start.seed, lines.start.merged));
  if (lines.explored) {
    print_result(explorations_text(lines, style));
  } else {
    print_result(verdict_table(lines.tally, style) + "\n" + verdict_details(lines.tally, style));
  }
  for (const auto& [transport, what] : lines.harness_failures) {
    print_result(fmt::format("the harness failed: {}\n", what));
  }
  for (const std::string& hole : lines.holes) print_result(fmt::format("hole: {}\n", hole));
  for (const std::string& note : merged.notes) print_result(note + "\n");
}

}  // namespace

ExitCode merge(const Settings& settings, const std::vector<std::string>& folders) {
  const auto junit = settings.find("junit");
  std::vector<ResultLines> parts = read_parts(folders);
  // Whether they belong together is said before anything is written.
  Merged merged = unite(parts);
  if (junit && merged.lines.explored) {
    throw UsageError("--junit: these are results of explore, which has none");
  }
  if (junit) refuse_unwritable(*junit);
  const std::string directory = gather_bundles(settings.text_or("out", ""), &parts);
  merged = unite(parts);
  merged.lines.start.out = directory;
  write_merged(directory, merged, parts);
  if (settings.on("json")) {
    print_result(results_text(merged.lines));
  } else {
    tell(merged, this_terminal(settings).results);
  }
  for (const std::string& one : merged.contradictions) {
    print_note(fmt::format("ipctorture: the harness failed: {}\n", one));
  }
  if (junit) {
    std::ofstream file(junit->text, std::ios::binary | std::ios::trunc);
    file << junit_xml(merged.lines.tally);
    if (!file.flush()) throw_system_error("write", junit->text);
  }
  return merged.code;
}

}  // namespace ipctorture
