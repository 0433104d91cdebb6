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
             {.symptom = "sanitizer",
              .what = fmt::format("{}: {}", who(subject, e.lane), e.text),
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
                                 e.text.empty() ? "" : ": ", e.text),
             .legal = "every worker lives until it is told to leave",
             .witness = last_event(subject, e.lane)};
    if (by_kernel) c.what += "; but the machine was under memory pressure";
    charge(finding, by_kernel ? Verdict::inconclusive : Verdict::violation, std::move(c));
  }
  return finding;
}

}  // namespace ipctorture
