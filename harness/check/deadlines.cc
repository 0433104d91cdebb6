// Deadlines: an operation returns by its deadline, within the contract's slack, and none gives up
// that has no deadline.
//
// The worker notes an overrun, and for how long its thread was runnable but did not run meanwhile
// (/proc/self/schedstat); that, what the machine as a whole stood still, and what the harness held
// the worker itself, is taken off before the rest is blamed on the transport: sound up to the
// granularity of those counters. On a loaded machine an overrun is inconclusive, and so is one that
// another worker explains which was kept from running meanwhile for as long. An operation with
// a deadline that never returned counts when the watchdog saw it asleep for longer than the
// deadline can have been ahead, and the slack.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/check/asleep.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

double stalled_ms(const Subject& subject, unsigned lane, Stamp from, Stamp to) {
  double ms = 0;
  for (const Evidence& e : subject.history.evidence) {
    const bool counts = e.fact == Fact::machine_stalled ||
                        (e.fact == Fact::starved && e.lane == static_cast<int>(lane));
    if (counts && e.from <= to && e.to >= from) ms += static_cast<double>(e.value) / 1e6;
  }
  return ms + subject.time.ms(subject.time.held(lane, from, to));
}

// The longest that another worker was kept from running meanwhile: it may have held the kernel's
// lock, or the transport's, that the late one waited for.
double others_starved_ms(const Subject& subject, unsigned lane, Stamp from, Stamp to) {
  std::vector<double> starved_ms(subject.history.lanes.size());
  for (const Evidence& e : subject.history.evidence) {
    const bool counts = e.fact == Fact::starved && e.lane >= 0 && e.lane != static_cast<int>(lane);
    if (!counts || e.from > to || e.to < from) continue;
    if (static_cast<std::size_t>(e.lane) >= starved_ms.size()) continue;
    starved_ms[static_cast<std::size_t>(e.lane)] += static_cast<double>(e.value) / 1e6;
  }
  return starved_ms.empty() ? 0 : *std::max_element(starved_ms.begin(), starved_ms.end());
}

void charge_overrun(const Subject& subject, Finding& finding, EventRef ref, double overrun_ms,
                    bool others_may_explain) {
  const Record& r = subject.record(ref);
  const bool excused = subject.history.has(Fact::loaded) || subject.history.has(Fact::pressure) ||
                       others_may_explain;
  Charge c{.symptom = fmt::format("{} {}", to_string(r.op()),
                                  r.mode() == DeadlineMode::now ? "now" : "at"),
           .what = fmt::format("{} returned from {} {:.0f} ms after its deadline ({}){}",
                               subject.lane(ref.lane), to_string(r.op()), overrun_ms,
                               r.mode() == DeadlineMode::now ? "now" : "at a time",
                               excused ? "; but the machine was busy" : ""),
           .legal = fmt::format("at most {} ms late", subject.contract.deadline_slack_ms),
           .witness = {ref}};
  charge(finding, excused ? Verdict::inconclusive : Verdict::violation, std::move(c));
}

void judge_late(const Subject& subject, const ChannelIndex& channel, const Side& side,
                Finding& finding) {
  const auto records = subject.history.lanes[side.lane].records;
  for (const std::uint32_t note : side.late) {
    // The operation it is about: the last one before it that is no note.
    std::uint64_t at = note;
    while (at > 0 && (records[at].op() == Op::late || records[at].op() == Op::missed)) --at;
    const Record& r = records[at];
    const bool timed = (r.op() == Op::send || r.op() == Op::receive) &&
                       r.channel() == channel.channel && r.mode() != DeadlineMode::never;
    if (!timed) continue;
    const double overrun = static_cast<double>(records[note].message) / 1e6;
    // The worker looks at the clock before it begins the record, and again after it.
    const Stamp since = at > 0 ? records[at - 1].returned : r.invoked;
    const double waited = static_cast<double>(records[note].size) / 1e3 +
                          stalled_ms(subject, side.lane, since, records[note].invoked);
    const double blamed = overrun - waited - subject.contract.deadline_slack_ms;
    if (blamed <= 0) continue;
    const double others = others_starved_ms(subject, side.lane, since, records[note].invoked);
    charge_overrun(subject, finding, {side.lane, at}, overrun, others >= blamed);
  }
}

void judge_impatient(const Subject& subject, const Side& side, Finding& finding) {
  for (const std::uint32_t record : side.impatient) {
    const EventRef ref{side.lane, record};
    const Record& r = subject.record(ref);
    charge(finding, Verdict::violation,
           {.symptom = fmt::format("{} gave up", to_string(r.op())),
            .what = fmt::format("{} was answered {} by {} with the deadline {}",
                                subject.lane(side.lane), to_string(r.result()), to_string(r.op()),
                                to_string(r.mode())),
            .legal = r.mode() == DeadlineMode::never ? "it waits" : "it waits until its deadline",
            .witness = {ref}});
  }
}

// Open to the end although it had a deadline.
void judge_open(const Subject& subject, Finding& finding) {
  for (const Sleep& s : sleeps(subject)) {
    const Record& r = subject.record(s.in);
    const bool timed = (r.op() == Op::send || r.op() == Op::receive) && r.open() &&
                       r.mode() != DeadlineMode::never;
    if (!timed) continue;
    const DeadlineMix& mix =
        r.op() == Op::send ? subject.scenario.send_deadlines : subject.scenario.receive_deadlines;
    const double ahead = r.mode() == DeadlineMode::at ? mix.at_us / 1e3 : 0;
    const double overrun = subject.time.ms(s.to - s.from) - ahead;
    if (overrun <= subject.contract.deadline_slack_ms) continue;
    Charge c{.symptom = fmt::format("{} never returned", to_string(r.op())),
             .what = fmt::format(
                 "{} slept {} in {} although its deadline was {}", subject.lane(s.in.lane),
                 subject.duration(s.to - s.from), to_string(r.op()),
                 r.mode() == DeadlineMode::now ? std::string("now")
                                               : fmt::format("{:.1f} ms ahead", ahead)),
             .legal = fmt::format("at most {} ms late", subject.contract.deadline_slack_ms),
             .witness = {s.in}};
    charge_delay(subject, finding, s.from, s.to, std::move(c));
  }
}

}  // namespace

Finding check_deadlines(const Subject& subject) {
  Finding finding{.term = "deadlines"};
  for (const ChannelIndex& channel : subject.channels) {
    const auto judge = [&](const Side& side) {
      if (!side.present) return;
      finding.occasions += side.timed;
      judge_late(subject, channel, side, finding);
      judge_impatient(subject, side, finding);
    };
    for (const Side& side : channel.producers) judge(side);
    for (const Side& side : channel.consumers) judge(side);
  }
  judge_open(subject, finding);
  return finding;
}

}  // namespace ipctorture
