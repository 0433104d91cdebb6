#include "harness/schedule/strategy.h"

#include <algorithm>

#include "harness/base/prng.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

// A random source lets a deadline pass, or answers a question otherwise, once in so many times.
constexpr std::uint64_t rare_one_in = 8;
constexpr std::uint64_t answer_one_in = 4;
constexpr std::uint64_t short_one_in = 12;
constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;

constexpr std::uint32_t bit(int lane) { return 1u << static_cast<unsigned>(lane); }

std::uint64_t draw(std::uint64_t bound) {
  control->random = mix64(control->random + golden);
  return bound < 2 ? 0 : control->random % bound;
}

int nth_bit(std::uint32_t mask, std::uint64_t n) {
  for (; n > 0; --n) mask &= mask - 1;
  return __builtin_ctz(mask);
}

int random_other(std::uint32_t lanes, std::uint32_t deadlines) {
  if (deadlines != 0 && (lanes == 0 || draw(rare_one_in) == 0)) {
    return nth_bit(deadlines, draw(static_cast<unsigned>(__builtin_popcount(deadlines)))) + passing;
  }
  if (lanes == 0) return -1;
  return nth_bit(lanes, draw(static_cast<unsigned>(__builtin_popcount(lanes))));
}

std::uint32_t walk_distance() {
  // Geometric, by its mean: the sum of two uniform draws is near enough and needs no logarithm.
  const std::uint64_t span = control->walk_one_in;
  return 1 + static_cast<std::uint32_t>((draw(2 * span) + draw(2 * span)) / 2);
}

int by_walk(bool may_go_on, std::uint16_t others) {
  Control& c = *control;
  if (may_go_on && c.step < c.next_walk) return -1;
  c.next_walk = c.step + walk_distance();
  return random_other(others & 255u, others >> 8u);
}

int by_priority(bool may_go_on, std::uint16_t others) {
  Control& c = *control;
  for (std::uint32_t i = 0; i < c.priority_changes; ++i) {
    if (c.priority_change_at[i] != c.step) continue;
    c.lane[current_lane].priority = -static_cast<std::int64_t>(i) - 1;
    if (others >> 8 != 0 && draw(2) == 0) return random_other(0, others >> 8u);
  }
  int best = may_go_on ? current_lane : -1;
  for (int lane = 0; lane < static_cast<int>(c.lanes); ++lane) {
    if ((others & bit(lane)) == 0) continue;
    if (best < 0 || c.lane[lane].priority > c.lane[best].priority) best = lane;
  }
  return best == current_lane ? -1 : best;
}

const Departure* keyed_here() {
  Control& c = *control;
  const auto lane = static_cast<std::uint8_t>(current_lane);
  const std::uint32_t step = c.lane[lane].steps;
  const Departure* end = c.keyed + c.keyed_count;
  const Departure* found = std::partition_point(
      static_cast<const Departure*>(c.keyed), end,
      [&](const Departure& d) { return d.lane != lane ? d.lane < lane : d.step < step; });
  return found != end && found->lane == lane && found->step == step ? found : nullptr;
}

const GlobalDeparture* listed_here() {
  Control& c = *control;
  while (c.next_listed < c.listed_count && c.listed[c.next_listed].step < c.step) ++c.next_listed;
  if (c.next_listed == c.listed_count || c.listed[c.next_listed].step != c.step) return nullptr;
  return &c.listed[c.next_listed++];
}

int from_change(Change change, std::uint8_t value, std::uint16_t others) {
  const int lane = value;
  if (change == Change::kill && control->can_kill) return kill_chosen;
  if (change == Change::run && (others & bit(lane)) != 0) return lane;
  if (change == Change::time_out && (others >> 8 & bit(lane)) != 0) return lane + passing;
  return -1;
}

}  // namespace

void begin_strategy() {
  if (control->source == Source::walk) control->next_walk = walk_distance();
}

int departure(bool may_go_on, std::uint16_t others) {
  switch (control->source) {
    case Source::listed:
      if (const GlobalDeparture* d = listed_here()) return from_change(d->change, d->value, others);
      return -1;
    case Source::keyed:
      if (const Departure* d = keyed_here()) return from_change(d->change, d->value, others);
      return -1;
    case Source::walk:
      return by_walk(may_go_on, others);
    case Source::pct:
      return by_priority(may_go_on, others);
  }
  return -1;
}

std::uint32_t next_stop() {
  Control& c = *control;
  std::uint32_t stop = std::min(c.alone_since + alone_max, c.step_budget);
  switch (c.source) {
    case Source::listed:
      if (c.next_listed < c.listed_count) stop = std::min(stop, c.listed[c.next_listed].step);
      break;
    case Source::keyed:
      stop = c.keyed_count + c.expected_steps > 0 ? c.step + 1 : stop;
      break;
    case Source::walk:
      stop = std::min(stop, c.next_walk);
      break;
    case Source::pct:
      for (std::uint32_t i = 0; i < c.priority_changes; ++i) {
        if (c.priority_change_at[i] > c.step) stop = std::min(stop, c.priority_change_at[i]);
      }
      break;
  }
  return std::max(stop, c.step + 1);
}

unsigned answer_to(Question question, unsigned answers) {
  switch (control->source) {
    case Source::listed:
      if (const GlobalDeparture* d = listed_here(); d != nullptr && d->change == Change::answer) {
        return d->value % answers;
      }
      return 0;
    case Source::keyed:
      if (const Departure* d = keyed_here(); d != nullptr && d->change == Change::answer) {
        return d->value % answers;
      }
      return 0;
    case Source::walk:
    case Source::pct:
      if (question >= Question::shortage && draw(short_one_in) != 0) return 0;
      if (question < Question::shortage && question != Question::waiter &&
          draw(answer_one_in) != 0) {
        return 0;
      }
      return static_cast<unsigned>(draw(answers));
  }
  return 0;
}

}  // namespace ipctorture::schedule
