#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t count = 10;

// One producer, one consumer who is told closed at the end.
HistoryBuilder stream(std::uint32_t size = 64) {
  HistoryBuilder b(1, 1);
  b.contract.reports_closed = true;
  b.contract.message_min = 0;
  b.attach_all();
  for (std::uint64_t i = 0; i < count; ++i) {
    b.send(0, i, 100 * i + 10, 100 * i + 20, Outcome::ok, size);
    b.receive(0, 0, i, 100 * i + 30, 100 * i + 40, size);
  }
  b.close(0, 2000, 2001);
  b.nothing(0, Outcome::closed, 2010, 2011, DeadlineMode::never);
  return b;
}
void drop(HistoryBuilder& b, unsigned lane, std::size_t record) {
  b.records(lane).erase(b.records(lane).begin() + static_cast<std::ptrdiff_t>(record));
}

TEST(Delivery, PassesWhatCameOnce) {
  const Finding finding = stream().judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::pass);
  EXPECT_EQ(finding.tried_of(Term::once), count);
  EXPECT_EQ(finding.tried_of(Term::nothing_lost), count);
}

TEST(Delivery, FindsALostMessage) {
  HistoryBuilder b = stream();
  drop(b, b.consumer(0), 4);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(fingerprint(finding), "delivery/delivery: exactly once/lost");
  EXPECT_NE(finding.what.find("message 3 of producer 0"), std::string::npos) << finding.what;
}

TEST(Delivery, FindsTheLastMessageLostByClosed) {
  HistoryBuilder b = stream();
  drop(b, b.consumer(0), count);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_NE(finding.what.find("told closed"), std::string::npos) << finding.what;
}

TEST(Delivery, LossIsLegalWhereTheContractSaysSo) {
  HistoryBuilder b = stream();
  drop(b, b.consumer(0), 4);
  b.contract.delivery = Delivery::at_most_once;
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
}

TEST(Delivery, FindsADuplicate) {
  HistoryBuilder b = stream();
  b.records(b.consumer(0))[5].message = HistoryBuilder::id(0, 3);
  b.contract.delivery = Delivery::at_most_once;
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.symptom, "duplicate");
  EXPECT_EQ(finding.witness.size(), 3u);
}

TEST(Delivery, FindsADuplicateOverTwoConsumers) {
  HistoryBuilder b(1, 2);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  b.receive(1, 0, 0, 30, 45);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "duplicate");
}

TEST(Delivery, FindsWhatNobodySent) {
  HistoryBuilder b = stream();
  b.records(b.consumer(0))[3].message = HistoryBuilder::id(0, 100);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "phantom");
  b.records(b.consumer(0))[3].message = HistoryBuilder::id(7, 2);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "phantom");
}

TEST(Delivery, WhatWasRefusedMustNotArrive) {
  for (const Outcome refused :
       {Outcome::full, Outcome::timed_out, Outcome::closed, Outcome::error}) {
    HistoryBuilder b = stream();
    b.records(0)[4].outcome = static_cast<std::uint8_t>(refused);
    EXPECT_EQ(b.judge(Promise::delivery).symptom, "refused but delivered") << to_string(refused);
  }
}

TEST(Delivery, WhatIsOfUnknownFateMayArriveOnceOrNot) {
  for (const bool arrives : {true, false}) {
    HistoryBuilder b = stream();
    b.records(0)[4].outcome = static_cast<std::uint8_t>(Outcome::unknown);
    if (!arrives) drop(b, b.consumer(0), 4);
    EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
  }
}

TEST(Delivery, ARefusedMessageMayBeSentAgain) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20, Outcome::full, 8);
  b.send(0, 0, 30, 40, Outcome::ok, 64);
  b.receive(0, 0, 0, 50, 60);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::pass);
}

// Nothing proves that it will not come.
TEST(Delivery, WhatWasNotReceivedYetIsInconclusive) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.nothing(0, Outcome::timed_out, 10, 1_ms);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::inconclusive);
  EXPECT_EQ(finding.symptom, "unreceived");
}

TEST(Delivery, ListeningForTheBoundProvesALoss) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.nothing(0, Outcome::timed_out, 30, 1500_ms);
  b.nothing(0, Outcome::timed_out, 1501_ms, 3000_ms);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::violation);
  b.evidence(Fact::loaded, -1, 0, 4000_ms, 700);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::inconclusive);
}

TEST(Delivery, AReceiveOfUnknownFateMayHaveTakenOne) {
  HistoryBuilder b(1, 2);
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.waits(1, 15);
  b.receive(0, 0, 1, 50, 60);
  b.nothing(0, Outcome::closed, 100, 101, DeadlineMode::never);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::inconclusive);
  b.records(b.consumer(1)).pop_back();
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::violation);
}

TEST(Delivery, AReceiveThatBeganAfterALaterMessageCannotHaveTakenIt) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 50, 60);
  b.waits(0, 61);
  b.evidence(Fact::killed, 1, 0, 100_ms);
  EXPECT_EQ(b.judge(Promise::delivery).symptom, "lost");
}

TEST(Delivery, WhatHappensAfterADeathProvesNothing) {
  HistoryBuilder b = stream();
  drop(b, b.consumer(0), 4);
  b.evidence(Fact::killed, 0, 0, 5);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::inconclusive);
  EXPECT_NE(finding.what.find("ended by the harness"), std::string::npos) << finding.what;
}

// A message bound to a consumer that left may be lost with it; when all were told closed it may
// not.
TEST(Delivery, BoundMessagesNeedEveryConsumersWord) {
  HistoryBuilder b(1, 2);
  b.contract.fan_out = FanOut::bound_consumer;
  b.contract.reports_closed = true;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(0, 1, 30, 40);
  b.receive(0, 0, 1, 50, 60);
  b.close(0, 70, 71);
  b.nothing(0, Outcome::closed, 100, 101, DeadlineMode::never);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::inconclusive);
  b.nothing(1, Outcome::closed, 100, 101, DeadlineMode::never);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::violation);
}

TEST(Delivery, TotalOrderProvesALossAcrossProducers) {
  HistoryBuilder b(2, 1);
  b.contract.ordering = Ordering::total;
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.send(1, 0, 30, 40);
  b.receive(0, 1, 0, 50, 60);
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::violation);
  b.contract.ordering = Ordering::per_producer;
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::inconclusive);
}

// 100 messages of one byte: 5 bits of the sequence are known, so the k-th of a class is counted.
HistoryBuilder short_stream(std::uint32_t size, unsigned consumers) {
  HistoryBuilder b(1, consumers);
  b.contract.message_min = 0;
  b.contract.reports_closed = true;
  b.attach_all();
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::uint64_t known = size == 0 ? 0 : i & 31;
    b.send(0, i, 100 * i + 10, 100 * i + 20, Outcome::ok, size);
    b.receive(static_cast<unsigned>(i) % consumers, 0, known, 100 * i + 30, 100 * i + 40, size);
  }
  b.close(0, 20000, 20001);
  for (unsigned c = 0; c < consumers; ++c) {
    b.nothing(c, Outcome::closed, 20010, 20011, DeadlineMode::never);
  }
  return b;
}

TEST(Delivery, ShortMessagesAreCounted) {
  for (const std::uint32_t size : {0u, 1u}) {
    for (const unsigned consumers : {1u, 2u}) {
      HistoryBuilder right = short_stream(size, consumers);
      EXPECT_EQ(right.judge().verdict(), Verdict::pass) << size << " " << consumers;
      HistoryBuilder lost = short_stream(size, consumers);
      drop(lost, lost.consumer(0), 10);
      EXPECT_EQ(lost.judge(Promise::delivery).verdict, Verdict::violation)
          << size << " " << consumers;
      HistoryBuilder twice = short_stream(size, consumers);
      auto& records = twice.records(twice.consumer(0));
      Record copy = records[10];
      copy.invoked = copy.returned;
      records.insert(records.begin() + 11, copy);
      EXPECT_EQ(twice.judge(Promise::delivery).verdict, Verdict::violation)
          << size << " " << consumers;
    }
  }
}

TEST(Delivery, BelowItsKnownBitsAShortMessageIsUnique) {
  HistoryBuilder b = stream(1);
  EXPECT_EQ(b.judge().verdict(), Verdict::pass);
  std::swap(b.records(b.consumer(0))[3].message, b.records(b.consumer(0))[4].message);
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::violation);
}

TEST(Delivery, AHistoryWithImpossibleNumbersIsTheHarnessesFault) {
  HistoryBuilder twice = stream();
  twice.records(0)[4].message = HistoryBuilder::id(0, 2);
  EXPECT_THROW(twice.judge(), std::logic_error);
  HistoryBuilder skipped = stream();
  skipped.records(0)[4].message = HistoryBuilder::id(0, 1'000'000'000);
  EXPECT_THROW(skipped.judge(), std::logic_error);
}

// Every message that was sent is long enough to be known by its bytes; this one is not.
TEST(Delivery, AShorterMessageThanAnyThatWasSentIsAPhantom) {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20).size = 24;
  b.send(0, 1, 21, 25).size = 24;
  b.receive(0, 0, 0, 30, 40).size = 0;
  EXPECT_EQ(b.judge(Promise::delivery).verdict, Verdict::violation);
}

}  // namespace
}  // namespace ipctorture
