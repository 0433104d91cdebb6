#include "stress/bench/long_run.h"

#include <memory>
#include <vector>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

class RunSimulation {
 public:
  explicit RunSimulation(const LongRun& wanted)
      : wanted_(wanted),
        prng_(wanted.seed),
        records_(std::make_shared<std::vector<std::vector<Record>>>(peers())),
        peers_(peers()),
        ring_(wanted.capacity) {
    for (auto& lane : *records_)
      lane.reserve(wanted.messages / std::min(wanted.producers, wanted.consumers) + 1000);
  }

  RunOfMany run() {
    for (unsigned lane = 0; lane < peers(); ++lane) whole(lane, Op::attach, Outcome::ok);
    while (received_ < wanted_.messages || open_ > 0) {
      step(static_cast<unsigned>(prng_.below(peers())));
    }
    for (unsigned lane = 0; lane < wanted_.producers; ++lane) whole(lane, Op::close, Outcome::ok);
    for (unsigned lane = wanted_.producers; lane < peers(); ++lane) {
      whole(lane, Op::receive, Outcome::closed);
      whole(lane, Op::close, Outcome::ok);
    }
    return described();
  }

 private:
  enum class Stage : std::uint8_t { idle, invoked, effective };
  struct Peer {
    Stage stage = Stage::idle;
    std::uint64_t sent = 0;
  };

  unsigned peers() const { return wanted_.producers + wanted_.consumers; }
  bool produces(unsigned lane) const { return lane < wanted_.producers; }
  Stamp tick() { return now_ += 10 + prng_.below(64); }

  Record& begin(unsigned lane, Op op) {
    (*records_)[lane].push_back(
        {.invoked = tick(), .what = Record::encode(op, 0, DeadlineMode::never)});
    return (*records_)[lane].back();
  }
  void whole(unsigned lane, Op op, Outcome outcome) {
    Record& record = begin(lane, op);
    record.returned = tick();
    record.outcome = static_cast<std::uint8_t>(outcome);
  }

  void step(unsigned lane) {
    Peer& peer = peers_[lane];
    if (peer.stage == Stage::idle) {
      std::uint64_t& begun = produces(lane) ? sends_begun_ : receives_begun_;
      if (begun == wanted_.messages) return;
      ++begun;
      ++open_;
      begin(lane, produces(lane) ? Op::send : Op::receive);
      peer.stage = Stage::invoked;
      return;
    }
    Record& record = (*records_)[lane].back();
    if (peer.stage == Stage::invoked) {
      if (produces(lane) ? !send(lane, record) : !receive(record)) return;
      peer.stage = Stage::effective;
      return;
    }
    record.returned = tick();
    record.outcome = static_cast<std::uint8_t>(Outcome::ok);
    peer.stage = Stage::idle;
    --open_;
  }

  bool send(unsigned lane, Record& record) {
    if (sent_ - received_ == wanted_.capacity) return false;
    record.message = MessageId{peers_[lane].sent++, static_cast<std::uint8_t>(lane)}.packed();
    record.size = size;
    ring_[sent_++ % wanted_.capacity] = record.message;
    return true;
  }

  bool receive(Record& record) {
    if (sent_ == received_) return false;
    record.message = ring_[received_++ % wanted_.capacity];
    record.size = size;
    return true;
  }

  RunOfMany described() const {
    RunOfMany run{.operations = 2 * wanted_.messages};
    for (unsigned lane = 0; lane < peers(); ++lane) {
      LaneHistory one{.worker = lane};
      const auto role = static_cast<int>(produces(lane) ? lane : lane - wanted_.producers);
      one.producer_on = {produces(lane) ? role : -1};
      one.consumer_on = {produces(lane) ? -1 : role};
      one.records = (*records_)[lane];
      run.history.lanes.push_back(std::move(one));
    }
    run.history.storage.push_back(records_);
    run.contract = {.ordering = Ordering::total,
                    .reports_closed = true,
                    .exact_empty = true,
                    .exact_full = true,
                    .capacity_max = wanted_.capacity,
                    .message_max = size,
                    .producers_max = wanted_.producers,
                    .consumers_max = wanted_.consumers};
    run.scenario.producers = wanted_.producers;
    run.scenario.consumers = wanted_.consumers;
    run.scenario.messages = wanted_.messages / wanted_.producers;
    run.scenario.capacity = wanted_.capacity;
    return run;
  }

  static constexpr std::uint32_t size = 64;  // of a message
  const LongRun wanted_;
  Prng prng_;
  std::shared_ptr<std::vector<std::vector<Record>>> records_;
  std::vector<Peer> peers_;
  std::vector<std::uint64_t> ring_;
  std::uint64_t sends_begun_ = 0, receives_begun_ = 0, sent_ = 0, received_ = 0, open_ = 0;
  Stamp now_ = 1000;
};

}  // namespace

RunOfMany make_long_run(const LongRun& wanted) { return RunSimulation(wanted).run(); }

}  // namespace ipctorture
