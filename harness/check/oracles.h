// What the oracles share: the history with its channels indexed, and the words of a finding. Each
// oracle is one file and judges one promise; a pure function, it says in its file where it is
// sound.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "harness/check/channel_index.h"
#include "harness/check/check.h"
#include "harness/check/timeline.h"

namespace ipctorture {

struct Subject {
  explicit Subject(const CheckInput& input);

  const History& history;
  const Contract& contract;
  const Scenario& scenario;
  Timeline time;
  std::vector<ChannelIndex> channels;

  Stamp bound() const { return time.ticks(contract.progress_bound_ms); }
  const Record& record(EventRef ref) const { return history.lanes[ref.lane].records[ref.record]; }
  // How many accepted messages the deaths that others outlived may have taken along.
  std::uint64_t may_be_gone() const {
    return time.deaths().size() * std::uint64_t{contract.lost_per_death_max};
  }
  // Until when everything that was accepted must have been received, after an answer `closed`:
  // until its return, since producers that have all closed by then do not send any more. Where
  // `closed` is no promise, until it was asked.
  Stamp closed_says(const Record& closed) const {
    return contract.reports_closed ? closed.returned : closed.invoked;
  }
  // What was accepted on the channel and received by nobody is certainly still there.
  bool stays(const ChannelIndex& channel) const;
  // The lane died, others went on, and the contract promises that they can.
  bool survived(unsigned lane) const;
  // Empty, or the fact that cut the traffic short: not a death that the contract survives.
  std::string cut_short() const;
  // When the operation returned; for an open one when its lane ended, so it was waiting until then.
  Stamp ended(EventRef ref) const;

  std::string lane(unsigned index) const { return history.lanes[index].name(); }
  // "message 17 of producer 1", "reply 3 of server 0", "mark 9 of producer 0".
  std::string message(const ChannelIndex& channel, unsigned producer, std::uint64_t offset) const;
  std::string duration(Stamp ticks) const;  // "2310 ms"
};

Finding check_integrity(const Subject& subject);
Finding check_delivery(const Subject& subject);
Finding check_order(const Subject& subject);
Finding check_stall(const Subject& subject);
Finding check_deadlock(const Subject& subject);
Finding check_starvation(const Subject& subject);
Finding check_refusal(const Subject& subject);
Finding check_end_of_stream(const Subject& subject);
Finding check_deadlines(const Subject& subject);
Finding check_latest_value(const Subject& subject);
Finding check_crash(const Subject& subject);
Finding check_leaks(const Subject& subject);

// Parts of an oracle that have a file of their own.
void judge_loss(const Subject& subject, const ChannelIndex& channel, Finding& finding);
void judge_broadcast_loss(const Subject& subject, const ChannelIndex& channel, Finding& finding);
void judge_real_time_order(const Subject& subject, const ChannelIndex& channel, Finding& finding);
void judge_broadcast_total(const Subject& subject, const ChannelIndex& channel, Finding& finding);
// Broadcast: the consumer attached before anything was sent, and everything that it received is
// known, without a gap that it was told of. With a total order that is the beginning of what all
// consumers like it receive.
bool has_all_from_the_start(const Subject& subject, const ChannelIndex& channel,
                            const ConsumerSide& side);
void judge_exact_answers(const Subject& subject, const ChannelIndex& channel, Finding& finding);
// Those who outlived a death, looked at when nobody else found anything.
void judge_survivors(const Subject& subject, Finding& finding);
void judge_blocked_senders(const Subject& subject, const ChannelIndex& channel, Finding& finding);

// What to say of one thing that went wrong.
struct Charge {
  std::string symptom;  // a stable word
  std::string what;
  std::string legal;
  std::vector<EventRef> witness;
};
// Takes the charge over if it is worse than what the finding says already: the first of its
// severity stays.
void charge(Finding& finding, Verdict verdict, Charge charge);
// A liveness charge: inconclusive instead, saying why, when the machine may have caused the delay;
// none when the harness held somebody, and without that it would not exceed the progress bound.
void charge_delay(const Subject& subject, Finding& finding, Stamp from, Stamp to, Charge charge);
// " (and 3 more)", or nothing for 1.
std::string and_more(std::uint64_t count);

}  // namespace ipctorture
