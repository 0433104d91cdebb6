// Names of lanes and facts, and the test of form that every history passes before it is judged.
//
// The checkers index arrays by what a history says, so whatever they rely upon is refused here:
// this is the border between outside data and trusted values. One pass, no allocation while nothing
// is wrong. What a *received* message says is no fault of form: a transport may hand out anything.
#include "harness/history/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace ipctorture {
namespace {

constexpr std::size_t faults_max = 16;  // sentences; the first ones tell
constexpr unsigned channels_max = 4;    // two bits of Record::what
constexpr int producers_max = 256;      // MessageId::producer
constexpr unsigned outcomes = outcome_count;

int index_on(const std::vector<int>& roles, unsigned channel) {
  return channel < roles.size() ? roles[channel] : -1;
}

class FormCheck {
 public:
  explicit FormCheck(const History& history) : history_(history) {}

  std::vector<std::string> run() {
    if (history_.channels < 1 || history_.channels > channels_max) {
      fault(fmt::format("{} channels, must be 1 to {}", history_.channels, channels_max));
      return std::move(faults_);
    }
    if (!(history_.stamps.ticks_per_ns > 0) || history_.stamps.ticks_per_ns > 1e6) {
      fault("stamps: ticks_per_ns must be above 0");
    }
    roles();
    for (unsigned lane = 0; lane < history_.lanes.size(); ++lane) records(lane);
    evidence();
    return std::move(faults_);
  }

 private:
  void fault(std::string what) {
    if (faults_.size() < faults_max) faults_.push_back(std::move(what));
  }
  void fault(unsigned lane, std::size_t record, std::string_view what) {
    fault(fmt::format("lane {} ({}), record {}: {}", lane, history_.lanes[lane].name(), record,
                      what));
  }

  // Each index of a role on a channel belongs to one lane, and is a number that a message can
  // carry.
  void roles() {
    for (unsigned channel = 0; channel < history_.channels; ++channel) {
      for (const auto roles : {&LaneHistory::producer_on, &LaneHistory::consumer_on}) {
        std::array<bool, producers_max> seen{};
        for (const LaneHistory& lane : history_.lanes) {
          const int index = index_on(lane.*roles, channel);
          if (index == -1) continue;
          if (index < 0 || index >= producers_max ||
              std::exchange(seen[static_cast<unsigned>(index)], true)) {
            fault(fmt::format("index {} on channel {} is out of range or taken twice", index,
                              channel));
          }
        }
      }
    }
  }

  void records(unsigned index) {
    const LaneHistory& lane = history_.lanes[index];
    if (lane.records.size() > std::numeric_limits<std::uint32_t>::max()) {
      return fault(fmt::format("lane {}: {} records are too many", index, lane.records.size()));
    }
    std::array<int, channels_max> producer{}, consumer{};
    for (unsigned channel = 0; channel < channels_max; ++channel) {
      const bool exists = channel < history_.channels;
      producer[channel] = exists ? index_on(lane.producer_on, channel) : -1;
      consumer[channel] = exists ? index_on(lane.consumer_on, channel) : -1;
    }
    Stamp last = 0;
    const std::size_t count = lane.records.size();
    for (std::size_t i = 0; i < count; ++i) {
      const Record& r = lane.records[i];
      const char* const wrong = fault_of(r, last, i + 1 == count, producer, consumer);
      if (wrong != nullptr) [[unlikely]] {
        fault(index, i, wrong);
        if (faults_.size() == faults_max) return;
      }
      last = r.returned;
    }
  }

  // Null when the record is well formed. `last` is when the lane's previous record returned.
  const char* fault_of(const Record& r, Stamp last, bool is_last,
                       const std::array<int, channels_max>& producer,
                       const std::array<int, channels_max>& consumer) const {
    const auto op = static_cast<unsigned>(r.what & 15);
    if (op == 0 || op >= op_count) return "unknown operation";
    if (r.outcome >= outcomes) return "unknown outcome";
    if (r.what >> 6 == 3) return "unknown deadline mode";
    if (r.channel() >= history_.channels) return "unknown channel";
    if (r.invoked < last) return "stamps run backwards";
    if (r.open()) {
      if (!is_last) return "open, but not the last of its lane";
      if (r.result() != Outcome::unknown) return "open, but with an outcome";
    } else if (r.returned < r.invoked) {
      return "returned before it was invoked";
    }
    if (r.op() == Op::send) {
      if (producer[r.channel()] < 0) return "a send by a lane that is no producer there";
      if (r.message >> 56 != static_cast<unsigned>(producer[r.channel()])) {
        return "sent in the name of another producer";
      }
    } else if (r.op() == Op::receive) {
      if (consumer[r.channel()] < 0) return "a receive by a lane that is no consumer there";
      if (r.result() == Outcome::ok && (r.detail & 255) > 2) return "unknown content";
    }
    return nullptr;
  }

  void evidence() {
    for (std::size_t i = 0; i < history_.evidence.size(); ++i) {
      const Evidence& e = history_.evidence[i];
      if (static_cast<unsigned>(e.fact) >= fact_count)
        fault(fmt::format("evidence {}: unknown fact", i));
      if (e.lane < -1 || e.lane >= static_cast<int>(history_.lanes.size())) {
        fault(fmt::format("evidence {}: no lane {}", i, e.lane));
      }
      if (e.to < e.from) fault(fmt::format("evidence {}: it ends before it begins", i));
    }
  }

  const History& history_;
  std::vector<std::string> faults_;
};

}  // namespace

History detached(History history) {
  for (LaneHistory& lane : history.lanes) {
    auto copy = std::make_shared<std::vector<Record>>(lane.records.begin(), lane.records.end());
    lane.records = *copy;
    history.storage.push_back(std::move(copy));
  }
  return history;
}

std::string LaneHistory::name() const {
  const int asks = index_on(producer_on, 0), answers = index_on(consumer_on, 0);
  if (asks >= 0 && index_on(consumer_on, 1) >= 0) return fmt::format("client {}", asks);
  if (answers >= 0 && index_on(producer_on, 1) >= 0) return fmt::format("server {}", answers);
  for (const int index : producer_on) {
    if (index >= 0) return fmt::format("producer {}", index);
  }
  for (const int index : consumer_on) {
    if (index >= 0) return fmt::format("consumer {}", index);
  }
  return fmt::format("worker {} thread {}", worker, thread);
}

std::string_view to_string(Fact fact) {
  constexpr std::string_view names[fact_count] = {
      "asleep",    "starved",       "machine stalled", "deadlocked",  "no progress", "killed",
      "died",      "worker failed", "leaked",          "sanitizer",   "waiting in",  "loaded",
      "pressure",  "interrupted",   "truncated",       "not started", "shortage",    "paused",
      "signalled", "limited",       "calls cut"};
  const auto index = static_cast<unsigned>(fact);
  return index < fact_count ? names[index] : "?";
}

bool History::has(Fact fact) const {
  return std::any_of(evidence.begin(), evidence.end(),
                     [fact](const Evidence& e) { return e.fact == fact; });
}

std::vector<std::string> history_faults(const History& history) { return FormCheck(history).run(); }

}  // namespace ipctorture
