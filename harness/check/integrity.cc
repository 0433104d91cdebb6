// Integrity: what was received is, byte for byte, a message that was sent on this channel.
//
// The receiving worker derives every byte from the message's own name (scenario/message.h), so this
// needs no copy of what was sent. Sound always: no execution of a correct transport shows a torn,
// foreign or resized message. Below 8 bytes a message has no content of its own; there a wrong size
// shows as a message that nobody sent (delivery).
#include <fmt/format.h>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

constexpr Anomaly charges[] = {Anomaly::torn, Anomaly::resized, Anomaly::foreign, Anomaly::renamed,
                               Anomaly::reprioritised};

Charge charge_of(const Subject& subject, const ChannelIndex& channel, const Sighting& s) {
  const Record& received = channel.record(s.receive);
  const std::string who = subject.lane(s.receive.lane);
  Charge c{.witness = {s.receive}};
  std::string message = "a message of this run";
  std::uint32_t sent_size = 0;
  unsigned sent_priority = 0;
  if (s.identified) {
    const SentMessage& m = channel.producers[s.producer].messages[s.offset];
    c.witness.push_back(channel.sent_ref(s.producer, s.offset));
    message = subject.message(channel, s.producer, s.offset);
    sent_size = m.size;
    sent_priority = m.priority;
  }
  const std::string more = and_more(channel.count(s.anomaly));
  switch (s.anomaly) {
    case Anomaly::torn:
      c.symptom = "torn";
      c.what = fmt::format("{} received {} bytes that begin as {} but do not go on as it{}", who,
                           received.size, message, more);
      break;
    case Anomaly::resized:
      c.symptom = received.size < sent_size ? "truncated" : "extended";
      c.what = fmt::format("{} received {} with {} bytes; it was sent with {}{}", who, message,
                           received.size, sent_size, more);
      break;
    case Anomaly::renamed:
      c.symptom = "altered";
      c.what = fmt::format("{} received {} as another kind of message{}", who, message, more);
      break;
    case Anomaly::reprioritised:
      c.symptom = "priority";
      c.what = fmt::format("{} received {} with priority {}; it was sent with {}{}", who, message,
                           received.detail >> 8, sent_priority, more);
      break;
    default:
      c.symptom = "foreign";
      c.what = fmt::format("{} received {} bytes that are no message of this run and channel{}",
                           who, received.size, more);
  }
  c.legal = "every byte as it was sent, and as many";
  return c;
}

}  // namespace

Finding check_integrity(const Subject& subject) {
  Finding finding{.term = "integrity"};
  for (const ChannelIndex& channel : subject.channels) {
    finding.tried_at(Term::content, channel.received);
    for (const Anomaly anomaly : charges) {
      const Sighting* s = channel.first(anomaly);
      if (s != nullptr) charge(finding, Verdict::violation, charge_of(subject, channel, *s));
    }
  }
  return finding;
}

}  // namespace ipctorture
