#include "harness/schedule/scheduler.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "harness/schedule/arena.h"
#include "harness/schedule/interpose.h"
#include "harness/schedule/scheduler_parts.h"
#include "harness/schedule/strategy.h"

namespace ipctorture::schedule {

Control* control = nullptr;
int current_lane = -1;
Handover handover;
Direction direction;

namespace {

// Whoever could have run meanwhile did not get to: its calls are late for no fault of theirs.
void leap_to(std::int64_t time) {
  Control& c = *control;
  if (time <= c.time) return;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    if ((c.runnable >> lane & 1) != 0) c.lane[lane].starved += time - c.time;
  }
  c.time = time;
  if (!c.weak_memory) return;
  // No store stays out of sight for so long.
  for (unsigned lane = 1; lane < c.lanes; ++lane) {
    c.memory.visible[0].join(c.memory.visible[lane]);
  }
  for (unsigned lane = 1; lane < c.lanes; ++lane) {
    c.memory.visible[lane].join(c.memory.visible[0]);
  }
}

int earliest_deadline() {
  const Control& c = *control;
  int earliest = -1;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    if ((c.timed & bit(static_cast<int>(lane))) == 0) continue;
    if (earliest < 0 || c.lane[lane].deadline < c.lane[earliest].deadline) {
      earliest = static_cast<int>(lane);
    }
  }
  return earliest;
}

void record(Change change, std::uint8_t value) {
  Control& c = *control;
  if (c.taken_count == taken_max) return;
  c.taken[c.taken_count++] = {.step = c.lane[current_lane].steps,
                              .lane = static_cast<std::uint8_t>(current_lane),
                              .change = change,
                              .value = value};
}

// SIGKILL at this very step. Never returns.
[[noreturn]] void kill_here() {
  record(Change::kill, 0);
  control->kill_lane = static_cast<std::uint32_t>(current_lane);
  control->leaves = false;
  control->killed_at = control->time;
  // Whether it came before or after another lane's stamp matters to the checkers.
  control->stamp_order = (control->stamp_order ^ (0x80u | control->kill_lane)) * hash_factor;
  end_schedule(Ending::killed);
}

void switch_to(int lane) {
  Control& c = *control;
  const int from = current_lane;
  c.alone_since = c.step;
  c.current = lane;
  control->stop = next_stop();
  if (lane != from) handover.to_lane(from, lane);
}

void check_expected() {
  Control& c = *control;
  if (c.expected_steps == 0 || c.step >= trace_max) return;
  const Step& saw = c.trace[c.step];
  const Step& recorded = c.expected[c.step];
  const bool same = c.step <= c.expected_steps && recorded.lane == saw.lane &&
                    recorded.point == saw.point && recorded.key == saw.key;
  if (same) return;
  char expected[80] = "the end", seen[80];
  const auto describe = [](const Step& step, char* text, std::size_t bytes) {
    std::snprintf(text, bytes, "lane %u: %s at 0x%x", step.lane, to_string(step.point).data(),
                  step.key);
  };
  if (c.step <= c.expected_steps) describe(recorded, expected, sizeof expected);
  describe(saw, seen, sizeof seen);
  end_schedule(Ending::diverged, "at step %u: expected %s, saw %s", c.step, expected, seen);
}

void check_budget() {
  Control& c = *control;
  if (c.step < c.step_budget) return;
  const std::uint64_t heads = direction.progress();
  if (c.progress_step == 0 || heads != c.progress_heads) {
    // Something was completed: as many steps again, but not for ever.
    const bool long_enough = c.progress_step != 0 && c.step >= trace_max;
    if (long_enough) end_schedule(Ending::budget);
    c.progress_step = c.step;
    c.progress_heads = heads;
    c.step_budget = c.step * 2;
    return;
  }
  end_schedule(Ending::livelock);
}

// The running lane's turn is over for fairness: whoever could run, or (when lanes have long been
// running in vain) whose deadline could pass, is next.
int fair_turn(std::uint16_t others) {
  Control& c = *control;
  c.alone_since = c.step;
  if (others >> 8 != 0 && (others & 255) == 0) return earliest_deadline() + passing;
  if (others >> 8 != 0 && c.progress_step != 0) return earliest_deadline() + passing;
  c.lane[current_lane].priority = --c.lowest_priority;
  return next_in_turn(current_lane);
}

void apply(int chosen) {
  if (chosen >= passing) {
    chosen -= passing;
    make_runnable(chosen, true);
  }
  switch_to(chosen);
}

void record_choice(int chosen) {
  if (chosen >= passing) {
    record(Change::time_out, static_cast<std::uint8_t>(chosen - passing));
  } else {
    record(Change::run, static_cast<std::uint8_t>(chosen));
  }
}

}  // namespace

void think() {
  Control& c = *control;
  check_expected();
  check_budget();
  const std::uint16_t others = others_of(current_lane);
  const int chosen = departure(true, others);
  if (chosen == kill_chosen) kill_here();
  if (chosen >= 0 && chosen != current_lane) {
    record_choice(chosen);
    return apply(chosen);
  }
  if (c.step - c.alone_since >= alone_max && others != 0) return apply(fair_turn(others));
  if (c.step - c.alone_since >= alone_max) c.alone_since = c.step;
  control->stop = next_stop();
}

namespace {

bool all_over() {
  const Control& c = *control;
  return std::all_of(c.lane, c.lane + c.workload_lanes, [](const LaneControl& lane) {
    return lane.waiting == Waiting::finished || lane.waiting == Waiting::dead;
  });
}

// Loopback sockets hand over in the kernel's own time: whoever waits for one looks again a moment
// later, a few times, before nobody is said to be able to run.
bool settle() {
  Control& c = *control;
  constexpr std::uint32_t settles_max = 3;
  constexpr timespec moment{.tv_sec = 0, .tv_nsec = 1'000'000};
  if (c.settles == settles_max) return false;
  bool someone = false;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    const LaneControl& l = c.lane[lane];
    if (l.waiting != Waiting::retry || (l.classes & effect_socket) == 0) continue;
    if (!someone) raw_call(SYS_nanosleep, word(&moment));
    someone = true;
    make_runnable(static_cast<int>(lane), false);
  }
  ++c.settles;
  return someone;
}

// The running lane cannot go on: who is next?
int next_when_blocked() {
  check_expected();
  check_budget();
  const std::uint16_t others = others_of(current_lane);
  const int chosen = departure(false, others);
  if (chosen == kill_chosen) kill_here();
  if (chosen >= passing) {
    record_choice(chosen);
    make_runnable(chosen - passing, true);
    return chosen - passing;
  }
  if (const Ending ending = move_time(); ending != Ending::running) end_schedule(ending);
  const int usual = next_in_turn(current_lane);
  if (chosen < 0 || chosen == usual) return usual;
  record_choice(chosen);
  return chosen;
}

bool wait(Waiting how, Point in, std::uint64_t key, std::uint32_t classes, std::int64_t deadline,
          const void* pc) {
  Control& c = *control;
  const int self = current_lane;
  LaneControl& me = c.lane[self];
  me.waiting = how;
  me.waits_in = in;
  me.key = key;
  me.classes = classes;
  me.deadline = deadline;
  me.waiting_since = c.time;
  me.waits_at = pc;
  me.timed_out = false;
  c.runnable &= ~bit(self);
  if (deadline != 0) c.timed |= bit(self);
  take_step(in, static_cast<std::uint32_t>(key), others_of(self), pc);
  if (how == Waiting::order) {
    direction.rested();
    if (me.waiting == Waiting::none) return true;  // told to go on, or the schedule begins here
  }
  switch_to(next_when_blocked());
  return !me.timed_out;
}

}  // namespace

void make_runnable(int lane, bool timed_out) {
  Control& c = *control;
  LaneControl& l = c.lane[lane];
  if (timed_out) {
    // Time does not pass one deadline without those before it.
    for (int first = earliest_deadline(); c.lane[first].deadline < l.deadline;) {
      make_runnable(first, true);
      first = earliest_deadline();
    }
    leap_to(l.deadline);
    const bool in_call = l.waits_in != Point::sleep && l.waits_in != Point::order;
    if (in_call && c.time - l.waiting_since >= long_sleep_ns && c.sleep_count < sleeps_max) {
      c.sleeps[c.sleep_count++] = {static_cast<std::uint8_t>(lane), l.waiting_since, c.time};
    }
  }
  l.waiting = Waiting::none;
  l.timed_out = timed_out;
  c.runnable |= bit(lane);
  c.timed &= ~bit(lane);
  if (c.source == Source::pct) c.stop = 0;
}

int next_in_turn(int after) {
  const Control& c = *control;
  for (unsigned i = 1; i <= c.lanes; ++i) {
    const int lane = static_cast<int>((static_cast<unsigned>(after) + i) % c.lanes);
    if ((c.runnable & bit(lane)) != 0) return lane;
  }
  return -1;
}

Ending move_time() {
  Control& c = *control;
  while (c.runnable == 0) {
    if (all_over()) return Ending::complete;
    if (const int lane = earliest_deadline(); lane >= 0) {
      make_runnable(lane, true);
    } else if (!direction.nobody_runs() && !settle()) {
      return Ending::deadlock;
    }
  }
  return Ending::running;
}

bool wait_for_key(Point in, std::uint64_t key, std::int64_t deadline, const void* pc) {
  return wait(Waiting::key, in, key, 0, deadline, pc);
}

bool wait_to_retry(Point in, std::uint32_t classes, std::uint64_t what, std::int64_t deadline,
                   const void* pc) {
  return wait(Waiting::retry, in, what, classes, deadline, pc);
}

void wait_for_order() { wait(Waiting::order, Point::order, 0, 0, 0, nullptr); }

void sleep_until(std::int64_t deadline, const void* pc) {
  wait(Waiting::retry, Point::sleep, 0, 0, std::max<std::int64_t>(deadline, 1), pc);
}

unsigned wake(std::uint64_t key, unsigned most, const void* pc) {
  Control& c = *control;
  unsigned woken = 0;
  while (woken < most) {
    int waiters[lanes_max];
    unsigned count = 0;
    for (unsigned lane = 0; lane < c.lanes; ++lane) {
      const LaneControl& l = c.lane[lane];
      if (l.waiting != Waiting::key || l.key != key) continue;
      // Who has waited longest comes first.
      unsigned place = count++;
      for (; place > 0 && c.lane[waiters[place - 1]].waiting_since > l.waiting_since; --place) {
        waiters[place] = waiters[place - 1];
      }
      waiters[place] = static_cast<int>(lane);
    }
    if (count == 0) break;
    const unsigned which = count > most - woken ? ask(Question::waiter, count, pc) : 0;
    make_runnable(waiters[which], false);
    ++woken;
  }
  return woken;
}

void effect(std::uint32_t classes) {
  Control& c = *control;
  for (unsigned lane = 0; lane < c.lanes; ++lane) {
    const LaneControl& l = c.lane[lane];
    if (l.waiting == Waiting::retry && (l.classes & classes) != 0) {
      make_runnable(static_cast<int>(lane), false);
    }
  }
}

unsigned ask(Question question, unsigned answers, const void* pc) {
  Control& c = *control;
  if (answers < 2 || (!c.questions && question < Question::stale && question != Question::waiter))
    return 0;
  take_step(Point::choice, static_cast<std::uint32_t>(question),
            static_cast<std::uint16_t>(answers), pc);
  check_expected();
  const unsigned answer = answer_to(question, answers);
  control->stop = next_stop();
  if (answer != 0) record(Change::answer, static_cast<std::uint8_t>(answer));
  return answer;
}

int shortage(Point at, PossibleErrors errors, const void* pc) {
  Control& c = *control;
  if (!c.shortages || errors.count() == 0 || c.shortage_count == shortages_max) return 0;
  const unsigned answer = ask(Question::shortage, errors.count() + 1, pc);
  if (answer == 0) return 0;
  const int error = errors.error[answer - 1];
  note_value(static_cast<std::uint64_t>(error));
  c.shortage[c.shortage_count++] = {
      .lane = static_cast<std::uint8_t>(current_lane), .at = at, .error = error, .time = c.time};
  return error;
}

void pause_when_ready() {
  control->ending = Ending::ready;
  handover.to_session();
}

void yield(const void* pc) {
  point(Point::yield, 0, pc);
  const std::uint32_t lanes = others_of(current_lane) & 255u;
  if (lanes == 0 || control->alone_since == control->step) return;
  apply(fair_turn(static_cast<std::uint16_t>(lanes)));
}

void end_schedule(Ending ending) {
  control->ending = ending;
  handover.to_session();
  __builtin_unreachable();
}

void end_schedule(Ending ending, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(control->said, sizeof control->said, format, arguments);
  va_end(arguments);
  end_schedule(ending);
}

void lane_finished() {
  Control& c = *control;
  take_step(Point::end, 0, others_of(current_lane), nullptr);
  LaneControl& me = c.lane[current_lane];
  me.waiting = Waiting::finished;
  c.runnable &= ~bit(current_lane);
  c.resting &= ~bit(current_lane);
  if (is_auxiliary(current_lane)) {
    wake(end_key(current_lane), lanes_max, nullptr);
  } else {
    direction.rested();
    effect(effect_any);
    if (c.lanes > c.workload_lanes) {
      if (all_over()) check_expected();
      if (all_over()) end_schedule(Ending::complete);
      end_threads(static_cast<unsigned>(current_lane));
    }
  }
  switch_to(next_when_blocked());
}

}  // namespace ipctorture::schedule
