// The memory model by itself: a few lanes played by hand, as in litmus tests. Each rule is tried in
// both directions: what it orders is no race and hides older stores, what it does not order is a
// race and lets them be seen.
#include "harness/schedule/memory_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/schedule/by_hand.h"

namespace ipctorture::schedule {
namespace {

using testing::HasSubstr;

constexpr int relaxed = __ATOMIC_RELAXED, acquire = __ATOMIC_ACQUIRE, release = __ATOMIC_RELEASE,
              acq_rel = __ATOMIC_ACQ_REL, seq_cst = __ATOMIC_SEQ_CST;

// Places in shared memory.
constexpr std::uint64_t data = 0, flag = 64, other = 128;
constexpr std::uint64_t object = 5;  // a kernel object

class Model : public testing::Test {
 protected:
  Model() { control->weak_memory = true; }

  // --- what a lane does; each false when that is a race

  bool plain(unsigned lane, std::uint64_t key, bool writes, std::size_t bytes = 8) {
    const AsLane as(lane);
    try {
      check_access(memory_, key, bytes, writes, Access::plain);
    } catch (const Ended& ended) {
      EXPECT_EQ(ended.ending, Ending::race);
      return false;
    }
    return true;
  }
  bool reads(unsigned lane, std::uint64_t key = data) { return plain(lane, key, false); }
  bool writes(unsigned lane, std::uint64_t key = data) { return plain(lane, key, true); }

  void store(unsigned lane, std::uint64_t key, std::uint64_t value, int order, unsigned bytes = 8) {
    change(lane, key, value, order, bytes, false);
  }
  // Returns the old value.
  std::uint64_t add(unsigned lane, std::uint64_t key, std::uint64_t more, int order) {
    const std::uint64_t before = newest_[key];
    change(lane, key, before + more, order, 8, true);
    return before;
  }

  // `back`: the answer to the question which store the load returns; 0 is the newest.
  std::uint64_t load(unsigned lane, std::uint64_t key, int order, unsigned back = 0,
                     unsigned bytes = 8) {
    by_hand_.answer_next(lane, back);
    const std::uint32_t asked = control->step;
    std::uint64_t value = newest_[key];
    {
      const AsLane as(lane);
      check_access(memory_, key, bytes, false, Access::atomic);
      value = model_load(memory_, key, value, order, bytes, control->weak_memory, nullptr);
    }
    choices_ = control->step == asked ? 1 : control->trace[control->step].others;
    return value;
  }

  // How many values the lane's next load could return. Loads the newest.
  unsigned choices(unsigned lane, std::uint64_t key, int order = relaxed) {
    load(lane, key, order);
    return choices_;
  }

  void fence(unsigned lane, int order) {
    const AsLane as(lane);
    model_fence(memory_, order);
  }
  void stamp(unsigned lane) {
    const AsLane as(lane);
    order_in_time(memory_);
  }
  void releases(unsigned lane, std::uint64_t what = object) {
    const AsLane as(lane);
    release_to(memory_, what);
  }
  void acquires(unsigned lane, std::uint64_t what = object) {
    const AsLane as(lane);
    acquire_from(memory_, what);
  }

  void change(unsigned lane, std::uint64_t key, std::uint64_t value, int order, unsigned bytes,
              bool update) {
    std::uint64_t& newest = newest_[key];  // a lane's allocations are not ours: before it begins
    const AsLane as(lane);
    check_access(memory_, key, bytes, true, Access::atomic);
    model_store(memory_, key, newest, value, order, bytes, update);
    newest = value;
  }

  ByHand by_hand_{3};
  MemoryModel& memory_ = control->memory;
  std::map<std::uint64_t, std::uint64_t> newest_;
  unsigned choices_ = 0;
};

// --- races

TEST_F(Model, ConflictingPlainAccessesAreRaces) {
  EXPECT_TRUE(writes(0));
  EXPECT_TRUE(writes(0));
  EXPECT_TRUE(reads(0));
  EXPECT_FALSE(reads(1));
  EXPECT_FALSE(writes(2));
  EXPECT_THAT(control->said, HasSubstr("lane 2's write of 0x0 is not ordered after lane 0's"));
}

TEST_F(Model, ReadersDoNotConflict) {
  EXPECT_TRUE(reads(0));
  EXPECT_TRUE(reads(1));
  EXPECT_TRUE(reads(2));
}

TEST_F(Model, OtherBytesDoNotConflict) {
  EXPECT_TRUE(plain(0, 0, true, 4));
  EXPECT_TRUE(plain(1, 4, true, 4));
  EXPECT_FALSE(plain(2, 3, false, 1));
}

// Over the border of two lines of the shadow.
TEST_F(Model, LongAccessesCountToTheirLastByte) {
  EXPECT_TRUE(plain(0, 60, true, 70));
  EXPECT_FALSE(plain(1, 129, false, 1));
  EXPECT_TRUE(plain(1, 130, false, 1));
  EXPECT_FALSE(plain(1, 60, false, 1));
  EXPECT_TRUE(plain(1, 59, false, 1));
}

TEST_F(Model, AtomicAccessesConflictWithPlainOnesOnly) {
  store(0, flag, 1, relaxed);
  store(1, flag, 2, relaxed);
  EXPECT_EQ(load(2, flag, relaxed), 2u);
  EXPECT_FALSE(writes(2, flag));
  EXPECT_FALSE(reads(2, flag));
}

TEST_F(Model, APlainWriteConflictsWithAnAtomicReadBefore) {
  load(0, flag, seq_cst);
  EXPECT_TRUE(reads(1, flag));
  EXPECT_FALSE(writes(1, flag));
}

TEST_F(Model, AnAtomicAccessConflictsWithAPlainWriteBefore) {
  EXPECT_TRUE(writes(0, flag));
  EXPECT_THROW(load(1, flag, seq_cst), Ended);
  EXPECT_THROW(store(1, flag, 1, seq_cst), Ended);
}

TEST_F(Model, AWriteConflictsWithEachOfSeveralReaders) {
  for (unsigned unordered = 0; unordered < 3; ++unordered) {
    forget_all(memory_, 3);
    for (unsigned lane = 0; lane < 3; ++lane) ASSERT_TRUE(reads(lane));
    for (unsigned lane = 0; lane < 3; ++lane) {
      if (lane != unordered) releases(lane);
    }
    const unsigned writer = (unordered + 1) % 3;
    acquires(writer);
    EXPECT_FALSE(writes(writer)) << "reader " << unordered;
    releases(unordered);
    acquires(writer);
    EXPECT_TRUE(writes(writer)) << "reader " << unordered;
  }
}

TEST_F(Model, ForgettingOrdersEverything) {
  EXPECT_TRUE(writes(0));
  store(0, flag, 7, relaxed);
  forget_all(memory_, 3);
  EXPECT_TRUE(writes(1));
  EXPECT_EQ(choices(1, flag), 1u);
}

// --- happens-before

// Lane 0 writes the data, then stores the flag; lane 1 loads the flag, then reads the data.
struct Orders {
  int store, load;
  bool ordered;
};
class MessagePassing : public Model, public testing::WithParamInterface<Orders> {};

TEST_P(MessagePassing, IsOrderedByReleaseAndAcquireOnly) {
  writes(0);
  store(0, flag, 1, GetParam().store);
  ASSERT_EQ(load(1, flag, GetParam().load), 1u);
  EXPECT_EQ(reads(1), GetParam().ordered);
  EXPECT_FALSE(reads(2)) << "it took no part";
}

INSTANTIATE_TEST_SUITE_P(
    Orders, MessagePassing,
    testing::Values(Orders{release, acquire, true}, Orders{seq_cst, seq_cst, true},
                    Orders{release, seq_cst, true}, Orders{seq_cst, acquire, true},
                    Orders{relaxed, acquire, false}, Orders{release, relaxed, false},
                    Orders{relaxed, relaxed, false}, Orders{relaxed, seq_cst, false}));

TEST_F(Model, OnlyWhatCameBeforeTheReleaseIsOrdered) {
  store(0, flag, 1, release);
  writes(0);
  load(1, flag, acquire);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, OrderIsPassedOn) {
  writes(0);
  store(0, flag, 1, release);
  load(1, flag, acquire);
  store(1, other, 1, release);
  load(2, other, acquire);
  EXPECT_TRUE(writes(2));
}

TEST_F(Model, AReleaseOfTheReaderOrdersTheNextWriter) {
  reads(0);
  EXPECT_TRUE(reads(1));
  store(1, flag, 1, release);
  load(0, flag, acquire);
  EXPECT_TRUE(writes(0));
}

TEST_F(Model, ALaterStoreBreaksTheReleaseSequence) {
  writes(0);
  store(0, flag, 1, release);
  store(1, flag, 2, relaxed);
  load(2, flag, acquire);
  EXPECT_FALSE(reads(2));
}

TEST_F(Model, UpdatesContinueTheReleaseSequence) {
  writes(0);
  store(0, flag, 1, release);
  add(1, flag, 1, relaxed);
  EXPECT_EQ(load(2, flag, acquire), 2u);
  EXPECT_TRUE(reads(2));
  EXPECT_FALSE(reads(1)) << "a relaxed update acquires nothing";
}

TEST_F(Model, UpdatesAcquireAndRelease) {
  writes(0);
  add(0, flag, 1, release);
  add(1, flag, 1, acq_rel);
  EXPECT_TRUE(writes(1));
  add(1, flag, 1, acq_rel);
  add(2, flag, 1, acquire);
  EXPECT_TRUE(writes(2));
}

TEST_F(Model, AnUpdateThatOnlyReleasesAcquiresNothing) {
  writes(0);
  add(0, flag, 1, release);
  add(1, flag, 1, release);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, FencesOrderRelaxedAccesses) {
  writes(0);
  fence(0, release);
  store(0, flag, 1, relaxed);
  load(1, flag, relaxed);
  fence(1, acquire);
  EXPECT_TRUE(reads(1));
}

TEST_F(Model, FencesMustBeOnTheRightSide) {
  writes(0);
  store(0, flag, 1, relaxed);
  fence(0, release);  // too late
  fence(1, acquire);  // too early
  load(1, flag, relaxed);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, AFenceReleasesWhatCameBeforeIt) {
  fence(0, release);
  writes(0);
  store(0, flag, 1, relaxed);
  load(1, flag, relaxed);
  fence(1, acquire);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, AFenceOfTheOtherKindOrdersNothing) {
  writes(0);
  fence(0, acquire);
  store(0, flag, 1, relaxed);
  load(1, flag, relaxed);
  fence(1, release);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, KernelObjectsOrderTheirOwnUsers) {
  writes(0);
  releases(0);
  acquires(1);
  EXPECT_TRUE(reads(1));
  acquires(2, object + 1);
  EXPECT_FALSE(reads(2));
}

TEST_F(Model, WhatFollowsTheReleaseOfAKernelObjectIsNotOrdered) {
  releases(0);
  writes(0);
  acquires(1);
  EXPECT_FALSE(reads(1));
}

// --- stale values

TEST_F(Model, ARelaxedLoadMayReturnOlderStores) {
  store(0, flag, 1, relaxed);
  store(0, flag, 2, relaxed);
  EXPECT_EQ(load(1, flag, relaxed, 2), 0u) << "the value before the first store";
  EXPECT_EQ(choices_, 3u);
  EXPECT_EQ(load(1, flag, relaxed, 1), 1u);
  EXPECT_EQ(load(1, flag, relaxed), 2u);
}

TEST_F(Model, NothingIsStaleUnlessMemoryIsWeak) {
  control->weak_memory = false;
  store(0, flag, 1, relaxed);
  store(0, flag, 2, relaxed);
  EXPECT_EQ(load(1, flag, relaxed, 2), 2u);
  EXPECT_EQ(choices_, 1u);
}

TEST_F(Model, ALaneSeesItsOwnStores) {
  store(0, flag, 1, relaxed);
  EXPECT_EQ(choices(0, flag), 1u);
}

TEST_F(Model, CoherenceForbidsGoingBack) {
  store(0, flag, 1, relaxed);
  store(0, flag, 2, relaxed);
  EXPECT_EQ(load(1, flag, relaxed, 1), 1u);
  EXPECT_EQ(choices(1, flag), 2u) << "the newest and the one that it saw, no longer the first";
  EXPECT_EQ(choices(1, flag), 1u);
  EXPECT_EQ(choices(2, flag), 3u) << "others may be behind";
}

TEST_F(Model, WhatAnotherSawBeforeHidesOlderStores) {
  store(0, flag, 1, relaxed);
  EXPECT_EQ(load(1, flag, relaxed), 1u);
  EXPECT_EQ(choices(2, flag), 2u) << "nothing orders the two loads";
  forget_all(memory_, 3);
  store(0, flag, 2, relaxed);
  EXPECT_EQ(load(1, flag, relaxed), 2u);
  store(1, other, 1, release);
  EXPECT_EQ(load(2, other, acquire), 1u);
  EXPECT_EQ(choices(2, flag), 1u);
}

TEST_F(Model, HappensBeforeHidesOlderStores) {
  store(0, data, 1, relaxed);
  store(0, flag, 1, release);
  EXPECT_EQ(load(1, flag, acquire, 1), 0u);
  EXPECT_EQ(choices(1, data), 2u) << "it has not seen the flag";
  store(0, data, 2, relaxed);
  EXPECT_EQ(choices(1, data), 2u);
  store(0, data, 3, relaxed);
  store(0, flag, 2, release);
  EXPECT_EQ(load(1, flag, acquire), 2u);
  EXPECT_EQ(choices(1, data), 1u);
  EXPECT_GT(choices(2, data), 1u);
}

TEST_F(Model, AStaleLoadAcquiresWhatItReturnsAndNoMore) {
  store(0, flag, 1, release);
  writes(0);
  store(0, flag, 2, release);
  EXPECT_EQ(load(1, flag, acquire, 1), 1u);
  EXPECT_FALSE(reads(1));
  EXPECT_EQ(load(2, flag, acquire), 2u);
  EXPECT_TRUE(reads(2));
}

TEST_F(Model, KernelObjectsHideOlderStores) {
  store(0, flag, 1, relaxed);
  releases(0);
  acquires(1);
  EXPECT_EQ(choices(1, flag), 1u);
  EXPECT_EQ(choices(2, flag), 2u);
}

TEST_F(Model, AnUpdateSeesTheNewest) {
  store(0, flag, 4, relaxed);
  EXPECT_EQ(add(1, flag, 1, relaxed), 4u);
  EXPECT_EQ(choices(1, flag), 1u);
}

// Store buffering (Dekker): each stores its own flag, then loads the other's.
TEST_F(Model, BothMayMissTheOtherByReleaseAndAcquire) {
  store(0, flag, 1, release);
  store(1, other, 1, release);
  EXPECT_EQ(load(0, other, acquire, 1), 0u);
  EXPECT_EQ(load(1, flag, acquire, 1), 0u);
}

TEST_F(Model, OneSeesTheOtherBySequentialConsistency) {
  store(0, flag, 1, seq_cst);
  EXPECT_EQ(load(0, other, seq_cst), 0u);
  store(1, other, 1, seq_cst);
  EXPECT_EQ(choices(1, flag, seq_cst), 1u);
  EXPECT_EQ(load(1, flag, seq_cst), 1u);
}

TEST_F(Model, ASequentiallyConsistentLoadSeesSuchStores) {
  store(0, flag, 1, seq_cst);
  EXPECT_EQ(choices(1, flag, acquire), 2u);
  forget_all(memory_, 3);
  store(0, flag, 2, seq_cst);
  EXPECT_EQ(choices(1, flag, seq_cst), 1u);
}

TEST_F(Model, OneSeesTheOtherByFences) {
  store(0, flag, 1, relaxed);
  fence(0, seq_cst);
  store(1, other, 1, relaxed);
  EXPECT_EQ(choices(2, flag), 2u) << "no fence of its own";
  fence(1, seq_cst);
  EXPECT_EQ(choices(1, flag), 1u);
}

TEST_F(Model, SequentialConsistencyAloneOrdersNoAccesses) {
  writes(0);
  store(0, flag, 1, seq_cst);
  load(1, other, seq_cst);  // of something else
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, StampsOrderWhatIsVisibleAndNoAccesses) {
  store(0, flag, 1, relaxed);
  writes(0);
  stamp(0);
  EXPECT_EQ(choices(2, flag), 2u) << "it took no stamp since";
  stamp(1);
  EXPECT_EQ(choices(1, flag), 1u);
  EXPECT_FALSE(reads(1));
}

TEST_F(Model, WhatIsVisibleIsPassedOnAndStillOrdersNoAccesses) {
  store(0, flag, 1, relaxed);
  writes(0);
  stamp(0);
  stamp(1);
  store(1, other, 1, release);
  load(2, other, acquire);
  EXPECT_EQ(choices(2, flag), 1u);
  EXPECT_FALSE(reads(2));
}

TEST_F(Model, AStampBeforeTheStoreHidesNothing) {
  stamp(0);
  store(0, flag, 1, relaxed);
  stamp(1);
  EXPECT_EQ(choices(1, flag), 2u);
}

TEST_F(Model, MixedSizesAreNeverStale) {
  store(0, flag, 1, relaxed);
  store(0, flag, 2, relaxed);
  EXPECT_EQ(load(1, flag, relaxed, 1, 4), 2u);
  EXPECT_EQ(choices_, 1u);
  EXPECT_EQ(choices(2, flag), 1u) << "not for whole accesses after that either";
}

TEST_F(Model, AtMostTwoOlderValuesAreOffered) {
  for (unsigned value = 1; value <= 20; ++value) store(0, flag, value, relaxed);
  EXPECT_EQ(choices(1, flag), 3u);
  EXPECT_EQ(load(2, flag, relaxed, 2), 18u);
}

TEST_F(Model, ASpinningLoadGetsTheNewestInTheEnd) {
  store(0, flag, 1, relaxed);
  int turns = 0;
  while (turns < 100 && load(1, flag, relaxed, 1) == 0) ++turns;
  EXPECT_GT(turns, 1);
  EXPECT_LT(turns, 10);
}

}  // namespace
}  // namespace ipctorture::schedule
