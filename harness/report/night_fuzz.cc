// What libFuzzer says of one target, and the name of what it found: the kind of the error and the
// innermost function of this project, not an address or a line number.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "harness/report/night.h"

namespace ipctorture {
namespace {

constexpr int unsupported_here = 69;  // the target does not fit the transport, and said so

std::uint64_t number_at(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::uint64_t number_after(std::string_view line, std::string_view word, std::uint64_t otherwise) {
  const std::size_t at = line.find(word);
  return at == std::string_view::npos ? otherwise : number_at(line.substr(at + word.size()));
}

std::string_view after(std::string_view line, std::string_view word) {
  const std::size_t at = line.find(word);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + word.size());
}

std::string_view first_word(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_first_of(" :(\t"));
}

// "    #3 0x55d0 in ipctorture::read_history(std::string const&) /work/x.cc:3" -> the name.
std::string_view frame_function(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (!line.starts_with("#")) return {};
  std::string_view name = after(line, " in ");
  // The libraries' own frames stand further in and say nothing about whose fault it is.
  for (const char* foreign : {"__", "std::", "fuzzer::", "abort", "raise", "gsignal", "operator ",
                              "malloc", "free", "memcpy", "memmove", "memset", "strlen"}) {
    if (name.starts_with(foreign)) return {};
  }
  return name.substr(0, name.find_first_of("(< "));
}

struct Report {
  std::string kind, function, last;
  std::string finding, what;  // as the target itself says it
};

// "schedule_fuzzer: shm_ring: order/total/reordered: message 2 came before message 1"
void read_finding(std::string_view line, Report* report) {
  const std::size_t name = line.find("_fuzzer: ");
  if (name == std::string_view::npos || line.find(' ') < name || !report->finding.empty()) return;
  line = after(line, "_fuzzer: ");
  const std::string_view said = after(line, ": ");
  const std::string_view finding = said.substr(0, said.find(": "));
  if (std::count(finding.begin(), finding.end(), '/') < 2) return;
  report->finding = finding;
  report->what = said.substr(std::min(finding.size() + 2, said.size()));
}

void read_line(std::string_view line, NightStep* step, Report* report) {
  FuzzFigures& figures = *step->fuzz;
  if (line.starts_with("#")) figures.coverage = number_after(line, " cov: ", figures.coverage);
  if (line.starts_with("#") && number_at(line.substr(1)) > figures.executions) {
    figures.executions = number_at(line.substr(1));
  }
  if (line.starts_with("#")) {
    figures.executions_per_second = number_after(line, " exec/s: ", figures.executions_per_second);
  }
  figures.executions = number_after(line, "stat::number_of_executed_units:", figures.executions);
  figures.executions_per_second =
      number_after(line, "stat::average_exec_per_sec:", figures.executions_per_second);
  for (const char* tool : {"ERROR: AddressSanitizer:", "ERROR: LeakSanitizer:", "ERROR: libFuzzer:",
                           "runtime error:"}) {
    const std::string_view kind = after(line, tool);
    if (kind.empty() || !report->kind.empty()) continue;
    report->kind =
        tool == std::string_view("runtime error:") ? "undefined behaviour" : first_word(kind);
  }
  read_finding(line, report);
  if (report->kind.empty() && !line.starts_with("#") && !line.empty()) report->last = line;
  if (!report->kind.empty() && report->function.empty()) report->function = frame_function(line);
}

}  // namespace

void read_fuzz_log(std::string_view log, const std::vector<std::string>& found, NightStep* step) {
  Report report;
  while (!log.empty()) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    read_line(log.substr(0, end), step, &report);
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  const std::string kind = report.kind.empty() ? "an input that it fails on" : report.kind;
  for (const std::string& path : found) {
    const std::string function = report.function.empty() ? "" : fmt::format("/{}", report.function);
    const bool told = !report.finding.empty();
    step->sightings.push_back(
        {.transport = "fuzz: " + step->target,
         .fingerprint =
             night_text(told ? report.finding : fmt::format("fuzz/{}{}", kind, function)),
         .what =
             night_text(told ? report.what
                             : fmt::format("{}{}{}", kind, report.function.empty() ? "" : " in ",
                                           report.function)),
         .bundle = night_text(path),
         .is_input = true});
  }
  const bool failed = step->state == StepState::finished && step->exit_code > 0 &&
                      step->exit_code != unsupported_here;
  if (failed && found.empty() && step->why.empty()) {
    step->why = night_text("the fuzzer ended without an input that shows why; it said last: " +
                           (report.last.empty() ? "nothing" : report.last));
  }
}

}  // namespace ipctorture
