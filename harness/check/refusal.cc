// Refusal: what there is room for is accepted, what is too large is refused, and full and empty are
// answered only when they are true.
//
//   too large      beyond the contract's message_max the answer is too_large; up to the largest
//                  message of the run it never is. Sound always.
//   errors         an operation within the contract answers no error. Those by which a machine says
//                  that it is short of something (ENOMEM, ENOSPC, ...) are inconclusive; where the
//                  harness made a call of the operation fail, an error is the right answer, and
//                  full and empty are no claims.
//   attach         likewise; a time-out may be the machine's.
//   exact answers  exact_answers.cc.
//   for ever       blocked_senders.cc.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

bool machine_is_short(int error) {
  constexpr int shortages[] = {ENOMEM, ENOSPC, ENFILE, EMFILE, EDQUOT, ENOBUFS, EAGAIN};
  return std::find(std::begin(shortages), std::end(shortages), error) != std::end(shortages);
}

void judge_sizes(const Subject& subject, const ChannelIndex& channel, const ProducerSide& side,
                 Finding& finding) {
  const std::uint32_t largest = subject.scenario.largest_message();
  for (const std::uint32_t record : side.not_refused) {
    const EventRef ref{side.lane, record};
    const Record& r = channel.record(ref);
    charge(finding, Verdict::violation,
           {.symptom = "oversize not refused",
            .what = fmt::format("{} sent {} bytes and was answered {}; at most {} are allowed",
                                subject.lane(side.lane), r.size, to_string(r.result()),
                                subject.contract.message_max),
            .legal = "too_large",
            .witness = {ref}});
  }
  for (const std::uint32_t record : side.too_large) {
    const EventRef ref{side.lane, record};
    const Record& r = channel.record(ref);
    if (r.size > largest) continue;
    charge(finding, Verdict::violation,
           {.symptom = "refused as too large",
            .what = fmt::format("{} sent {} bytes and was answered too_large; {} are allowed",
                                subject.lane(side.lane), r.size, largest),
            .legal = "it is accepted when there is room",
            .witness = {ref}});
  }
}

void judge_errors(const Subject& subject, const Side& side, Finding& finding) {
  for (const std::uint32_t record : side.errors) {
    const EventRef ref{side.lane, record};
    const Record& r = subject.record(ref);
    if (subject.time.short_within(side.lane, r)) continue;
    const bool excused = machine_is_short(r.detail) || !subject.cut_short().empty();
    Charge c{.symptom = fmt::format("{} error", to_string(r.op())),
             .what = fmt::format("{} was answered {} by {}: {}", subject.lane(side.lane),
                                 to_string(r.result()), to_string(r.op()), std::strerror(r.detail)),
             .legal = "operations within the contract answer no error",
             .witness = {ref}};
    charge(finding, excused ? Verdict::inconclusive : Verdict::violation, std::move(c));
  }
}

// A worker that could not even try, or that an operation threw out: its transport's constructor,
// send, receive or close answered with an exception.
void judge_failed_workers(const Subject& subject, Finding& finding) {
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::worker_failed || e.lane < 0) continue;
    const auto lane = static_cast<unsigned>(e.lane);
    const auto records = subject.history.lanes[lane].records;
    const bool attach_tells = std::any_of(records.begin(), records.end(), [](const Record& r) {
      return r.op() == Op::attach && r.result() == Outcome::error;
    });
    if (attach_tells) continue;
    Charge c{.symptom = "exception",
             .what = fmt::format("{} could not go on: {}", subject.lane(lane), e.text),
             .legal = "only attach may throw; operations answer with an outcome"};
    if (!records.empty()) c.witness = {{lane, records.size() - 1}};
    const bool excused = machine_is_short(static_cast<int>(e.value));
    charge(finding, excused ? Verdict::inconclusive : Verdict::violation, std::move(c));
  }
}

void judge_attach(const Subject& subject, Finding& finding) {
  for (unsigned lane = 0; lane < subject.history.lanes.size(); ++lane) {
    const auto records = subject.history.lanes[lane].records;
    for (std::size_t i = 0; i < records.size() && records[i].op() == Op::attach; ++i) {
      finding.tried_at(Term::attaches, 1);
      const Record& r = records[i];
      if (r.result() != Outcome::error || subject.time.short_within(lane, r)) continue;
      std::string text = std::strerror(r.detail);
      for (const Evidence& e : subject.history.evidence) {
        if (e.fact == Fact::worker_failed && e.lane == static_cast<int>(lane)) text = e.text;
      }
      Charge c{.symptom = "attach error",
               .what = fmt::format("{} could not attach: {}", subject.lane(lane), text),
               .legal = "every expected peer can attach",
               .witness = {{lane, i}}};
      if (r.detail == ETIMEDOUT) {
        charge_delay(subject, finding, r.invoked, r.returned, std::move(c));
      } else {
        charge(finding, machine_is_short(r.detail) ? Verdict::inconclusive : Verdict::violation,
               std::move(c));
      }
    }
  }
}

}  // namespace

Finding check_refusal(const Subject& subject) {
  Finding finding{.term = fmt::format("when full: {}", to_string(subject.contract.when_full))};
  judge_attach(subject, finding);
  judge_failed_workers(subject, finding);
  for (const ChannelIndex& channel : subject.channels) {
    for (const ProducerSide& side : channel.producers) {
      if (!side.present) continue;
      finding.tried_at(Term::oversize_refused, side.oversize);
      judge_sizes(subject, channel, side, finding);
    }
    judge_exact_answers(subject, channel, finding);
    judge_blocked_senders(subject, channel, finding);
    for (const ProducerSide& side : channel.producers) judge_errors(subject, side, finding);
    for (const ConsumerSide& side : channel.consumers) judge_errors(subject, side, finding);
  }
  return finding;
}

}  // namespace ipctorture
