// Tests only: histories written by hand, one call per operation. A tick is a nanosecond; `ms`
// helps. Records of a lane are added in the order of time; lanes 0..producers-1 produce, the rest
// consume.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/check/check.h"

namespace ipctorture {

constexpr Stamp operator""_ms(unsigned long long ms) { return ms * 1'000'000; }

class HistoryBuilder {
 public:
  HistoryBuilder(unsigned producers, unsigned consumers) : producers_(producers) {
    for (unsigned i = 0; i < producers + consumers; ++i) {
      LaneHistory lane;
      lane.worker = i;
      lane.producer_on = {i < producers ? static_cast<int>(i) : -1};
      lane.consumer_on = {i < producers ? -1 : static_cast<int>(i - producers)};
      history_.lanes.push_back(lane);
    }
    records_->resize(history_.lanes.size());
    contract.message_max = 4096;
    contract.ordering = Ordering::per_producer;
    contract.producers_max = contract.consumers_max = 8;
    scenario.producers = producers;
    scenario.consumers = consumers;
    scenario.sizes[0] = 4096;
  }

  Contract contract;
  Scenario scenario;

  unsigned producer(unsigned index) const { return index; }
  unsigned consumer(unsigned index) const { return producers_ + index; }

  Record& add(unsigned lane, const Record& record) {
    (*records_)[lane].push_back(record);
    return (*records_)[lane].back();
  }
  Record& add(unsigned lane, Op op, Outcome outcome, Stamp from, Stamp to,
              DeadlineMode mode = DeadlineMode::never) {
    return add(lane, Record{.invoked = from,
                            .returned = to,
                            .what = Record::encode(op, 0, mode),
                            .outcome = static_cast<std::uint8_t>(outcome)});
  }
  // Everyone attaches at 1..2.
  HistoryBuilder& attach_all() {
    for (unsigned lane = 0; lane < history_.lanes.size(); ++lane) {
      add(lane, Op::attach, Outcome::ok, 1, 2);
    }
    return *this;
  }
  Record& send(unsigned index, std::uint64_t sequence, Stamp from, Stamp to,
               Outcome outcome = Outcome::ok, std::uint32_t size = 64) {
    Record& r = add(producer(index), Op::send, outcome, from, to);
    r.message = id(index, sequence);
    r.size = size;
    return r;
  }
  Record& receive(unsigned index, unsigned from_producer, std::uint64_t sequence, Stamp from,
                  Stamp to, std::uint32_t size = 64) {
    Record& r = add(consumer(index), Op::receive, Outcome::ok, from, to);
    r.message = id(from_producer, sequence);
    r.size = size;
    return r;
  }
  Record& nothing(unsigned index, Outcome outcome, Stamp from, Stamp to,
                  DeadlineMode mode = DeadlineMode::at) {
    return add(consumer(index), Op::receive, outcome, from, to, mode);
  }
  // A receive that never returned.
  Record& waits(unsigned index, Stamp from, DeadlineMode mode = DeadlineMode::never) {
    return add(consumer(index), Op::receive, Outcome::unknown, from, 0, mode);
  }
  Record& close(unsigned lane, Stamp from, Stamp to) {
    return add(lane, Op::close, Outcome::ok, from, to, DeadlineMode::at);
  }
  Record& note(unsigned lane, Op op, Stamp at, std::uint64_t value, std::uint32_t size = 0) {
    Record& r = add(lane, op, Outcome::ok, at, at);
    r.message = value;
    r.size = size;
    return r;
  }
  void evidence(Fact fact, int lane, Stamp from, Stamp to, std::uint64_t value = 0,
                std::string text = {}) {
    history_.evidence.push_back({fact, lane, from, to, value, std::move(text)});
  }
  static std::uint64_t id(unsigned producer, std::uint64_t sequence,
                          MessageKind kind = MessageKind::data) {
    return MessageId{sequence, static_cast<std::uint8_t>(producer), kind}.packed();
  }

  std::vector<Record>& records(unsigned lane) { return (*records_)[lane]; }
  // The builder may be changed and built again.
  History history() const {
    History built = history_;
    for (std::size_t i = 0; i < built.lanes.size(); ++i) built.lanes[i].records = (*records_)[i];
    built.storage.push_back(records_);
    return built;
  }
  Judgement judge() const {
    const History built = history();
    return check({built, contract, scenario});
  }
  Finding judge(Promise promise) const {
    for (Finding& finding : judge().findings) {
      if (finding.promise == promise) return finding;
    }
    return {.promise = promise, .verdict = Verdict::unsupported};
  }
  History& raw() { return history_; }

 private:
  unsigned producers_;
  History history_;
  std::shared_ptr<std::vector<std::vector<Record>>> records_ =
      std::make_shared<std::vector<std::vector<Record>>>();
};

}  // namespace ipctorture
