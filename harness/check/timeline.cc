#include "harness/check/timeline.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture {
namespace {

constexpr double unfenced_slack_ns = 1e6;

// Did another lane begin something after that?
bool outlived(const History& history, int lane, Stamp death) {
  for (std::size_t other = 0; other < history.lanes.size(); ++other) {
    const auto records = history.lanes[other].records;
    if (static_cast<int>(other) != lane && !records.empty() && records.back().invoked > death) {
      return true;
    }
  }
  return false;
}

bool overlaps(const Evidence& e, Stamp from, Stamp to) {
  const bool whole_run = e.from == 0 && e.to == 0;
  return whole_run || (e.from <= to && e.to >= from);
}

}  // namespace

Timeline::Timeline(const History& history)
    : history_(history),
      serialised_(history.serialised),
      ticks_per_ns_(history.stamps.ticks_per_ns),
      slack_(history.stamps.slack_ticks) {
  if (!serialised_) {
    slack_ = std::max(slack_, static_cast<Stamp>(unfenced_slack_ns * ticks_per_ns_));
  }
  for (const LaneHistory& lane : history.lanes) {
    if (!lane.records.empty()) {
      end_ = std::max({end_, lane.records.back().invoked, lane.records.back().returned});
    }
  }
  for (const Evidence& e : history.evidence) {
    end_ = std::max(end_, e.to);
    if (e.fact == Fact::shortage && e.lane >= 0) {
      const auto lane = static_cast<std::size_t>(e.lane);
      if (lane >= shortages_.size()) shortages_.resize(lane + 1);
      shortages_[lane].emplace_back(e.from, e.to);
    }
    const bool death = (e.fact == Fact::killed || e.fact == Fact::died) && e.lane >= 0;
    const bool injected = e.fact == Fact::killed && e.value == killed_as_fault;
    if (death && (injected || outlived(history, e.lane, e.to))) {
      deaths_.push_back({static_cast<unsigned>(e.lane), began(e), e.to});
    }
  }
  for (auto& of_lane : shortages_) std::sort(of_lane.begin(), of_lane.end());
}

Stamp Timeline::end_of(unsigned lane) const {
  Stamp end = end_;
  for (const Evidence& e : history_.evidence) {
    const bool ended = e.fact == Fact::killed || e.fact == Fact::died;
    if (ended && e.lane == static_cast<int>(lane) && e.to != 0) end = std::min(end, began(e));
  }
  return end;
}

bool Timeline::short_within(unsigned lane, const Record& operation) const {
  if (lane >= shortages_.size()) return false;
  const auto& all = shortages_[lane];
  const Stamp last = operation.open() ? never : operation.returned;
  const auto first =
      std::lower_bound(all.begin(), all.end(), std::pair{operation.invoked, Stamp{0}});
  return std::any_of(first,
                     std::find_if(first, all.end(), [&](const auto& s) { return s.first > last; }),
                     [&](const auto& s) { return s.second <= last; });
}

std::pair<Stamp, Stamp> Timeline::unheld(Stamp from, Stamp to) const {
  std::vector<std::pair<Stamp, Stamp>> held;
  for (const Evidence& e : history_.evidence) {
    if (e.fact == Fact::paused && e.to > from && e.from < to) held.emplace_back(e.from, e.to);
  }
  std::sort(held.begin(), held.end());
  held.emplace_back(to, to);
  std::pair<Stamp, Stamp> longest{from, from};
  for (const auto& [begin, end] : held) {
    if (begin > from && begin - from > longest.second - longest.first) longest = {from, begin};
    from = std::max(from, end);
  }
  return longest;
}

Stamp Timeline::held(unsigned lane, Stamp from, Stamp to) const {
  Stamp ticks = 0;
  for (const Evidence& e : history_.evidence) {
    if (e.fact != Fact::paused || e.lane != static_cast<int>(lane)) continue;
    const Stamp begin = std::max(e.from, from), end = std::min(e.to, to);
    ticks += end > begin ? end - begin : 0;
  }
  return ticks;
}

bool Timeline::killed(unsigned lane) const {
  return std::any_of(history_.evidence.begin(), history_.evidence.end(), [lane](const Evidence& e) {
    return (e.fact == Fact::killed || e.fact == Fact::died) && e.lane == static_cast<int>(lane);
  });
}

std::string Timeline::disturbed(Stamp from, Stamp to, Stamp bound) const {
  std::uint64_t not_run_ns = 0;
  std::string by;
  for (const Evidence& e : history_.evidence) {
    if (!overlaps(e, from, to)) continue;
    if (e.fact == Fact::starved || e.fact == Fact::machine_stalled) not_run_ns += e.value;
    if (e.fact == Fact::machine_stalled && !e.text.empty()) by = ": " + e.text;
    if (e.fact == Fact::loaded) {
      return fmt::format("others used {} per mille of the machine", e.value);
    }
    if (e.fact == Fact::pressure) return fmt::format("the machine was under pressure: {}", e.text);
  }
  // A few scheduling delays explain a few milliseconds, not the bound.
  const double bound_ns = static_cast<double>(bound) / ticks_per_ns_;
  if (static_cast<double>(not_run_ns) * 4 > bound_ns && not_run_ns > 0) {
    return fmt::format("workers or the supervisor were kept from running for {:.0f} ms{}",
                       static_cast<double>(not_run_ns) / 1e6, by);
  }
  return {};
}

std::string Timeline::cut_short() const {
  for (const Evidence& e : history_.evidence) {
    switch (e.fact) {
      case Fact::killed:
      case Fact::died: {
        const std::string who = e.lane < 0 ? std::string("a worker")
                                           : history_.lanes[static_cast<unsigned>(e.lane)].name();
        return fmt::format("{} {}", who,
                           e.fact == Fact::killed ? "was ended by the harness" : "died");
      }
      default:
        break;
    }
  }
  return broken_off();
}

std::string Timeline::broken_off() const {
  for (const Evidence& e : history_.evidence) {
    const std::string why = e.text.empty() ? "" : ": " + e.text;
    if (e.fact == Fact::interrupted) return "the run was interrupted" + why;
    if (e.fact == Fact::truncated) return "the harness ended the traffic early" + why;
    if (e.fact == Fact::not_started) {
      const std::string who = e.lane < 0 ? std::string("a worker")
                                         : history_.lanes[static_cast<unsigned>(e.lane)].name();
      return fmt::format("{} could not be started{}", who, why);
    }
  }
  return {};
}

}  // namespace ipctorture
