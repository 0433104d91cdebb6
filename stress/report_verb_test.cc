// The exit code of a night, and the files that its report writes.
#include "stress/report_verb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "harness/report/night.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

NightStep ended(int exit_code) {
  return {.name = "run", .engine = "run", .state = StepState::finished, .exit_code = exit_code};
}

TEST(NightExitCode, IsOfTheWorstVerdict) {
  const auto code = [](std::vector<NightStep> steps, const std::string& by = "") {
    return static_cast<int>(exit_code_of(merge_night({.ended_by = by}, std::move(steps), {})));
  };
  EXPECT_EQ(code({ended(0), ended(0)}), 0);
  EXPECT_EQ(code({ended(0), ended(2)}), 2);
  EXPECT_EQ(code({ended(2)}, "SIGINT"), 130);
  EXPECT_EQ(code({ended(2)}, "SIGTERM"), 143);
  EXPECT_EQ(code({ended(3), ended(2)}, "SIGTERM"), 3);
  EXPECT_EQ(code({ended(1), ended(3)}, "SIGTERM"), 1);
  EXPECT_EQ(code({ended(0), ended(137)}), 3) << "killed";
  EXPECT_EQ(code({ended(64)}), 3);
  EXPECT_EQ(code({ended(0), {.name = "run-tsan", .state = StepState::not_run}}), 3);
  EXPECT_EQ(code({}), 3) << "nothing ran";
  EXPECT_EQ(code({}, "SIGTERM"), 143) << "interrupted while it built";
  NightStep superseded{.name = "run.1", .state = StepState::interrupted, .superseded = true};
  EXPECT_EQ(code({superseded, ended(0)}), 0) << "begun again later";
  NightStep known = ended(0);
  known.sightings.push_back({.transport = "pipe", .known = true});
  EXPECT_EQ(code({known}), 0);
  NightStep fuzz = ended(1);
  fuzz.fuzz = FuzzFigures{};
  EXPECT_EQ(code({fuzz}), 3) << "it failed and found nothing";
  fuzz.sightings.push_back({.transport = "fuzz: x"});
  EXPECT_EQ(code({fuzz}), 1);
}

class Report : public testing::Test {
 protected:
  Report() {
    std::string name = testing::TempDir() + "ipctorture-report-XXXXXX";
    path_ = ::mkdtemp(name.data());
    fs::create_directories(path_ + "/night/run");
  }
  ~Report() override { fs::remove_all(path_); }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  std::string path_;
};

TEST_F(Report, WritesThePageAndTheHistory) {
  write("night/run/step.json",
        R"({"engine":"run","sanitizer":"plain","state":"finished","exit_code":0})");
  write("night/night.json", R"({"night":"2026-01-31","date":"2026-01-31","commit":"abc"})");
  write("history.jsonl", history_line({.night = "2026-01-30"}));
  const ReportRequest request{.folder = path("night"),
                              .history = path("history.jsonl"),
                              .step_summary = path("summary.md")};
  EXPECT_EQ(report_night(request), ExitCode::pass);
  EXPECT_EQ(report_night(request), ExitCode::pass);
  EXPECT_THAT(read("night/report.md"), HasSubstr("# Night 2026-01-31: pass"));
  EXPECT_THAT(read("night/report.html"), HasSubstr("</html>"));
  EXPECT_THAT(read("summary.md"), HasSubstr("2026-01-30"));
  std::uint64_t unread = 0;
  EXPECT_EQ(read_history(read("history.jsonl"), &unread).size(), 2u) << "a night is there once";
}

TEST_F(Report, ALinkInTheFolderLeadsNowhere) {
  write("secret", R"({"engine":"secret","state":"finished","exit_code":0})");
  fs::create_symlink(path("secret"), path("night/run/step.json"));
  EXPECT_EQ(report_night({.folder = path("night")}), ExitCode::harness_failed);
  EXPECT_THAT(read("night/report.md"), HasSubstr("is a symbolic link"));
  EXPECT_EQ(read("night/report.md").find("secret"), std::string::npos);
}

TEST_F(Report, EarlierNightsStandBesideTheFolder) {
  write("night/run/step.json",
        R"({"engine":"run","sanitizer":"plain","state":"finished","exit_code":0})");
  const std::string earlier = history_line({.night = "2026-01-30"});
  write("history.jsonl", earlier);
  EXPECT_EQ(report_night({.folder = path("night")}), ExitCode::pass);
  EXPECT_THAT(read("night/report.md"), HasSubstr("2026-01-30"));
  EXPECT_EQ(read("history.jsonl"), earlier) << "only read";
}

// It might be somebody else's file.
TEST_F(Report, AHistoryThatIsALinkIsNeitherReadNorReplaced) {
  write("night/run/step.json", R"({"engine":"run","state":"finished","exit_code":0})");
  write("theirs", history_line({.night = "2026-01-30"}));
  fs::create_symlink(path("theirs"), path("history.jsonl"));
  EXPECT_EQ(report_night({.folder = path("night"), .history = path("history.jsonl")}),
            ExitCode::pass);
  EXPECT_THAT(read("night/report.md"), HasSubstr("is a symbolic link"));
  EXPECT_TRUE(fs::is_symlink(path("history.jsonl")));
}

TEST_F(Report, WhatCannotBeWrittenIsPrintedAndFails) {
  write("night/run/step.json", R"({"engine":"run","state":"finished","exit_code":0})");
  write("file", "");
  testing::internal::CaptureStdout();
  const ExitCode code = report_night({.folder = path("night"), .out = path("file/out")});
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("## Trends"));
  EXPECT_EQ(code, ExitCode::harness_failed);
}

TEST_F(Report, AFolderThatIsNotThereIsAUsageError) {
  EXPECT_THROW(report_night({.folder = path("none")}), UsageError);
}

}  // namespace
}  // namespace ipctorture
