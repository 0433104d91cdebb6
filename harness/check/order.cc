// Order: the contract's ordering, as one consumer sees it and as consumers together see it.
//
// One consumer: a producer's messages (of one priority) come in sending order. Exact, needs no
// clock. Several consumers, and producers: order_in_time.cc.
#include <fmt/format.h>

#include <algorithm>

#include "harness/check/oracles.h"

namespace ipctorture {
namespace {

// Receives before which the same consumer had taken something of the same producer, at the least.
std::uint64_t comparable(const ChannelIndex& channel) {
  const auto pairs = channel.producers.size() * channel.consumers.size();
  return channel.identified - std::min<std::uint64_t>(channel.identified, pairs);
}

}  // namespace

Finding check_order(const Subject& subject) {
  Finding finding{.term = fmt::format("order: {}", to_string(subject.contract.ordering))};
  for (const ChannelIndex& channel : subject.channels) {
    finding.tried_at(Term::producer_order, comparable(channel));
    if (const Sighting* s = channel.first(Anomaly::inversion)) {
      const Match newer = channel.match(channel.record(s->earlier));
      const std::string message = subject.message(channel, s->producer, s->offset);
      std::vector<EventRef> witness{channel.sent_ref(s->producer, s->offset), s->earlier,
                                    s->receive};
      std::string later = "a later one";
      if (newer.how == Match::How::identified) {
        later = subject.message(channel, newer.producer, newer.offset);
        witness.push_back(channel.sent_ref(newer.producer, newer.offset));
      }
      charge(finding, Verdict::violation,
             {.symptom = "reordered",
              .what = fmt::format("{} received {} after {}{}", subject.lane(s->receive.lane),
                                  message, later, and_more(channel.count(Anomaly::inversion))),
              .legal = "each producer's messages in the order in which it sent them",
              .witness = std::move(witness)});
    }
    judge_real_time_order(subject, channel, finding);
  }
  return finding;
}

}  // namespace ipctorture
