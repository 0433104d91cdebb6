#include "stress/explore/interleaving.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "harness/report/table.h"
#include "stress/explore/source_lines.h"

namespace ipctorture {
namespace {

using schedule::Change;
using schedule::Departure;
using schedule::Point;

constexpr std::size_t rows_max = 400;

bool is_quiet(Point point) {
  return point == Point::read || point == Point::write || point == Point::copy ||
         point == Point::after_store;
}

std::string described(const ToldStep& told) {
  const schedule::Step& step = told.step;
  const std::string name(to_string(step.point));
  switch (step.point) {
    case Point::atomic_load:
    case Point::atomic_store:
    case Point::atomic_update:
      return fmt::format("{} +{:#x} = {:#x}", name, step.key, told.value);
    case Point::futex_wait:
    case Point::futex_wake:
    case Point::read:
    case Point::write:
    case Point::copy:
    case Point::mutex_lock:
    case Point::mutex_unlock:
      return fmt::format("{} +{:#x}", name, step.key);
    case Point::choice:
      if (static_cast<schedule::Question>(step.key) == schedule::Question::shortage &&
          told.value != 0) {
        return fmt::format("made to fail: {}", ::strerrorname_np(static_cast<int>(told.value)));
      }
      return fmt::format("asked: {}", to_string(static_cast<schedule::Question>(step.key)));
    case Point::read_call:
    case Point::write_call:
      return fmt::format("{} fd {} = {}", name, step.key, static_cast<std::int64_t>(told.value));
    default:
      return name;
  }
}

std::string in_words(const Departure& d, const std::vector<std::string>& names) {
  const auto name = [&](unsigned lane) {
    return lane < names.size() ? names[lane] : fmt::format("lane {}", lane);
  };
  switch (d.change) {
    case Change::run:
      return fmt::format("-> {} goes on", name(d.value));
    case Change::time_out:
      return fmt::format("-> the deadline of {} passes", name(d.value));
    case Change::answer:
      return fmt::format("-> answer {}", d.value);
    case Change::kill:
      return fmt::format("-> {} is killed", name(d.lane));
  }
  return {};
}

class Interleaving {
 public:
  explicit Interleaving(const ExploreFailure& failure) : failure_(failure) {
    for (const LaneHistory& lane : failure.history.lanes) names_.push_back(lane.name());
    for (std::size_t lane = names_.size(); lane < failure.lanes.size(); ++lane) {
      names_.push_back(failure.lanes[lane]);
    }
    std::vector<const void*> addresses;
    for (const ToldStep& told : failure.told) addresses.push_back(told.pc);
    places_ = source_lines(addresses);
  }

  std::string text(std::size_t width) {
    std::vector<Column> columns{{.title = "step", .align = Align::right, .importance = 9}};
    for (const std::string& name : names_) columns.push_back({.title = name, .importance = 8});
    columns.push_back({.title = "source", .importance = 7});
    Table table(std::move(columns));
    std::vector<std::uint32_t> steps(names_.size());
    std::size_t rows = 0;
    for (std::size_t i = 0; i < failure_.told.size(); ++i) {
      const ToldStep& told = failure_.told[i];
      const unsigned lane = told.step.lane;
      if (lane >= names_.size()) continue;
      ++steps[lane];
      const Departure* departs = departure_at(lane, steps[lane]);
      const bool turns = i + 1 < failure_.told.size() && failure_.told[i + 1].step.lane != lane;
      if (is_quiet(told.step.point) && departs == nullptr && !turns) {
        ++left_out_;
        continue;
      }
      if (++rows > rows_max) continue;
      const std::size_t again = departs == nullptr ? repeats(i, steps[lane]) : 0;
      const std::string times = again > 0 ? fmt::format(" ({} times)", again + 1) : "";
      add(table, i + 1, lane, described(told) + times, place_of(told));
      steps[lane] += static_cast<std::uint32_t>(again);
      i += again;
      if (departs != nullptr) add(table, 0, lane, in_words(*departs, names_), "");
    }
    std::string text = table.text(width);
    if (rows > rows_max) text += fmt::format("  ... and {} rows more\n", rows - rows_max);
    if (left_out_ > 0) {
      text += fmt::format("  ({} plain accesses between are left out)\n", left_out_);
    }
    for (const std::string& line : failure_.waiting) text += "  at the end " + named(line) + "\n";
    return text;
  }

 private:
  const Departure* departure_at(unsigned lane, std::uint32_t step) const {
    for (const Departure& d : failure_.departures) {
      if (d.lane == lane && d.step == step) return &d;
    }
    return nullptr;
  }

  // How many steps after `from`, its lane's step number `step`, say the same once more.
  std::size_t repeats(std::size_t from, std::uint32_t step) const {
    const ToldStep& first = failure_.told[from];
    std::size_t count = 0;
    for (std::size_t i = from + 1; i < failure_.told.size(); ++i, ++count) {
      const ToldStep& next = failure_.told[i];
      const bool same = next.step.lane == first.step.lane && next.pc == first.pc &&
                        described(next) == described(first);
      if (!same || departure_at(first.step.lane, ++step) != nullptr) break;
    }
    return count;
  }

  std::string place_of(const ToldStep& told) const {
    const auto found = places_.find(told.pc);
    return found == places_.end() ? std::string() : found->second;
  }

  void add(Table& table, std::size_t step, unsigned lane, std::string what, std::string place) {
    std::vector<std::string> cells(names_.size() + 2);
    if (step > 0) cells[0] = std::to_string(step);
    cells[1 + lane] = std::move(what);
    cells.back() = std::move(place);
    table.add(std::move(cells));
  }

  // "lane 1 waits ..." with the lane's name.
  std::string named(const std::string& line) const {
    for (std::size_t lane = 0; lane < names_.size(); ++lane) {
      const std::string prefix = fmt::format("lane {} ", lane);
      if (line.starts_with(prefix)) return names_[lane] + " " + line.substr(prefix.size());
    }
    return line;
  }

  const ExploreFailure& failure_;
  std::vector<std::string> names_;
  std::map<const void*, std::string> places_;
  std::size_t left_out_ = 0;
};

}  // namespace

std::string interleaving(const ExploreFailure& failure, std::size_t width) {
  return Interleaving(failure).text(width);
}

}  // namespace ipctorture
