#include "stress/exit_code.h"

#include <gtest/gtest.h>

#include <vector>

namespace ipctorture {
namespace {

TEST(ExitCode, TheGravestWins) {
  // design: 1 > 3 > 130/143 > 2 > 69 (when named) > 0
  const std::vector<ExitCode> by_gravity{
      ExitCode::violation,    ExitCode::harness_failed, ExitCode::terminated, ExitCode::interrupted,
      ExitCode::inconclusive, ExitCode::unsupported,    ExitCode::pass};
  for (std::size_t i = 0; i < by_gravity.size(); ++i) {
    for (std::size_t j = i; j < by_gravity.size(); ++j) {
      EXPECT_EQ(graver(by_gravity[i], by_gravity[j]), by_gravity[i]);
      EXPECT_EQ(graver(by_gravity[j], by_gravity[i]), by_gravity[i]);
    }
  }
}

TEST(ExitCode, UnsupportedCountsOnlyWhenNamed) {
  EXPECT_EQ(exit_code_of(Verdict::unsupported, AskedFor::by_name), ExitCode::unsupported);
  EXPECT_EQ(exit_code_of(Verdict::unsupported, AskedFor::with_others), ExitCode::pass);
}

TEST(ExitCode, NumbersAreTheDocumentedOnes) {
  EXPECT_EQ(static_cast<int>(exit_code_of(Verdict::pass, AskedFor::with_others)), 0);
  EXPECT_EQ(static_cast<int>(exit_code_of(Verdict::violation, AskedFor::with_others)), 1);
  EXPECT_EQ(static_cast<int>(exit_code_of(Verdict::inconclusive, AskedFor::with_others)), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::harness_failed), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::nothing_selected), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::usage), 64);
  EXPECT_EQ(static_cast<int>(ExitCode::unsupported), 69);
}

}  // namespace
}  // namespace ipctorture
