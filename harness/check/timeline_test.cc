#include "harness/check/timeline.h"

#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

constexpr Stamp bound = 1000_ms;

std::string disturbed(const HistoryBuilder& b) {
  const History history = b.history();
  return Timeline(history).disturbed(100_ms, 1200_ms, bound);
}

TEST(Timeline, ThrottlingExplainsADelayOfItsOwnOrder) {
  const auto throttled = [](Stamp ns) {
    HistoryBuilder b(1, 1);
    b.evidence(Fact::machine_stalled, -1, 50_ms, 1000_ms, ns, "the control group was throttled");
    return disturbed(b);
  };
  EXPECT_EQ(throttled(200_ms), "") << "a fifth of the bound delays nobody for the whole of it";
  EXPECT_EQ(throttled(300_ms),
            "workers or the supervisor were kept from running for 300 ms: "
            "the control group was throttled");
}

TEST(Timeline, AKillForWantOfMemoryExplainsWhatHappensThen) {
  HistoryBuilder b(1, 1);
  b.evidence(Fact::pressure, -1, 1300_ms, 1400_ms, 1, "out of memory");
  EXPECT_EQ(disturbed(b), "");
  b.evidence(Fact::pressure, -1, 1100_ms, 1300_ms, 1, "out of memory");
  EXPECT_EQ(disturbed(b), "the machine was under pressure: out of memory");
}

TEST(Timeline, WhatWasBrokenOffIsCutShortToo) {
  HistoryBuilder b(1, 1);
  b.evidence(Fact::not_started, 1, 0, 0, 0, "fork: no");
  const History history = b.history();
  const Timeline time(history);
  EXPECT_EQ(time.broken_off(), "consumer 0 could not be started: fork: no");
  EXPECT_EQ(time.cut_short(), time.broken_off());
}

TEST(Timeline, ADeathCutsShortButBreaksNothingOff) {
  HistoryBuilder b(1, 1);
  b.evidence(Fact::killed, 0, 0, 50);
  const History history = b.history();
  EXPECT_EQ(Timeline(history).cut_short(), "producer 0 was ended by the harness");
  EXPECT_EQ(Timeline(history).broken_off(), "");
}

}  // namespace
}  // namespace ipctorture
