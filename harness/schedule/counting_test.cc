// What schedules count in variables of the shared object stays when they return to the start:
// go_on_counting(), which a fuzzer's coverage needs.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "harness/schedule/planted/planted.h"
#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

const Registration& counts_sends() {
  std::vector<const Registration*> all(ipctorture_planted_registrations(nullptr, 0));
  ipctorture_planted_registrations(all.data(), static_cast<unsigned>(all.size()));
  for (const Registration* one : all) {
    if (one->name == "counts_sends") return *one;
  }
  throw std::out_of_range("counts_sends is not planted");
}

class Counting : public testing::TestWithParam<Backend> {};

TEST_P(Counting, GoesOnOverReturnsToTheStart) {
  unsigned bytes = 0;
  auto* const counts = static_cast<std::uint32_t*>(ipctorture_planted_counts(&bytes));
  // So that worker processes count there, too.
  ASSERT_EQ(
      ::mmap(counts, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
      counts);
  go_on_counting(std::as_writable_bytes(std::span(counts, bytes / sizeof *counts)));
  const Registration& registration = counts_sends();
  const Scenario scenario = first_trial(registration).scenario;
  Room room(registration, scenario, GetParam());
  std::uint64_t sent = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ASSERT_EQ(room.session().run({.source = Source::walk, .seed = seed}), Ending::complete);
    ASSERT_TRUE(room.session().returns_by_snapshot());
    sent += scenario.messages;
    ASSERT_EQ(*counts, sent) << "after seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Counting, testing::Values(Backend::fibers, Backend::processes),
                         [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace ipctorture::schedule
