// The page of a night, in Markdown, in HTML and as GitHub's annotations, with texts that try to be
// more.
#include "harness/report/night_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Night hostile_night() {
  NightStep step{.name = "run",
                 .engine = "run",
                 .sanitizer = "plain",
                 .program = "p",
                 .state = StepState::finished,
                 .exit_code = 1};
  step.sightings.push_back({.transport = "x|y",
                            .fingerprint = "</td><script>alert(1)</script>",
                            .what = "[a](http://evil) www.evil.org `b` @me | c",
                            .bundle = "``|`<b>"});
  step.cells.push_back({.transport = "x|y", .verdict = Verdict::violation, .scenarios = 1234567});
  return merge_night({.night = "n", .date = "d", .commit = "c", .budget_s = 10}, {step}, {});
}

TEST(Page, TextCannotBecomeMarkup) {
  EXPECT_EQ(markdown_text("# a|b<c>&`*_[]"), "\\# a\\|b&lt;c&gt;&amp;\\`\\*\\_\\[\\]");
  EXPECT_THAT(markdown_text("http://x"), Not(HasSubstr("://")));
  EXPECT_THAT(markdown_text("www.x"), Not(HasSubstr("www.")));
  EXPECT_EQ(markdown_text("a\nb"), "a b");
  EXPECT_EQ(html_text("<a href=\"'&"), "&lt;a href=&quot;&#39;&amp;");
}

TEST(Page, EachRowOfATableHasItsCellsAndNoMore) {
  const std::string page = night_page(hostile_night(), 1).markdown(1 << 20);
  EXPECT_THAT(page, StartsWith("# Night n: VIOLATION"));
  EXPECT_THAT(page, HasSubstr("1,234,567"));
  const std::size_t row = page.find("| **VIOLATION** | x\\|y |");
  ASSERT_NE(row, std::string::npos);
  const std::string line = page.substr(row, page.find('\n', row) - row);
  std::size_t bars = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '|' && (i == 0 || line[i - 1] != '\\')) ++bars;
  }
  EXPECT_EQ(bars, 12u) << line;
}

TEST(Page, HtmlHasNoScriptAndNothingFromElsewhere) {
  const std::string page = night_page(hostile_night(), 1).html(1 << 20);
  for (const char* never : {"<script", "src=", "href=", "<b>", "url(", "@import"}) {
    EXPECT_THAT(page, Not(HasSubstr(never)));
  }
  EXPECT_THAT(page, HasSubstr("&lt;/td&gt;&lt;script&gt;"));
}

TEST(Page, StaysBelowItsBoundAndSaysWhatIsLeftOut) {
  Page page("t");
  std::vector<std::vector<PageCell>> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back({{std::string(90, 'x')}});
  page.table({"a"}, std::move(rows));
  page.paragraph("the end");
  const std::string text = page.markdown(10'000);
  EXPECT_LE(text.size(), 10'000u);
  EXPECT_THAT(text, Not(HasSubstr("the end")));
  EXPECT_THAT(text, HasSubstr("Left out for its size: 9"));
  EXPECT_LE(page.html(10'000).size(), 10'000u);
}

TEST(Annotations, AreTenAtTheMostAndOfOneLineEach) {
  NightStep step{.name = "run", .state = StepState::finished, .exit_code = 1};
  for (int i = 0; i < 12; ++i) {
    step.sightings.push_back(
        {.transport = "t,:%", .fingerprint = std::to_string(i), .what = "a\n::error::b"});
  }
  const Night night = merge_night({}, {step}, {});
  const std::string text = night_annotations(night, 1);
  EXPECT_EQ(std::ranges::count(text, '\n'), 10);
  EXPECT_THAT(text, HasSubstr("::error title=t%2C%3A%25%3A 0::a%0A::error::b"));
  EXPECT_THAT(text, HasSubstr("::error title=3 more::"));
  EXPECT_EQ(night_annotations(merge_night({}, {}, {}), 0), "");
}

TEST(NightPage, SaysWhatDidNotRunAndWhy) {
  const NightStep missing{
      .name = "run-tsan", .why = "the build tsan failed", .state = StepState::not_run};
  NightFrame frame{.night = "n", .ended_by = "SIGTERM"};
  frame.builds.push_back({.preset = "tsan", .why = "no such library"});
  const Night night = merge_night(frame, {missing}, {});
  for (const std::string& text :
       {night_page(night, 3).markdown(1 << 20), night_page(night, 3).html(1 << 20)}) {
    EXPECT_THAT(text, HasSubstr("not run: the build tsan failed"));
    EXPECT_THAT(text, HasSubstr("no such library"));
    EXPECT_THAT(text, HasSubstr("Interrupted by SIGTERM"));
  }
  EXPECT_THAT(night_digest(night, 3), HasSubstr("no such library"));
}

TEST(NightPage, TrendsSayTheChangeSinceTheNightBefore) {
  NightStep step{.name = "run", .engine = "run", .state = StepState::finished, .exit_code = 0};
  step.cells.push_back({.transport = "pipe", .verdict = Verdict::pass, .scenarios = 150});
  const NightFigures before{.night = "2026-01-01", .scenarios = 100};
  const Night night = merge_night({.night = "2026-01-02"}, {step}, {before});
  EXPECT_THAT(night_page(night, 0).markdown(1 << 20), HasSubstr("150 (\\+50 %)"));
}

}  // namespace
}  // namespace ipctorture
