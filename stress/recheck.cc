// `ipctorture recheck BUNDLE`: judges the history of a bundle again, without running anything:
// after a change of the checkers, or on a machine that cannot run the transport.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/check/check.h"
#include "harness/report/bundle.h"
#include "harness/report/json_lines.h"
#include "harness/report/table.h"
#include "stress/export_file.h"
#include "stress/export_history.h"
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

std::string as_json_line(const BundleContent& bundle, const Judgement& now, ExitCode code) {
  nlohmann::ordered_json json = {
      {"schema", "ipctorture-recheck/1"},    {"transport", bundle.scenario.transport_name()},
      {"verdict", json_word(now.verdict())}, {"was", json_word(bundle.judgement.verdict())},
      {"exit_code", static_cast<int>(code)}, {"promises", nlohmann::ordered_json::array()}};
  for (const Finding& finding : now.findings) {
    nlohmann::ordered_json promise = {{"promise", to_string(finding.promise)},
                                      {"verdict", json_word(finding.verdict)},
                                      {"occasions", finding.occasions}};
    if (finding.verdict != Verdict::pass) promise["what"] = finding.what;
    json["promises"].push_back(std::move(promise));
  }
  return json_line(json);
}

// A history that was cut cannot be judged again.
ExitCode tell_cut(const BundleContent& bundle, bool as_json) {
  const std::string why = bundle.truncated + "; a cut history cannot be judged again";
  const nlohmann::ordered_json json = {{"schema", "ipctorture-recheck/1"},
                                       {"transport", bundle.scenario.transport_name()},
                                       {"verdict", "inconclusive"},
                                       {"exit_code", static_cast<int>(ExitCode::inconclusive)},
                                       {"what", why}};
  print_result(as_json ? json_line(json) : fmt::format("inconclusive: {}\n", why));
  return ExitCode::inconclusive;
}

// A history may be well formed and yet tell what no producer does (numbers that run backwards).
// From our own workers that would be a failure of the harness; from a file it is bad input.
Judgement judged(const std::string& path, const BundleContent& bundle, const Contract& contract) {
  try {
    return check({.history = bundle.history, .contract = contract, .scenario = bundle.scenario});
  } catch (const std::logic_error& error) {
    if (!std::string_view(error.what()).starts_with("history: ")) throw;
    throw UsageError(path + ": " + error.what());
  }
}

void export_to(const std::string& file, const std::string& path, const History& history,
               const Contract& contract) {
  ExportFile out(file);
  std::string text;
  try {
    text = exported_history(history, contract);
  } catch (const std::runtime_error& error) {
    throw UsageError(path + ": " + error.what());
  }
  out.write(text);
}

}  // namespace

ExitCode recheck_bundle(const Settings& settings, const std::string& path,
                        const std::string& export_file) {
  BundleContent bundle;
  try {
    bundle = load_bundle(path);
  } catch (const std::runtime_error& error) {
    throw UsageError(error.what());
  }
  const Registration& registration = transport_named(bundle.scenario.transport_name());
  const bool as_json = settings.on("json");
  if (!bundle.truncated.empty()) return tell_cut(bundle, as_json);
  if (!export_file.empty()) export_to(export_file, path, bundle.history, registration.contract);
  const Judgement judgement = judged(path, bundle, registration.contract);
  const ExitCode code = exit_code_of(judgement.verdict(), AskedFor::by_name);
  if (as_json) {
    print_result(as_json_line(bundle, judgement, code));
    return code;
  }
  print_result(findings_table(judgement, this_terminal(settings).results.width));
  for (const Finding& finding : judgement.findings) {
    if (finding.verdict != Verdict::pass) {
      print_result(fmt::format("{}: {}\n", to_string(finding.promise), finding.what));
    }
  }
  print_result(disagreements(bundle.judgement, judgement));
  return code;
}

}  // namespace ipctorture
