// A small failure to report, for tests of this layer: message 1 of producer 0 arrives twice.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "harness/report/bundle.h"

namespace ipctorture::sample {

inline Record sent(Stamp at, std::uint64_t sequence, Outcome outcome = Outcome::ok) {
  return {.invoked = at,
          .returned = at + 1000,
          .message = MessageId{.sequence = sequence}.packed(),
          .size = 64,
          .what = Record::encode(Op::send, 0, DeadlineMode::never),
          .outcome = static_cast<std::uint8_t>(outcome)};
}
inline Record received(Stamp at, std::uint64_t sequence) {
  Record r = sent(at, sequence);
  r.what = Record::encode(Op::receive, 0, DeadlineMode::at);
  return r;
}
inline Record waiting(Stamp at) {
  return {.invoked = at, .what = Record::encode(Op::receive, 0, DeadlineMode::never)};
}

inline void add_lane(History& history, bool produces, std::vector<Record> records) {
  const auto owned = std::make_shared<std::vector<Record>>(std::move(records));
  LaneHistory lane;
  lane.worker = static_cast<unsigned>(history.lanes.size());
  lane.producer_on = {produces ? 0 : -1};
  lane.consumer_on = {produces ? -1 : 0};
  lane.records = *owned;
  history.lanes.push_back(std::move(lane));
  history.storage.push_back(owned);
}

// `messages` sent and received, the second one received again in the end.
inline BundleContent failure(std::uint64_t messages = 4) {
  BundleContent content;
  content.scenario.set_transport("pipe");
  content.scenario.messages = messages;
  content.scenario.seed = 0xfedcba9876543210u;
  std::vector<Record> sends, receives;
  for (std::uint64_t i = 0; i < messages; ++i) {
    sends.push_back(sent(10'000 * (i + 1), i));
    receives.push_back(received(10'000 * (i + 1) + 5000, i));
  }
  receives.push_back(received(10'000 * (messages + 1), 1));
  receives.push_back(waiting(10'000 * (messages + 2)));
  History& history = content.history;
  history.stamps = {.source = StampSource::hardware, .ticks_per_ns = 2.5, .slack_ticks = 100};
  add_lane(history, true, std::move(sends));
  add_lane(history, false, std::move(receives));
  history.evidence = {
      {.fact = Fact::asleep, .lane = 1, .from = 60'000, .to = ~Stamp{0} >> 3, .value = 1},
      {.fact = Fact::waiting_in, .lane = 1, .text = "read\n  main"},
      {.fact = Fact::loaded, .value = 700}};
  content.judgement.findings = {
      {.promise = Promise::integrity, .verdict = Verdict::pass, .occasions = messages + 1},
      {.promise = Promise::delivery,
       .verdict = Verdict::violation,
       .occasions = messages,
       .what = "consumer 0 received message 1 of producer 0 twice",
       .legal = "each message once",
       .term = "exactly once",
       .symptom = "duplicate",
       .witness = {{0, 1}, {1, 1}, {1, messages}}},
      {.promise = Promise::stall,
       .verdict = Verdict::inconclusive,
       .what = "the machine was loaded"}};
  content.environment = {{"kernel", "Linux 6.1"}, {"cores", "2"}};
  content.seed = "g1:18";
  content.replay = "ipctorture replay here";
  content.written = "20261122T213600Z";
  content.output = "worker 1: hello\n";
  content.stacks = "consumer 0: read\n";
  return content;
}

}  // namespace ipctorture::sample
