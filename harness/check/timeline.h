// What may be said about time in one history: which event certainly came before which, how long a
// bound is in ticks, and whether the machine itself can be blamed for a delay.
//
// Sound where: two events of one lane are ordered by their place in it. Events of different lanes
// are ordered only when the stamps are fenced and further apart than the slack that was measured
// between cores. Delays are blamed on the transport only when no evidence says that the machine was
// busy, starved or under pressure meanwhile (a liveness claim); safety claims never ask.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "harness/history/history.h"

namespace ipctorture {

// When a fact began to hold. One that has only an end was seen at that moment.
inline Stamp began(const Evidence& e) { return e.from != 0 ? e.from : e.to; }

// A lane was killed as a fault at some moment of from..to; or was killed, or died, and another did
// something after that.
struct Death {
  unsigned lane = 0;
  Stamp from = 0, to = 0;
};

class Timeline {
 public:
  static constexpr Stamp never = std::numeric_limits<Stamp>::max();

  explicit Timeline(const History& history);

  // May the order of single operations of different lanes be claimed at all?
  bool orders_lanes() const { return serialised_; }
  // `earlier`, in one lane, certainly happened before `later` in another. Where stamps are not
  // fenced the distance must be a millisecond, thousands of times what a store buffer can hide.
  bool before(Stamp earlier, Stamp later) const {
    return later > earlier && later - earlier > slack_;
  }
  Stamp slack() const { return slack_; }
  Stamp ticks(std::uint64_t ms) const {
    return static_cast<Stamp>(static_cast<double>(ms) * 1e6 * ticks_per_ns_);
  }
  double ms(Stamp ticks) const { return static_cast<double>(ticks) / ticks_per_ns_ / 1e6; }
  // The last stamp of all: until then whatever is still open was certainly waiting, unless its
  // lane was ended earlier.
  Stamp end() const { return end_; }
  // When the lane's open operation was cut: its kill or death, else the end.
  Stamp end_of(unsigned lane) const;
  // Empty, or why a delay of about `bound` within from..to may be the machine's fault.
  std::string disturbed(Stamp from, Stamp to, Stamp bound) const;
  // Empty, or the fact by which the harness or a death cut the traffic short.
  std::string cut_short() const;
  // Empty, or why the scenario was not carried through although no worker did anything wrong: it
  // was interrupted, took too long, or lacked a worker.
  std::string broken_off() const;
  // One of the calls that the lane's operation made was made to fail.
  bool short_within(unsigned lane, const Record& operation) const;
  // Those whom others outlived.
  const std::vector<Death>& deaths() const { return deaths_; }
  // The longest part of from..to throughout which the harness held nobody.
  std::pair<Stamp, Stamp> unheld(Stamp from, Stamp to) const;
  // For so long within from..to the harness held this lane.
  Stamp held(unsigned lane, Stamp from, Stamp to) const;
  // Ended by a signal or by itself, rather than by the workload.
  bool killed(unsigned lane) const;

 private:
  const History& history_;
  bool serialised_;
  double ticks_per_ns_;
  Stamp slack_;
  Stamp end_ = 0;
  std::vector<Death> deaths_;
  std::vector<std::vector<std::pair<Stamp, Stamp>>> shortages_;  // [lane], in order
};

}  // namespace ipctorture
