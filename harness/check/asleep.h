// Who slept where: the evidence of the watchdog laid over the records. What stall, refusal and
// deadlock are decided by.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/check/oracles.h"

namespace ipctorture {

// A lane asleep inside one operation, without a context switch, throughout from..to.
struct Sleep {
  EventRef in;
  Stamp from = 0, to = 0;
};
// All sleeps inside operations; evidence that touches within one operation is joined.
std::vector<Sleep> sleeps(const Subject& subject);

// Of a stack the innermost frames, of any other text its first line.
std::string innermost(std::string_view text);

// The operation that the lane was in throughout from..to, if it was in one.
std::optional<EventRef> operation_at(const Subject& subject, unsigned lane, Stamp from, Stamp to);

// The longest part of from..to in which no lane but `sleeper` was awake inside an operation that
// could explain a wait: no other consumer of the channel inside a receive (unless `others_matter`
// is no), and no lane at all for longer than a tenth of the progress bound in one operation.
enum class OtherConsumers : std::uint8_t { matter, do_not_matter };
struct Window {
  Stamp from = 0, to = 0;
  Stamp length() const { return to > from ? to - from : 0; }
};
Window still_window(const Subject& subject, const std::vector<Sleep>& sleeps, unsigned sleeper,
                    unsigned channel, Window within, OtherConsumers others);

// When the receive of `m` can have taken it at the earliest: not before it began, and not while its
// lane slept in it. Timeline::never when nobody received it.
Stamp taken_from(const ChannelIndex& channel, const std::vector<Sleep>& sleeps,
                 const SentMessage& m);

// Broadcast and latest value: per producer the offset after the newest message that the consumer
// had received before its record `before`.
std::vector<std::uint64_t> seen_before(const Subject& subject, const ChannelIndex& channel,
                                       const ConsumerSide& consumer, std::uint64_t before);

}  // namespace ipctorture
