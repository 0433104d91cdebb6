// Leads the workers of one scenario through its stages, and ends them when they hang:
//
//   ready -> [fill] -> traffic, with [late joiners] and [gaps] -> everything received
//         -> [a mark for each consumer] -> [hand-off to each alone] -> close -> done
//
// A soak (soak.h) goes from the marks back to traffic, with the round judged in between.
//
// The nemesis (nemesis.h) kills and stops workers until the traffic is over. A death that it caused
// ends nothing: a successor is let in, if one is left. From then on nobody can count what is still
// on its way, since messages may have gone with the dead: everything was received when nothing
// moved for a while.
//
// It talks to a lane through orders in the lane's header and looks at counters there; it never
// touches the transport. Stages in brackets depend on scenario and contract.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "harness/launch/crew.h"
#include "harness/launch/nemesis.h"
#include "harness/launch/soak.h"
#include "harness/launch/watch.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {

class Director {
 public:
  Director(Crew& crew, Watch& watch, const Scenario& scenario, const Contract& contract,
           const std::atomic<bool>* interrupted);

  // Before lead(). `end_round` is called with each round that is not the last, while all workers
  // rest; false: no further round. Each lane has room for `lane_room` records.
  void soak(const Soak& soak, std::uint64_t lane_room, std::function<bool(const Round&)> end_round);
  const Round& round() const { return round_; }

  // From started workers to none left in an operation. `all_attached` is called once, when every
  // worker that attaches at the start has (or has failed): the creator lets go of its handles.
  void lead(const std::function<void()>& all_attached);

 private:
  using Condition = std::function<bool()>;
  // Pumps until the condition holds (true) or the scenario is over (false: over_ is set).
  bool await(const Condition& condition);
  void pump(Instant until);
  void collect(Instant now);
  void let_successor_in(unsigned worker);
  bool check_liveness(Instant now);
  void give_up(Fact fact, std::uint64_t value, const std::string& text);
  void describe_hanging_lanes();
  void note_report(unsigned worker, const std::string& output);  // of a sanitizer, if there is one
  int first_lane(unsigned worker) const;                         // -1: none
  void end_everyone();

  bool attach();
  bool fill();
  bool traffic();
  bool gap();
  bool settle();
  bool send_marks();
  bool hand_off();
  bool close();
  bool rounds();
  void begin_round();
  void rouse_consumers();
  void clear_journal(unsigned lane);
  std::uint64_t next_messages() const;

  void order(unsigned lane, Order order, unsigned argument = 0);
  // Gives an order and waits until the lane took it and waits for the next one.
  bool order_and_await(unsigned lane, Order order, unsigned argument);
  bool obeyed(unsigned lane) const;  // has taken the last order
  bool waits(unsigned lane) const;   // for an order, having taken the last one
  bool ended(unsigned lane) const;   // done, failed or its worker gone
  bool everything_received();
  std::uint64_t accepted() const;
  std::uint64_t received() const;
  std::uint64_t heads() const;
  bool start_late_ones(bool now);
  // True when nobody comes after the dead any more, and nothing is planned.
  bool faults_are_over();
  bool has_room_for_producer();
  bool away(unsigned lane) const;  // late, and not asked in yet
  bool is_successor(const LanePlan& plan) const {
    return plan.late && scenario_.late_are_successors(plan.role);
  }
  bool any_failed() const;
  unsigned consumers_left() const;
  int sender() const;  // a producer lane that waits for orders; -1: none is left
  bool all_producers(const std::function<bool(unsigned)>& predicate) const;

  Crew& crew_;
  Watch& watch_;
  const Scenario& scenario_;
  const Contract& contract_;
  const std::atomic<bool>* interrupted_;
  std::vector<LanePlan> plans_;
  std::vector<unsigned> identity_;  // [lane] the index it attached with
  std::vector<bool> worker_gone_;
  std::vector<std::uint32_t> serial_;  // of the last order, per lane
  Nemesis nemesis_;
  bool died_leaving_ = false;  // a producer: does it count as gone in order?
  bool late_started_ = false;
  bool over_ = false;
  // Liveness: when the counters, and the journals, last moved.
  std::uint64_t counted_ = 0, seen_heads_ = 0;
  Instant counted_at_ = 0, heads_at_ = 0, began_ = 0, gave_up_at_ = 0;
  bool quiet_is_planned_ = false;  // a gap: nothing needs to move
  // Of a soak.
  const Soak* soak_ = nullptr;
  std::function<bool(const Round&)> end_round_;
  std::uint64_t lane_room_ = 0;
  Round round_;
  bool marked_ = false;  // every consumer has taken its mark and rests
};

}  // namespace ipctorture
