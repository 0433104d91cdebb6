// Starvation: no message is overtaken by more later ones than the contract allows. The counting is
// fairness.cc's; occasions are the messages that waited while a later one was there.
//
// Sound whatever the machine does, by the stamps alone; yet a bound above 0 is about how fair the
// serving is, which a starved machine disturbs: there the charge is inconclusive, as of a delay.
#include <fmt/format.h>

#include "harness/check/fairness.h"

namespace ipctorture {
namespace {

void charge_overtaken(const Subject& subject, const ChannelIndex& channel, const Overtakes& found,
                      std::uint32_t allowed, Finding& finding) {
  const Passage& m = found.worst;
  const SentMessage& sent = channel.producers[m.producer].messages[m.offset];
  Charge c{.symptom = "overtaken",
           .what = fmt::format("{} was overtaken by {} messages sent after it, and waited {}",
                               subject.message(channel, m.producer, m.offset), found.most,
                               subject.duration(m.receive - m.accepted)),
           .legal = fmt::format("at most {}", allowed),
           .witness = {channel.sent_ref(m.producer, m.offset), channel.received_ref(sent)}};
  if (allowed == 0) return charge(finding, Verdict::violation, std::move(c));
  charge_delay(subject, finding, m.accepted, m.receive, std::move(c));
}

}  // namespace

Finding check_starvation(const Subject& subject) {
  const std::uint32_t allowed = subject.contract.overtakes_max.value_or(0);
  Finding finding{.term = fmt::format("fairness: {} overtakes", allowed)};
  for (const ChannelIndex& channel : subject.channels) {
    if (!channel.shared) continue;
    const Overtakes found = count_overtakes(subject.time, passages(channel));
    finding.tried_at(Term::overtakes, found.occasions);
    if (found.most > allowed) charge_overtaken(subject, channel, found, allowed, finding);
  }
  return finding;
}

}  // namespace ipctorture
