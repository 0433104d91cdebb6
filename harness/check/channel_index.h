// What happened to every message of one channel, computed once for all oracles: one pass over the
// producers' records, one over the consumers', into one 16-byte entry per sequence number. No hash
// maps, no copies of records: 10 million messages take 160 MB and a fraction of a second.
//
// Why it is right: a producer numbers the messages it attempts without gaps, so (producer,
// sequence) is an array index; history_faults and this file refuse histories that break that.
//
// Messages below 8 bytes carry only part of their name (scenario/message.h). A received one is
// matched
//   - wholly, when only one message of the channel fits its bytes;
//   - else as the k-th of those it could be, when one consumer receives all messages of one
//   producer
//     in order and every send of it is certain (exactly once): in a correct history that match is
//     the true one, so whatever is found wrong with it is wrong;
//   - else only counted per class of messages that look alike: more received than were sent is a
//     violation, fewer a loss, but no order, duration or duplicate is claimed for any of them.
//     Classes are folded to 13 bits of the sequence, which merges classes and so claims less.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/check/verdict.h"
#include "harness/history/history.h"
#include "harness/transport/contract.h"

namespace ipctorture {

// One sequence number of one producer. `sent` and `received` are record indices.
struct SentMessage {
  static constexpr std::uint8_t accepted = 1;   // a send of it was answered ok
  static constexpr std::uint8_t uncertain = 2;  // a send of it may have been accepted
  static constexpr std::uint8_t refused = 4;    // a send of it was certainly not accepted
  static constexpr std::uint8_t delivered = 8;  // somebody received it (competing consumers only)
  static constexpr std::uint8_t delivered_again = 16;
  static constexpr std::uint8_t lookalike = 32;  // only counted with its class, see above
  static constexpr std::uint8_t mangled = 64;    // something that begins like it was received

  std::uint32_t sent = 0;      // the accepted attempt, else the uncertain one, else the last
  std::uint32_t received = 0;  // by lane consumers[consumer], when delivered: the first time
  std::uint32_t size = 0;
  std::uint8_t consumer = 0;
  std::uint8_t priority = 0;
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  // Accepted, identified, received by nobody.
  bool outstanding() const {
    return (flags & (accepted | delivered | lookalike | mangled)) == accepted;
  }
};
static_assert(sizeof(SentMessage) == 16);

// What a lane's endpoint did on the channel, beside carrying messages. All numbers are record
// indices of the lane.
struct Side {
  static constexpr std::size_t listed_max = 64;  // of each list but `late` and `closed`

  bool present = false;
  unsigned lane = 0;
  std::int64_t attach = -1, close = -1;  // -1: there is none
  std::uint64_t timed = 0;               // operations with a deadline (now, or at a time)
  std::vector<std::uint32_t> late;       // Op::late notes
  std::vector<std::uint32_t> closed;     // operations answered closed
  std::vector<std::uint32_t> errors;     // operations answered error, the first few
  std::vector<std::uint32_t> impatient;  // given up although there was no deadline, the first few
};

struct ProducerSide : Side {
  std::uint64_t first = 0;  // sequence of messages[0]; not 0 when the journal is a window
  std::vector<SentMessage> messages;
  std::uint64_t attempts = 0, accepted = 0, uncertain = 0, full = 0, timed_out = 0, oversize = 0;
  std::vector<std::uint32_t> too_large;    // answered so, the first few
  std::vector<std::uint32_t> not_refused;  // beyond message_max and answered otherwise, likewise
};

struct ConsumerSide : Side {
  std::uint64_t received = 0, missed = 0, empty = 0;
  std::uint64_t unknown = 0;  // receives that may have taken a message nobody saw
  bool saw_mark = false;
};

// Something wrong with one received message, seen in passing.
enum class Anomaly : std::uint8_t {
  torn,
  foreign,
  resized,
  renamed,        // it came as another kind of message than was sent
  reprioritised,  // its priority was not the one it was sent with
  phantom,        // no such message was ever sent, or it was certainly refused
  duplicate,
  inversion,  // this consumer had received a later one of the same producer (and priority)
  premature,  // it was received before any send of it began that may have been accepted
};
inline constexpr unsigned anomaly_count = 9;

struct Sighting {
  Anomaly anomaly{};
  EventRef receive;
  EventRef earlier;          // duplicate, inversion: the receive it collides with
  unsigned producer = 0;     // when known
  std::uint64_t offset = 0;  // in messages of that producer, when known
  bool identified = false;   // producer and offset are known
};

// What a receive took, as far as it can be told.
struct Match {
  enum class How : std::uint8_t { identified, lookalike, none } how = How::none;
  unsigned producer = 0;
  std::uint64_t offset = 0;
};

struct LookalikeCounts;

// Attach, close and notes of the lane on this channel.
void read_aside(Side& side, std::uint32_t index, const Record& record, unsigned channel);

class ChannelIndex {
 public:
  static constexpr std::uint32_t named_bytes = 8;  // messages from here on name themselves wholly
  static constexpr std::uint64_t sequence_mask = (std::uint64_t{1} << 54) - 1;
  static constexpr std::size_t sightings_max = 8;  // kept of each anomaly

  // Throws std::logic_error when a producer's numbering makes no sense.
  ChannelIndex(const History& history, const Contract& contract, unsigned channel);

  unsigned channel = 0;
  bool shared = true;  // each message goes to one consumer (not broadcast, not latest value)
  std::vector<ProducerSide> producers;  // by index within the role
  std::vector<ConsumerSide> consumers;
  std::uint64_t accepted = 0, uncertain = 0, received = 0, empty = 0, full = 0;
  std::uint64_t identified = 0;        // receives matched to their message
  std::uint64_t unknown_receives = 0;  // over all consumers
  std::uint64_t delivered = 0;         // distinct messages (competing consumers, identified)
  std::uint64_t outstanding = 0;       // accepted, identified, received by nobody
  std::uint64_t lookalikes_sent = 0, lookalikes_missing = 0, lookalikes_extra = 0;
  // Which of History::unreceived came now.
  std::vector<bool> came_late;
  std::array<std::uint64_t, anomaly_count> anomalies{};  // how many of each
  std::vector<Sighting> sightings;                       // the first few of each

  std::uint64_t count(Anomaly a) const { return anomalies[static_cast<unsigned>(a)]; }
  const Sighting* first(Anomaly a) const;  // null when there is none

  const Record& record(EventRef ref) const { return history_->lanes[ref.lane].records[ref.record]; }
  EventRef sent_ref(unsigned producer, std::uint64_t offset) const;
  EventRef received_ref(const SentMessage& m) const {
    return {consumers[m.consumer].lane, m.received};
  }
  const Record& sent_record(unsigned producer, std::uint64_t offset) const {
    return record(sent_ref(producer, offset));
  }
  const Record& received_record(const SentMessage& m) const { return record(received_ref(m)); }
  // What an ok receive of intact content took, for messages that identify themselves without
  // counting. For oracles that walk records again.
  Match match(const Record& receive) const;
  // A message that an earlier round of a soak sent.
  bool is_earlier(const Record& receive) const;

 private:
  friend class ConsumerPass;
  void read_producer(unsigned producer);
  void read_refusal(ProducerSide& side, std::uint32_t index, const Record& record) const;
  void read_consumer(unsigned consumer, LookalikeCounts& counts);
  void note(const Sighting& sighting);
  // It may come, and now did.
  bool take_earlier(const Record& receive);
  // Short messages (lookalikes.cc).
  LookalikeCounts prepare_lookalikes() const;
  void settle_lookalikes(LookalikeCounts& counts);
  Match match_short(const Record& receive) const;
  Match count_in_class(const Record& receive, LookalikeCounts& counts);
  unsigned candidates(const Record& receive, unsigned* only) const;
  bool countable_in_order(unsigned producer) const;

  // When the first send of it began that may have been accepted.
  Stamp first_attempt(unsigned producer, std::uint64_t offset) const;

  const History* history_;
  Ordering ordering_;
  Delivery delivery_;
  WhenFull when_full_;
  std::uint32_t message_max_;
  std::uint32_t shortest_ = named_bytes;
};

inline Match ChannelIndex::match(const Record& r) const {
  if (r.size < named_bytes) [[unlikely]]
    return match_short(r);
  const std::uint64_t producer = r.message >> 56;
  if (producer >= producers.size()) return {};
  const ProducerSide& side = producers[producer];
  const std::uint64_t offset = (r.message & sequence_mask) - side.first;  // huge when below it
  if (offset >= side.messages.size()) return {};
  return {Match::How::identified, static_cast<unsigned>(producer), offset};
}

}  // namespace ipctorture
