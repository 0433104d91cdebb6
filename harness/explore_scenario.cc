#include "harness/explore_scenario.h"

#include <algorithm>

#include "harness/schedule/control.h"

namespace ipctorture {
namespace {

using schedule::Ending;

// Beyond this the oldest histories may be judged again: memory stays bounded.
constexpr std::size_t seen_max = 4'000'000;

Finding violation(Promise promise, std::string term, std::string symptom, std::string what,
                  std::string legal) {
  return {.promise = promise,
          .verdict = Verdict::violation,
          .what = std::move(what),
          .legal = std::move(legal),
          .term = std::move(term),
          .symptom = std::move(symptom)};
}

std::string all_waiting(const schedule::Session& session) {
  std::string text;
  for (const std::string& line : session.waiting()) text += (text.empty() ? "" : "; ") + line;
  return text;
}

// What the history alone does not show.
void add_controlled(const schedule::Session& session, Ending ending, Judgement& judgement) {
  const std::string said = session.state().said;
  const bool nobody_killed = session.state().killed_lanes == 0;
  switch (ending) {
    case Ending::race:
      judgement.findings.push_back(violation(Promise::integrity, "no data race", "race", said,
                                             "conflicting accesses ordered by atomic operations, "
                                             "locks or kernel objects"));
      break;
    case Ending::misuse:
      judgement.findings.push_back(violation(Promise::crash, "memory is used within its bounds",
                                             "unmapped access", said,
                                             "accesses to what is mapped"));
      break;
    case Ending::livelock:
      judgement.findings.push_back(
          violation(Promise::deadlock, "the processes together keep moving", "livelock",
                    "no operation was completed under fair scheduling: " + all_waiting(session),
                    "somebody completes an operation"));
      break;
    case Ending::deadlock:
      if (nobody_killed && violation_of(judgement) == nullptr) {
        judgement.findings.push_back(
            violation(Promise::deadlock, "the processes together keep moving", "deadlock",
                      "every lane waits, and nothing will wake any: " + all_waiting(session),
                      "somebody completes an operation"));
      }
      break;
    default:
      break;
  }
}

}  // namespace

const Finding* violation_of(const Judgement& judgement) {
  const Finding* worst = judgement.worst();
  return worst != nullptr && worst->verdict == Verdict::violation ? worst : nullptr;
}

Judgement ScheduleJudge::judge_afresh(const schedule::Session& session, Ending ending) const {
  const History history = session.history();
  Judgement judgement;
  // A race or a stray access cuts the schedule short: what is missing then is nobody's fault.
  const bool cut = ending == Ending::race || ending == Ending::misuse || ending == Ending::livelock;
  if (!cut) judgement = check({history, contract_, scenario_});
  // A hostile peer may have anything delivered, or nothing, and who waits for it may wait in vain,
  // be it in a loop; it must not take the others down.
  const bool hostile = session.state().hostile;
  if (hostile) {
    std::erase_if(judgement.findings, [](const Finding& finding) {
      return finding.promise != Promise::crash && finding.promise != Promise::leaks;
    });
  }
  const bool waits = hostile && (ending == Ending::deadlock || ending == Ending::livelock);
  if (!waits) add_controlled(session, ending, judgement);
  return judgement;
}

const Judgement* ScheduleJudge::judge(const schedule::Session& session, Ending ending) {
  if (ending == Ending::budget) return nullptr;  // counted by the search
  if (ending == Ending::uncontrolled) {
    if (uncontrolled_.empty()) uncontrolled_ = session.state().said;
    return nullptr;
  }
  if (ending == Ending::complete) {
    if (seen_.size() > seen_max) seen_.clear();
    const std::uint64_t kills = session.state().killed_lanes;
    if (!seen_.insert(session.history_hash() ^ kills << 56).second) return nullptr;
  }
  last_ = judge_afresh(session, ending);
  for (const Finding& finding : last_.findings) {
    occasions_[static_cast<unsigned>(finding.promise)] += finding.occasions;
  }
  return &last_;
}

}  // namespace ipctorture
