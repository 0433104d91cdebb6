// Which schedules of a session are run, in which order, and what that covered.
//
//  - exhaust: every schedule that departs from the default at most so many times (preemptions,
//  other
//    choices of who is next, deadlines that pass early, answers to questions). For two lanes that
//    is the preemption bound of CHESS (Musuvathi and Qadeer, PLDI 2007); for more, where the
//    default choice among several runnable lanes is a choice too, it is the delay bound of Emmi,
//    Qadeer and Rakamaric (POPL 2011).
//  - wander: random walks with several rates of switching, and PCT.
//  - kill_everywhere: a lane's process is killed at each step of the default schedule, one by one.
//
// Plain accesses are not departed from while races are looked for: if no schedule has a race,
// nobody can tell in which order they happened (the argument of CHESS, section 3). Neither are the
// steps after a store and fences: the lane's next step is the same place.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <unordered_set>

#include "harness/base/clock.h"
#include "harness/schedule/session.h"

namespace ipctorture::schedule {

struct SearchLimits {
  Instant until = INT64_MAX;
  std::uint64_t schedules = UINT64_MAX;
  const std::atomic<bool>* stop = nullptr;
  unsigned shard = 0, shards = 1;  // of an exhaustive search: by its first departure
};

struct Coverage {
  std::uint64_t schedules = 0;
  std::uint64_t points = 0;
  std::uint64_t kill_points = 0;      // tried
  std::uint64_t over_budget = 0;      // schedules cut because they went on too long
  std::uint64_t shared_accesses = 0;  // instrumented, of shared memory
};

enum class SearchEnd : std::uint8_t { exhausted, out_of_budget, stopped };

class Search {
 public:
  // Called after each schedule; true: stop the search, this is it.
  using Judge = std::function<bool(Session&, Ending, const Plan&)>;

  Search(Session& session, const SearchLimits& limits, Judge judge, Coverage& coverage)
      : session_(session), limits_(limits), judge_(std::move(judge)), coverage_(coverage) {}

  SearchEnd once(const Plan& plan);
  SearchEnd exhaust(unsigned bound, const Plan& base);
  // `rounds` schedules; round k of a seed is always the same.
  SearchEnd wander(std::uint64_t seed, std::uint64_t first, std::uint64_t rounds, const Plan& base);
  // Of the lanes whose bit is set: each is killed at each of its steps, first in the default
  // schedule, then in `walks` random ones.
  SearchEnd kill_everywhere(std::uint32_t lanes, const Plan& base, unsigned walks);

 private:
  struct Branch {
    std::uint32_t step = 0;
    Change change = Change::run;
    std::uint8_t value = 0;
  };
  // False: the search is over, and end_ says why.
  bool run(const Plan& plan);
  bool descend(Plan& plan, unsigned left);
  bool kill_within(std::uint32_t lanes, const Plan& base, const Departures& way);
  std::vector<std::uint32_t> places_of(unsigned lane) const;
  std::vector<Branch> branches_after(std::uint32_t step, const Plan& plan) const;

  Session& session_;
  const SearchLimits limits_;
  const Judge judge_;
  Coverage& coverage_;
  SearchEnd end_ = SearchEnd::exhausted;
  std::uint64_t since_look_ = 0;
};

}  // namespace ipctorture::schedule
