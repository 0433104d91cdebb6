#include "harness/check/oracles.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture {

Subject::Subject(const CheckInput& input)
    : history(input.history),
      contract(input.contract),
      scenario(input.scenario),
      time(input.history) {
  channels.reserve(history.channels);
  for (unsigned channel = 0; channel < history.channels; ++channel) {
    channels.emplace_back(history, contract, channel);
  }
}

Stamp Subject::ended(EventRef ref) const {
  const Record& r = record(ref);
  return r.open() ? std::max(r.invoked, time.end_of(ref.lane)) : r.returned;
}

bool Subject::survived(unsigned number) const {
  const bool produces = history.lanes[number].producer_on[0] >= 0;
  const bool promised =
      produces ? contract.survives_producer_death : contract.survives_consumer_death;
  return promised && std::any_of(time.deaths().begin(), time.deaths().end(),
                                 [&](const Death& d) { return d.lane == number; });
}

bool Subject::stays(const ChannelIndex& channel) const {
  return channel.unknown_receives == 0 && cut_short().empty() && may_be_gone() == 0 &&
         contract.delivery == Delivery::exactly_once &&
         contract.when_full != WhenFull::drops_newest;
}

std::string Subject::cut_short() const {
  for (unsigned number = 0; number < history.lanes.size(); ++number) {
    if (time.killed(number) && !survived(number)) return time.cut_short();
  }
  return time.broken_off();
}

std::string Subject::message(const ChannelIndex& channel, unsigned producer,
                             std::uint64_t offset) const {
  const ProducerSide& side = channel.producers[producer];
  const auto kind = static_cast<MessageKind>(side.messages[offset].kind);
  return fmt::format("{} {} of {}", kind == MessageKind::data ? "message" : to_string(kind),
                     side.first + offset, lane(side.lane));
}

std::string Subject::duration(Stamp ticks) const {
  const double ms = time.ms(ticks);
  return ms >= 10 ? fmt::format("{:.0f} ms", ms) : fmt::format("{:.3f} ms", ms);
}

void charge(Finding& finding, Verdict verdict, Charge charge) {
  if (verdict <= finding.verdict) return;
  finding.verdict = verdict;
  finding.symptom = std::move(charge.symptom);
  finding.what = std::move(charge.what);
  finding.legal = std::move(charge.legal);
  finding.witness = std::move(charge.witness);
}

void charge_delay(const Subject& subject, Finding& finding, Stamp from, Stamp to, Charge c) {
  const auto [unheld_from, unheld_to] = subject.time.unheld(from, to);
  const bool held = unheld_to - unheld_from < to - from;
  if (held && unheld_to - unheld_from <= subject.bound()) return;
  const std::string disturbed = subject.time.disturbed(from, to, subject.bound());
  if (!disturbed.empty()) c.what += "; but " + disturbed;
  charge(finding, disturbed.empty() ? Verdict::violation : Verdict::inconclusive, std::move(c));
}

std::string and_more(std::uint64_t count) {
  return count > 1 ? fmt::format(" (and {} more)", count - 1) : std::string();
}

}  // namespace ipctorture
