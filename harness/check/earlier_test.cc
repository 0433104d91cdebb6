// Rounds of a soak, by hand: what an earlier one left may come once, and what this one leaves is
// listed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two producers and a consumer in the middle of a soak: producer 0 has sent 100 messages before,
// producer 1 ten.
class RoundTest : public ::testing::Test {
 protected:
  RoundTest() {
    round_.attach_all();
    round_.raw().continues = round_.raw().goes_on = true;
    round_.send(0, 100, 10, 20);
    round_.send(1, 10, 10, 20);
    round_.receive(0, 0, 100, 30, 40);
  }
  Verdict delivery() const { return round_.judge(Promise::delivery).verdict; }
  void may_lose() { round_.contract.delivery = Delivery::at_most_once; }

  HistoryBuilder round_{2, 1};
};

TEST_F(RoundTest, WhatWasNotReceivedYetMayStillCome) {
  EXPECT_EQ(delivery(), Verdict::pass) << "message 10 of producer 1 is on its way";
  EXPECT_THAT(round_.judge().unreceived,
              ElementsAre(Unreceived{.producer = 1, .sequence = 10, .accepted = true}));
  round_.raw().goes_on = false;
  EXPECT_EQ(delivery(), Verdict::inconclusive) << "but not after the last round";
  EXPECT_THAT(round_.judge().unreceived, IsEmpty());
}

TEST_F(RoundTest, AnEarlierMessageThatIsNotListedIsADuplicate) {
  round_.receive(0, 1, 9, 50, 60);
  const Finding finding = round_.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(finding.symptom, "duplicate");
  EXPECT_THAT(finding.what, HasSubstr("message 9 of producer 1 of an earlier round"));
}

TEST_F(RoundTest, AListedOneComesOnce) {
  may_lose();
  round_.raw().unreceived = {{.producer = 1, .sequence = 7, .accepted = true}};
  EXPECT_THAT(round_.judge().unreceived,
              ElementsAre(Unreceived{.producer = 1, .sequence = 7, .accepted = true},
                          Unreceived{.producer = 1, .sequence = 10, .accepted = true}));
  round_.receive(0, 1, 7, 50, 60);
  EXPECT_EQ(delivery(), Verdict::pass);
  EXPECT_THAT(round_.judge().unreceived,
              ElementsAre(Unreceived{.producer = 1, .sequence = 10, .accepted = true}));
  round_.receive(0, 1, 7, 70, 80);
  EXPECT_EQ(delivery(), Verdict::violation);
}

TEST_F(RoundTest, OneOfAnotherProducerDoesNotCount) {
  may_lose();
  round_.raw().unreceived = {{.producer = 1, .sequence = 7, .accepted = true}};
  round_.receive(0, 0, 7, 50, 60);
  EXPECT_EQ(delivery(), Verdict::violation);
}

TEST_F(RoundTest, WhereTheListIsCutNothingIsClaimed) {
  may_lose();
  round_.raw().unreceived_known = false;
  round_.receive(0, 1, 3, 50, 60);
  EXPECT_EQ(delivery(), Verdict::pass);
  EXPECT_FALSE(round_.judge().unreceived_known);
}

TEST_F(RoundTest, ALaterOneInOrderEndsTheWait) {
  may_lose();
  round_.raw().unreceived = {{.producer = 0, .sequence = 98, .accepted = true}};
  EXPECT_THAT(round_.judge().unreceived,
              ElementsAre(Unreceived{.producer = 1, .sequence = 10, .accepted = true}))
      << "message 100 has overtaken it";
  round_.contract.ordering = Ordering::none;
  EXPECT_EQ(round_.judge().unreceived.size(), 2u);
}

TEST_F(RoundTest, WhatAnEarlierRoundAcceptedIsMissedWhenThisOneDoesNotBringIt) {
  round_.receive(0, 1, 10, 50, 60);
  round_.raw().unreceived = {{.producer = 0, .sequence = 98, .accepted = false}};
  EXPECT_EQ(delivery(), Verdict::pass) << "nobody knows whether it was accepted";
  round_.raw().unreceived[0].accepted = true;
  const Finding finding = round_.judge(Promise::delivery);
  EXPECT_EQ(finding.verdict, Verdict::inconclusive);
  EXPECT_THAT(finding.what, HasSubstr("message 98 of producer 0 was accepted in an earlier round"));
}

TEST_F(RoundTest, AMessageThatNobodySentYetIsAPhantom) {
  round_.receive(0, 0, 101, 50, 60);
  EXPECT_EQ(round_.judge(Promise::delivery).symptom, "phantom");
}

}  // namespace
}  // namespace ipctorture
