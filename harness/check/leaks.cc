// Leaks: when all have left nothing remains: descriptors, mappings, names, queues, semaphores,
// files, processes.
//
// Sound: the supervisor attributes what it counts by run id or creator before it says so, and
// counts descriptors only in workers that left in order. Occasions are the workers that came and
// went.
#include <fmt/format.h>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

// Names differ from run to run; the kind of the leak does not: "name /dev/shm/x" -> "name".
std::string kind_of(const std::string& text) { return text.substr(0, text.find(' ')); }

}  // namespace

Finding check_leaks(const Subject& subject) {
  Finding finding{.occasions = subject.history.lanes.size(), .term = "nothing left behind"};
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::leaked) continue;
    const std::string who =
        e.lane < 0 ? std::string() : subject.lane(static_cast<unsigned>(e.lane)) + " ";
    charge(finding, Verdict::violation,
           {.symptom = kind_of(e.text),
            .what = fmt::format("{}left behind {} x {}", who, e.value, e.text),
            .legal = "nothing remains"});
  }
  return finding;
}

}  // namespace ipctorture
