// Is what transports do to shared memory seen at all? A callback that is silently not called (the
// linker merged a function with a plain copy, a compiler inlined a memcpy) makes every pass of
// `explore` worthless, so each kind of access has a canary here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <set>

#include "harness/schedule/by_hand.h"
#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::ElementsAre;
using testing::IsSupersetOf;

class Touch : public testing::Test {
 protected:
  Touch() {
    if (reserves_) reserve_arena(objects);
  }
  ~Touch() override {
    forget_addresses();
    if (!reserves_) return;
    ::munmap(reinterpret_cast<void*>(arena_begin), arena_bytes);
    page_of = nullptr;
  }

  const bool reserves_ = page_of == nullptr;
  ByHand by_hand_{1};
};

// A page of shared memory, mapped by a lane.
void* map_page() {
  return ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

std::vector<std::pair<Point, std::uint32_t>> places(const std::vector<Step>& steps) {
  std::vector<std::pair<Point, std::uint32_t>> places;
  for (const Step& step : steps) places.emplace_back(step.point, step.key);
  return places;
}

TEST_F(Touch, AStoreAndACopyArePointsAtTheirOwnPlaces) {
  std::byte* shared = nullptr;
  {
    const AsLane lane(0);
    map_page();  // so that the page in question is not the first: its keys are not 0
    shared = static_cast<std::byte*>(map_page()) + 64;
    control->step = 0;
    ipctorture_sut_touch(shared);
  }
  ASSERT_TRUE(in_arena(shared));
  const auto base = static_cast<std::uint32_t>(canonical(shared));
  ASSERT_EQ(base, page_bytes + 64);
  // 32 bytes are copied in two halves, so that others may see one.
  EXPECT_THAT(places(by_hand_.trace()),
              ElementsAre(std::pair(Point::atomic_store, base), std::pair(Point::after_store, base),
                          std::pair(Point::copy, base + 8), std::pair(Point::copy, base + 8 + 16)));
  EXPECT_EQ(control->shared_accesses, 2u);
  const auto* words = reinterpret_cast<const std::uint64_t*>(shared);
  EXPECT_THAT(std::vector(words, words + 5), ElementsAre(1, 1, 2, 3, 4));
}

TEST_F(Touch, PrivateMemoryIsNoPoint) {
  std::uint64_t words[8] = {};
  {
    const AsLane lane(0);
    ipctorture_sut_touch(words);
  }
  EXPECT_EQ(control->step, 0u);
  EXPECT_THAT(std::vector(words, words + 5), ElementsAre(1, 1, 2, 3, 4));
}

TEST_F(Touch, TheHarnessItselfTakesNoSteps) {
  void* shared = nullptr;
  {
    const AsLane lane(0);
    shared = map_page();
  }
  control->step = 0;
  ipctorture_sut_touch(shared);
  EXPECT_EQ(control->step, 0u);
}

// How the schedule ends when the lane touches this memory; running: it does not.
Ending touched_by(unsigned lane, void* shared) {
  const AsLane as(lane);
  try {
    ipctorture_sut_touch(shared);
  } catch (const Ended& ended) {
    return ended.ending;
  }
  return Ending::running;
}

TEST_F(Touch, TwoCopiesWithoutAnOrderAreARace) {
  control->lanes = 2;
  forget_all(control->memory, 2);
  void* shared = nullptr;
  {
    const AsLane lane(0);
    shared = map_page();
  }
  EXPECT_EQ(touched_by(0, shared), Ending::running);
  EXPECT_EQ(touched_by(0, shared), Ending::running);
  EXPECT_EQ(touched_by(1, shared), Ending::race);
}

TEST_F(Touch, MemoryThatWasGivenBackIsMissed) {
  void* shared = nullptr;
  {
    const AsLane lane(0);
    shared = map_page();
    ::munmap(shared, page_bytes);
  }
  EXPECT_EQ(touched_by(0, shared), Ending::misuse);
}

std::set<Point> kinds_of_points(const Session& session) {
  std::set<Point> kinds;
  for (const Step& step : trace_of(session)) kinds.insert(step.point);
  return kinds;
}

TEST(Instrumentation, ARingIsSeenAtWork) {
  const Registration& ring = sut_transport("shm_ring");
  Room room(ring, first_trial(ring));
  ASSERT_EQ(room.session().run({}), Ending::complete) << room.session().state().said;
  EXPECT_GT(room.session().state().shared_accesses, 20u);
  EXPECT_THAT(kinds_of_points(room.session()),
              IsSupersetOf({Point::atomic_load, Point::atomic_store, Point::after_store,
                            Point::copy, Point::futex_wait, Point::futex_wake}));
}

// What is read and written plainly comes from a queue under a mutex: the ring has none of it.
TEST(Instrumentation, PlainAccessesAndLocksAreSeen) {
  const Registration& queue = sut_transport("canary_none");
  Room room(queue, first_trial(queue));
  ASSERT_EQ(room.session().run({}), Ending::complete) << room.session().state().said;
  EXPECT_THAT(kinds_of_points(room.session()),
              IsSupersetOf({Point::read, Point::write, Point::copy, Point::mutex_lock,
                            Point::mutex_unlock, Point::atomic_update}));
}

class ShippedAccesses : public testing::TestWithParam<std::string> {};

TEST_P(ShippedAccesses, MapsNoSharedMemoryUnseen) {
  const Registration& registration = sut_transport(GetParam());
  Room room(registration, first_trial(registration));
  if (const std::string why = room.session().unsupported(); !why.empty()) GTEST_SKIP() << why;
  ASSERT_EQ(room.session().run({}), Ending::complete) << room.session().state().said;
  const bool by_its_name = GetParam().starts_with("shm_") || GetParam() == "memfd_ring" ||
                           GetParam() == "sysv_shm" || GetParam() == "file_log";
  if (by_its_name) {
    EXPECT_TRUE(room.session().maps_shared_memory());
  }
  if (room.session().maps_shared_memory()) {
    EXPECT_GT(room.session().state().shared_accesses, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedAccesses, testing::ValuesIn(names_of(Kind::shipped)),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace ipctorture::schedule
