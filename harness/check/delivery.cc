// Delivery: nothing is received that was not sent, nothing twice, and where the contract says
// exactly once nothing is lost (loss.cc, broadcast_loss.cc).
//
// Sound always for phantoms and duplicates: a send answered full, timed out, closed, too large or
// error says that nothing happened; one of unknown fate may arrive once. A message that was refused
// and sent again is no second one; that it was received before the attempt that was accepted shows
// all the same, where stamps order lanes, and so does one that was received before it was sent.
// Messages below 8 bytes that cannot be told apart are counted per class, so a duplicate shows as
// one more than was sent.
#include <fmt/format.h>

#include "harness/check/earlier.h"
#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

Charge duplicate(const Subject& subject, const ChannelIndex& channel, const Sighting& s) {
  const std::string first = subject.lane(s.earlier.lane), second = subject.lane(s.receive.lane);
  const std::string message = subject.message(channel, s.producer, s.offset);
  const std::string more = and_more(channel.count(Anomaly::duplicate));
  return {.symptom = "duplicate",
          .what = first == second ? fmt::format("{} received {} twice{}", first, message, more)
                                  : fmt::format("{} received {}, which {} had received{}", second,
                                                message, first, more),
          .legal = "each message once",
          .witness = {channel.sent_ref(s.producer, s.offset), s.earlier, s.receive}};
}

Charge phantom(const Subject& subject, const ChannelIndex& channel, const Sighting& s) {
  const std::string who = subject.lane(s.receive.lane);
  const std::string more = and_more(channel.count(Anomaly::phantom));
  const Record& received = channel.record(s.receive);
  if (!s.identified && channel.is_earlier(received)) {
    return {.symptom = "duplicate",
            .what = fmt::format("{} received message {} of producer {} of an earlier round, in "
                                "which it was received, refused or overtaken{}",
                                who, received.id().sequence, received.id().producer, more),
            .legal = "each message once",
            .witness = {s.receive}};
  }
  if (!s.identified) {
    return {.symptom = "phantom",
            .what = fmt::format("{} received a message of {} bytes that nobody sent{}", who,
                                channel.record(s.receive).size, more),
            .legal = "only messages that were sent, each once",
            .witness = {s.receive}};
  }
  return {.symptom = "refused but delivered",
          .what = fmt::format("{} received {}, whose send was answered {}{}", who,
                              subject.message(channel, s.producer, s.offset),
                              to_string(channel.sent_record(s.producer, s.offset).result()), more),
          .legal = "a refused message is never delivered",
          .witness = {channel.sent_ref(s.producer, s.offset), s.receive}};
}

// What was received before it can have been accepted: an attempt that was refused did it, or
// nobody.
Charge premature(const Subject& subject, const ChannelIndex& channel, const Sighting& s) {
  const std::string who = subject.lane(s.receive.lane);
  const std::string message = subject.message(channel, s.producer, s.offset);
  const std::string more = and_more(channel.count(Anomaly::premature));
  const std::vector<EventRef> witness{s.receive, channel.sent_ref(s.producer, s.offset)};
  if (channel.producers[s.producer].messages[s.offset].has(SentMessage::refused)) {
    return {.symptom = "refused but delivered",
            .what = fmt::format("{} received {} before the send began that was accepted; until "
                                "then it had been refused{}",
                                who, message, more),
            .legal = "a refused message is never delivered",
            .witness = witness};
  }
  return {.symptom = "phantom",
          .what = fmt::format("{} received {} before its send began{}", who, message, more),
          .legal = "only messages that were sent, each once",
          .witness = witness};
}

// Messages that were still on their way when their producer had closed: the newest ones of each.
std::uint64_t outlived_their_producer(const Subject& subject, const ChannelIndex& channel) {
  std::uint64_t count = 0;
  for (const ProducerSide& p : channel.producers) {
    if (!p.present || p.close < 0) continue;
    const Record& close = subject.record({p.lane, static_cast<std::uint64_t>(p.close)});
    for (std::uint64_t offset = p.messages.size(); !close.open() && offset-- > 0;) {
      const SentMessage& m = p.messages[offset];
      if (!m.has(SentMessage::delivered)) continue;
      if (channel.received_record(m).returned <= close.returned) break;
      ++count;
    }
  }
  return count;
}

void count_occasions(const Subject& subject, const ChannelIndex& channel, bool may_lose,
                     Finding& finding) {
  finding.tried_at(Term::once, channel.accepted);
  if (may_lose) return;
  finding.tried_at(Term::nothing_lost, channel.accepted);
  if (channel.shared) {
    finding.tried_at(Term::survives_close, outlived_their_producer(subject, channel));
    return;
  }
  for (const ConsumerSide& c : channel.consumers) finding.tried_at(Term::losses_told, c.missed);
}

}  // namespace

Finding check_delivery(const Subject& subject) {
  const Contract& contract = subject.contract;
  Finding finding{.term = fmt::format("delivery: {}", to_string(contract.delivery))};
  for (const ChannelIndex& channel : subject.channels) {
    const bool may_lose =
        contract.delivery != Delivery::exactly_once || contract.when_full == WhenFull::drops_newest;
    count_occasions(subject, channel, may_lose, finding);
    if (const Sighting* s = channel.first(Anomaly::phantom)) {
      charge(finding, Verdict::violation, phantom(subject, channel, *s));
    }
    if (const Sighting* s = channel.first(Anomaly::duplicate)) {
      charge(finding, Verdict::violation, duplicate(subject, channel, *s));
    }
    if (channel.lookalikes_extra > 0) {
      charge(finding, Verdict::violation,
             {.symptom = "duplicate",
              .what = fmt::format("{} more messages of fewer than 8 bytes were received than sent",
                                  channel.lookalikes_extra),
              .legal = "each message once"});
    }
    if (const Sighting* s = channel.first(Anomaly::premature)) {
      charge(finding, Verdict::violation, premature(subject, channel, *s));
    }
    if (may_lose) continue;
    if (channel.channel == 0) judge_left_over(subject, channel, finding);
    if (channel.shared) {
      judge_loss(subject, channel, finding);
    } else {
      judge_broadcast_loss(subject, channel, finding);
    }
  }
  return finding;
}

}  // namespace ipctorture
