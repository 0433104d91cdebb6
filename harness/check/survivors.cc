// Survivors: after a death that the contract survives the others go on.
//
// A sender that waits for room while a consumer of the same channel waits for a message, for longer
// than the progress bound, or for ever by the watchdog's proof: whatever went with the dead, one of
// the two could go on. (A consumer alone may wait in vain: what it waits for may have gone with the
// dead.) Only where a full channel blocks and any consumer may take any message.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/asleep.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

struct Waiting {
  EventRef in;
  Stamp from = 0, to = 0;
};

// Lanes that sleep to the end in an operation of this sort without a deadline.
std::vector<Waiting> waiting_in(const Subject& subject, Op op) {
  std::vector<Waiting> found;
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::asleep || e.lane < 0 || e.value != 1) continue;
    const auto lane = static_cast<unsigned>(e.lane);
    const auto records = subject.history.lanes[lane].records;
    if (records.empty() || !records.back().open() || records.back().op() != op) continue;
    if (e.to > records.back().invoked) found.push_back({{lane, records.size() - 1}, e.from, e.to});
  }
  return found;
}

// When the last death was over, of those after which there was time to go on before `until`; 0:
// there was none.
Stamp last_death(const Subject& subject, Stamp until) {
  Stamp last = 0;
  for (const Evidence& e : subject.history.evidence) {
    const bool death = e.fact == Fact::killed || e.fact == Fact::died;
    if (death && e.to < until) last = std::max(last, e.to);
  }
  return last;
}

std::string described(const Subject& subject) {
  std::string text;
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::waiting_in) continue;
    text += (text.empty() ? "" : "; ") + innermost(e.text);
  }
  return text;
}

}  // namespace

void judge_survivors(const Subject& subject, Finding& finding) {
  if (subject.contract.when_full != WhenFull::blocks) return;
  if (subject.contract.fan_out != FanOut::any_consumer) return;
  const bool proven = subject.history.has(Fact::deadlocked);
  for (const Waiting& sender : waiting_in(subject, Op::send)) {
    for (const Waiting& receiver : waiting_in(subject, Op::receive)) {
      if (subject.record(sender.in).channel() != subject.record(receiver.in).channel()) continue;
      const Stamp to = std::min(sender.to, receiver.to);
      const Stamp death = last_death(subject, to);
      const Stamp from = std::max({sender.from, receiver.from, death});
      if (death == 0 || to <= from || (!proven && to - from <= subject.bound())) continue;
      Charge c{.symptom = "survivors stuck",
               .what = "after a death a sender waits for room and a consumer for a message: " +
                       described(subject),
               .legal = "the survivors' operations complete",
               .witness = {sender.in, receiver.in}};
      if (proven) {
        charge(finding, Verdict::violation, std::move(c));
      } else {
        charge_delay(subject, finding, from, to, std::move(c));
      }
      if (finding.symptom == "survivors stuck") finding.term = "survivors of a death go on";
      return;
    }
  }
}

}  // namespace ipctorture
