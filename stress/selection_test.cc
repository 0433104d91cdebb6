#include "stress/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stress/settings.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Registration> some() {
  std::vector<Registration> all;
  for (const auto& [name, kind] :
       std::vector<std::pair<const char*, Kind>>{{"canary_lose", Kind::canary},
                                                 {"fifo", Kind::shipped},
                                                 {"pipe", Kind::shipped},
                                                 {"shm_queue", Kind::shipped},
                                                 {"shm_ring", Kind::shipped},
                                                 {"shm_torn", Kind::faulty}}) {
    all.push_back({.name = name, .contract = {.message_max = 64}, .kind = kind});
  }
  return all;
}

std::vector<std::string> names(const SelectionRequest& request) {
  const auto all = some();
  std::vector<std::string> chosen;
  for (const Selected& one : select_transports(request, all)) {
    chosen.emplace_back(one.registration->name);
  }
  return chosen;
}

TEST(Selection, NoNamesMeansAllShipped) {
  EXPECT_THAT(names({}), ElementsAre("fifo", "pipe", "shm_queue", "shm_ring"));
}

TEST(Selection, GlobsMeanShippedOnes) {
  EXPECT_THAT(names({.names = {"shm_*"}}), ElementsAre("shm_queue", "shm_ring"));
  EXPECT_THAT(names({.names = {"*"}}), ElementsAre("fifo", "pipe", "shm_queue", "shm_ring"));
}

TEST(Selection, FlaggedOnesMustBeMeant) {
  EXPECT_THAT(names({.names = {"shm_torn"}}), ElementsAre("shm_torn"));
  EXPECT_THAT(names({.names = {"canary_*"}}), ElementsAre("canary_lose"));
  EXPECT_THAT(names({.names = {"shm_*"}, .also = {Kind::faulty}}),
              ElementsAre("shm_queue", "shm_ring", "shm_torn"));
}

TEST(Selection, EachOnceAndInOrder) {
  EXPECT_THAT(names({.names = {"pipe", "fifo", "p*", "pipe"}}), ElementsAre("fifo", "pipe"));
}

TEST(Selection, RemembersWhoWasNamed) {
  const auto all = some();
  const auto selected = select_transports({.names = {"shm_*", "shm_ring"}}, all);
  ASSERT_EQ(selected.size(), 2u);
  EXPECT_EQ(selected[0].asked, AskedFor::with_others);
  EXPECT_EQ(selected[1].asked, AskedFor::by_name);
}

TEST(Selection, Exclusion) {
  EXPECT_THAT(names({.exclude = {"shm_*", "fifo"}}), ElementsAre("pipe"));
  EXPECT_THAT(names({.names = {"pipe"}, .exclude = {"p*"}}), IsEmpty());
}

TEST(Selection, UnknownNameHasTheNearest) {
  for (const SelectionRequest& request :
       {SelectionRequest{.names = {"ppie"}}, SelectionRequest{.exclude = {"ppie"}}}) {
    try {
      names(request);
      FAIL() << "accepted";
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("unknown transport 'ppie', did you mean 'pipe'?"));
    }
  }
}

TEST(Selection, GlobWithoutMatchSelectsNothing) {
  EXPECT_THAT(names({.names = {"z*"}}), IsEmpty());
}

}  // namespace
}  // namespace ipctorture
