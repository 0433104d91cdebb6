// Which names are mutants'. That each breaks what it should is tested where it is found:
// harness/explore_scenario_test.cc.
#include "harness/transport/mutant.h"

#include <gtest/gtest.h>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

TEST(MutantName, IsTheTransportsAndTheMutations) {
  const MutantName lose = parse_mutant("shm_ring__lose");
  EXPECT_EQ(lose.transport, "shm_ring");
  EXPECT_EQ(lose.mutation, Mutation::lose);
  for (const char* name :
       {"shm_ring", "shm_ring_lose", "shm_ring__", "shm_ring__none", "shm_ring__bend", "__", ""}) {
    EXPECT_EQ(parse_mutant(name).mutation, Mutation::none) << name;
    EXPECT_EQ(parse_mutant(name).transport, name);
  }
  for (unsigned i = 1; i < mutation_count; ++i) {
    const auto mutation = static_cast<Mutation>(i);
    EXPECT_EQ(parse_mutant("x__" + std::string(to_string(mutation))).mutation, mutation);
  }
}

TEST(MutantName, OfNobodyIsFoundNowhere) {
  EXPECT_EQ(find_registration("no_such_transport__lose"), nullptr);
}

}  // namespace
}  // namespace ipctorture
