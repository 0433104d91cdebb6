#include "harness/report/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "harness/report/table.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr Instant ms = 1'000'000;
const ProgressState half{.elapsed_ns = 30'000 * ms,
                         .total_ns = 60'000 * ms,
                         .scenarios = 100,
                         .messages = 5000,
                         .now = "pipe"};

class Shown {
 public:
  Progress::Sink sink() {
    return [this](std::string_view text) { texts.emplace_back(text); };
  }
  std::vector<std::string> texts;
};

TEST(ProgressBar, ShowsTheShareAndFits) {
  EXPECT_EQ(progress_bar(half, 80),
            "[###############...............] 30s/60s: 100 scenarios, 5.0k messages, now pipe");
  for (std::size_t width = 5; width < 100; ++width) {
    EXPECT_LE(text_width(progress_bar(half, width)), width);
  }
}

TEST(ProgressBar, BudgetOfRunsCountsAsWell) {
  EXPECT_THAT(progress_bar({.scenarios = 5, .scenarios_max = 5}, 80),
              StartsWith("[##############################]"));
}

TEST(Progress, BarComesAtMostTenTimesASecond) {
  Shown shown;
  Progress progress(ProgressForm::bar, 80, shown.sink());
  for (int i = 0; i < 20; ++i) progress.update(half, 1'000 * ms + i * 10 * ms);
  EXPECT_EQ(shown.texts.size(), 2u);
  EXPECT_THAT(shown.texts[0], StartsWith("\r["));
}

TEST(Progress, LinesComeEveryFiveSeconds) {
  Shown shown;
  Progress progress(ProgressForm::lines, 80, shown.sink());
  for (int i = 0; i < 100; ++i) progress.update(half, 1'000 * ms + i * 100 * ms);
  ASSERT_EQ(shown.texts.size(), 2u);
  EXPECT_EQ(shown.texts[0], progress_line(half) + "\n");
}

TEST(Progress, NothingWhenQuiet) {
  Shown shown;
  Progress progress(ProgressForm::none, 80, shown.sink());
  progress.update(half, 1);
  progress.clear();
  EXPECT_TRUE(shown.texts.empty());
}

TEST(Progress, ClearErasesWhatIsShownOnce) {
  Shown shown;
  Progress progress(ProgressForm::bar, 80, shown.sink());
  progress.update(half, 1'000 * ms);
  progress.clear();
  progress.clear();
  progress.update(half, 1'001 * ms);  // drawn again at once
  EXPECT_THAT(shown.texts, ElementsAre(HasSubstr("30s"), "\r\x1b[K", HasSubstr("30s")));
}

TEST(ProgressLine, ShoutsViolations) {
  ProgressState state = half;
  state.violations = 2;
  EXPECT_THAT(progress_line(state), HasSubstr("2 VIOLATIONS"));
}

}  // namespace
}  // namespace ipctorture
