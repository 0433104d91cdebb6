// Does to the workers of one scenario what its Faults say: kills, stops and signals. The director
// calls it whenever it looks; it looks at counters in the lanes and never touches the transport.
//
// Everything is drawn from the scenario's seed: after how many messages, and at which moment: just
// so, inside an operation, inside one while it goes from one to the next (so that it runs and does
// not sleep there), right after an attach, while another is held up in an operation. A
// moment that does not come is not waited for long. Who is to die inside an operation is stopped
// first, and killed if he is inside then; else he goes on, and the next is tried. What the kernel
// makes of it is not repeatable; what happened is in the evidence.
//
// Nobody is killed who could not be spared: of each role somebody stays, or a successor comes. Who
// is on his way out is not killed either, as far as can be seen: whether such a one counts as gone
// in order, nobody could say.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "harness/base/prng.h"
#include "harness/launch/crew.h"
#include "harness/launch/watch.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {

class Nemesis {
 public:
  Nemesis(Crew& crew, Watch& watch, const Scenario& scenario, const std::vector<LanePlan>& plans);
  ~Nemesis();  // lets everybody go
  Nemesis(const Nemesis&) = delete;
  Nemesis& operator=(const Nemesis&) = delete;

  // Everyone has attached: from now on workers are killed and stopped. Signals come before that.
  void begin();
  // Does what is due.
  void act(Instant now);
  // When it wants to be called again.
  Instant next_look(Instant now) const;
  // The traffic is over: what is still planned happens at once, if it can. True when nothing is
  // left, and nobody is on the way to die or to go on.
  bool finish();
  // Some worker is stopped, or about to die: nothing needs to move.
  bool holds() const { return held_.has_value() || !victims_.empty(); }
  // A worker ended, and by us: told as evidence.
  bool claims(const WorkerExit& gone);
  // Stopped workers go on, and nothing more happens.
  void let_go();
  // So many were killed.
  unsigned deaths() const { return deaths_; }

 private:
  enum class Moment { any, inside, busy, attached, others_blocked };
  struct Strike {
    Moment moment = Moment::any;
    std::uint64_t after = 0;  // messages since the one before
  };
  struct Victim {
    unsigned worker = 0;
    Stamp from = 0;
    std::string text;
  };
  struct Held {
    unsigned worker = 0;
    Stamp from = 0;
    Instant until = 0;
    bool going_on = false;  // SIGCONT is on its way
    bool to_die = false;    // if it is inside an operation then, of `lane`
    unsigned lane = 0;
    Moment moment = Moment::inside;
  };
  struct Signalled {
    std::uint64_t count = 0;
    Stamp from = 0, to = 0;
  };

  void plan(Role role, std::uint32_t kills);
  void kill_one(Role role, Instant now);
  void strike_done(Role role, Instant now);
  std::vector<unsigned> candidates(Role role, Moment moment) const;
  bool can_die(const LanePlan& plan) const;
  bool can_still_be_spared(Role role) const;
  bool successor_waits(Role role) const;
  void kill(unsigned lane, Moment moment, std::uint64_t messages);
  void forget_missed();
  void stop_one(Instant now);
  void stop(unsigned worker, Instant until);
  void catch_inside(unsigned lane, Moment moment, Instant now);
  void go_on(Instant now);
  void tell_pause(const Held& held);
  void send_signal(Instant now);
  bool inside(unsigned lane) const;
  bool other_blocked(unsigned lane) const;
  bool lives(const LanePlan& plan) const;
  bool doomed(unsigned worker) const;
  std::uint64_t progress(Role role) const;
  void remember_heads();

  Crew& crew_;
  Watch& watch_;
  const Scenario& scenario_;
  const std::vector<LanePlan>& plans_;
  Prng prng_;
  std::array<std::deque<Strike>, 2> kills_;  // [role]
  std::array<std::uint64_t, 2> since_{};     // progress at the last kill
  std::array<Instant, 2> due_since_{};       // the next one is due, but not its moment; 0: not due
  std::deque<Strike> stops_;
  std::uint64_t stop_since_ = 0;
  std::uint32_t signals_left_ = 0;
  Instant next_signal_ = 0;
  std::vector<Victim> victims_;  // on their way to die
  std::optional<Held> held_;
  std::vector<Signalled> signalled_;  // [lane]
  std::vector<std::uint64_t> heads_;  // [lane] as last seen
  std::vector<bool> gone_;            // [worker]
  bool begun_ = false, rushing_ = false;
  unsigned attempts_ = 0;   // to catch somebody inside an operation
  Instant busy_until_ = 0;  // looks are frequent until then
  unsigned deaths_ = 0, stops_done_ = 0;
};

}  // namespace ipctorture
