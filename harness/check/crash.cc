// Crash: no worker dies by itself and no sanitizer reports.
//
// Sound: the supervisor tells its own kills (Fact::killed) from deaths (Fact::died). A death by
// SIGKILL that the harness did not send is the kernel's when the machine was out of memory: then,
// and whenever evidence of pressure stands beside a SIGKILL, it is inconclusive.
#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

std::string manner(const Evidence& e) {
  const int status = static_cast<int>(e.value);
  if (WIFSIGNALED(status)) return fmt::format("died of signal {}", WTERMSIG(status));
  if (WIFEXITED(status)) return fmt::format("exited with code {}", WEXITSTATUS(status));
  return fmt::format("died (wait status {})", status);
}

std::string stable_manner(const Evidence& e) {
  const int status = static_cast<int>(e.value);
  if (WIFSIGNALED(status)) return fmt::format("signal {}", WTERMSIG(status));
  return "exit";
}

// A finding says what tells; the bundle has the rest.
constexpr std::size_t told_bytes = 500;

std::string beginning(const std::string& report) {
  return report.size() <= told_bytes ? report : fmt::format("{} ...", report.substr(0, told_bytes));
}
std::string ending(const std::string& output) {
  return output.size() <= told_bytes
             ? output
             : fmt::format("... {}", output.substr(output.size() - told_bytes));
}

// "heap-use-after-free on address 0x6020 at pc" -> "heap-use-after-free"; numbers become #.
std::string stable_words(std::string_view line) {
  constexpr std::size_t bytes_max = 80;
  for (const std::string_view end : {" on ", " (", ": ", " 0x", ", "}) {
    line = line.substr(0, line.find(end));
  }
  std::string words;
  for (const char c : line.substr(0, bytes_max)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) words += c;
    if (digit && !words.ends_with('#')) words += '#';
  }
  return words;
}

// "AddressSanitizer heap-use-after-free", "UndefinedBehaviorSanitizer division by zero".
std::string report_kind(std::string_view report) {
  const std::string_view line = report.substr(0, report.find('\n'));
  constexpr std::string_view undefined = ": runtime error: ", ending = "Sanitizer: ";
  if (const auto at = line.find(ending); at != std::string_view::npos) {
    const auto blank = line.substr(0, at).rfind(' ');
    const auto begin = blank == std::string_view::npos ? 0 : blank + 1;
    return fmt::format("{}Sanitizer {}", line.substr(begin, at - begin),
                       stable_words(line.substr(at + ending.size())));
  }
  const auto at = line.find(undefined);
  if (at == std::string_view::npos) return "sanitizer";
  return "UndefinedBehaviorSanitizer " + stable_words(line.substr(at + undefined.size()));
}

// The function of frame 0, "#0 0x55d in ring::push(int) /src/ring.cc:3", or, of
// ThreadSanitizer, "#0 ring::push(int) /src/ring.cc:3"; empty when there is none.
std::string innermost_function(std::string_view report) {
  const auto at = report.find("#0 ");
  if (at == std::string_view::npos) return {};
  report.remove_prefix(at + 3);
  std::string frame(report.substr(0, report.find('\n')));
  if (frame.starts_with("0x")) {
    const auto in = frame.find(" in ");
    frame.erase(0, in == std::string::npos ? frame.size() : in + 4);
  }
  constexpr std::string_view unnamed = "(anonymous namespace)::";
  for (std::size_t found; (found = frame.find(unnamed)) != std::string::npos;) {
    frame.erase(found, unnamed.size());
  }
  return frame.substr(0, frame.find_first_of("( "));
}

std::string report_symptom(const std::string& report) {
  const std::string function = innermost_function(report);
  return report_kind(report) + (function.empty() ? "" : " in " + function);
}

// What the lane was doing: its last record.
std::vector<EventRef> last_event(const Subject& subject, int lane) {
  if (lane < 0) return {};
  const auto index = static_cast<unsigned>(lane);
  const auto records = subject.history.lanes[index].records;
  if (records.empty()) return {};
  return {{index, records.size() - 1}};
}

std::string who(const Subject& subject, int lane) {
  return lane < 0 ? std::string("a worker") : subject.lane(static_cast<unsigned>(lane));
}

}  // namespace

Finding check_crash(const Subject& subject) {
  Finding finding{.occasions = subject.history.lanes.size(), .term = "no crash"};
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact == Fact::sanitizer) {
      charge(finding, Verdict::violation,
             {.symptom = report_symptom(e.text),
              .what = fmt::format("{}: {}", who(subject, e.lane), beginning(e.text)),
              .legal = "no report",
              .witness = last_event(subject, e.lane)});
    }
  }
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::died) continue;
    const int status = static_cast<int>(e.value);
    const bool by_kernel =
        WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && subject.history.has(Fact::pressure);
    Charge c{.symptom = stable_manner(e),
             .what = fmt::format("{} {}{}{}", who(subject, e.lane), manner(e),
                                 e.text.empty() ? "" : ": ", ending(e.text)),
             .legal = "every worker lives until it is told to leave",
             .witness = last_event(subject, e.lane)};
    if (by_kernel) c.what += "; but the machine was under memory pressure";
    charge(finding, by_kernel ? Verdict::inconclusive : Verdict::violation, std::move(c));
  }
  return finding;
}

}  // namespace ipctorture
