// `explore` as a user meets it: from a planted bug to a bundle that replays step by step, and what
// happens when the bundle, the flags or the person do not play along.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::Not;

nlohmann::json explored(const Ended& run) { return nlohmann::json::parse(run.out, nullptr, false); }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

// The bundle of one find, made anew for each test.
class ExploredBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    const Ended run =
        run_program(scratch_, {"explore", "lost_wakeup", "--time", "30s", "--json", "--quiet",
                               "--seed", "g1:c0ffee", "--out", scratch_.path("out")});
    EXPECT_EQ(run.problem, "");
    ASSERT_EQ(run.exit_code, 1) << run.all();
    const nlohmann::json json = explored(run);
    ASSERT_TRUE(json.contains("failure")) << run.all();
    bundle_ = json["failure"]["bundle"];
    fingerprint_ = json["failure"]["fingerprint"];
  }

  std::string schedule_path() const { return bundle_ + "/schedule.json"; }

  Scratch scratch_;
  std::string bundle_, fingerprint_;
};

TEST_F(ExploredBundle, ReplaysStepByStepInFreshProcesses) {
  for (int launch = 0; launch < 5; ++launch) {
    const Ended replay = run_program(scratch_, {"replay", bundle_});
    EXPECT_EQ(replay.problem, "");
    EXPECT_EQ(replay.exit_code, 1) << replay.all();
    EXPECT_THAT(replay.out, HasSubstr("reproduced 5/5, step by step"));
    EXPECT_THAT(replay.out, HasSubstr(fingerprint_));
  }
}

TEST_F(ExploredBundle, IsExplainedWithItsInterleaving) {
  const Ended explain = run_program(scratch_, {"explain", bundle_});
  EXPECT_EQ(explain.exit_code, 0) << explain.all();
  EXPECT_THAT(explain.out, HasSubstr("futex_wait"));
  EXPECT_THAT(explain.out, HasSubstr("goes on"));
}

TEST_F(ExploredBundle, IsJudgedAlikeFromItsHistory) {
  EXPECT_EQ(run_program(scratch_, {"recheck", bundle_}).exit_code, 1);
}

TEST_F(ExploredBundle, RegressesWhenStillBroken) {
  const Ended regress = run_program(scratch_, {"regress", bundle_});
  EXPECT_EQ(regress.exit_code, 1) << regress.all();
  EXPECT_THAT(regress.out, HasSubstr("still broken"));
}

// A bundle of the twin, whose code differs: strict replay parts from the record, regress finds
// nothing.
TEST_F(ExploredBundle, OfCodeThatWasMendedDivergesAndDoesNotRegress) {
  const std::string path = bundle_ + "/scenario.json";
  std::string scenario = text_of(path);
  const std::size_t at = scenario.find("\"lost_wakeup\"");
  ASSERT_NE(at, std::string::npos);
  scenario.replace(at, 13, "\"lost_wakeup_twin\"");
  write_text(path, scenario);
  const Ended replay = run_program(scratch_, {"replay", bundle_});
  EXPECT_EQ(replay.exit_code, 2) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("diverged at step"));
  EXPECT_THAT(replay.out, HasSubstr("regress " + bundle_));
  const Ended regress = run_program(scratch_, {"regress", bundle_, "--time", "2s"});
  EXPECT_EQ(regress.exit_code, 0) << regress.all();
  EXPECT_THAT(regress.out, HasSubstr("not found again"));
  Child endless(scratch_, {"regress", bundle_, "--time", "1h"});
  const std::string runs = scratch_.path("ipctorture-" + std::to_string(::geteuid()));
  ASSERT_TRUE(endless.until([&] {
    std::error_code none;
    const std::filesystem::directory_iterator entries(runs, none);
    return std::any_of(begin(entries), end(entries), [](const auto& one) {
      return one.path().filename().string().starts_with("run-");
    });
  }));
  endless.signal(SIGINT);
  const Ended interrupted = endless.end();
  EXPECT_EQ(interrupted.exit_code, 130) << interrupted.all();
  EXPECT_THAT(interrupted.out, HasSubstr("interrupted after"));
}

TEST_F(ExploredBundle, WithAnAlteredTraceSaysWhereItParts) {
  auto json = nlohmann::ordered_json::parse(text_of(schedule_path()));
  json["trace"][2][3] = 0xdead;
  write_text(schedule_path(), json.dump());
  const Ended replay = run_program(scratch_, {"replay", bundle_});
  EXPECT_EQ(replay.exit_code, 2) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("diverged at step 3: expected"));
  EXPECT_THAT(replay.out, HasSubstr("0xdead"));
}

TEST_F(ExploredBundle, WithANonsensicalScheduleIsRefused) {
  for (const char* text : {"", "{}", "[1]", "{\"schema\":\"ipctorture-schedule/3\"}"}) {
    write_text(schedule_path(), text);
    const Ended replay = run_program(scratch_, {"replay", bundle_});
    EXPECT_EQ(replay.exit_code, 64) << replay.all();
    EXPECT_THAT(replay.err, HasSubstr("schedule"));
  }
  auto json = nlohmann::ordered_json{{"schema", "ipctorture-schedule/2"},
                                     {"late_lanes", "come_anyway"},
                                     {"kill_lanes", 0},
                                     {"weak_memory", false},
                                     {"questions", false},
                                     {"shortages", false},
                                     {"hostile", false},
                                     {"departures", "0@1:fly=2"},
                                     {"trace_hash", "0"},
                                     {"trace", nlohmann::ordered_json::array()}};
  write_text(schedule_path(), json.dump());
  const Ended replay = run_program(scratch_, {"replay", bundle_});
  EXPECT_EQ(replay.exit_code, 64) << replay.all();
  EXPECT_THAT(replay.err, HasSubstr("0@1:fly=2"));
}

TEST(Explore, ACorrectTwinPasses) {
  const Scratch scratch;
  const Ended run = run_program(
      scratch, {"explore", "lost_wakeup_twin", "--schedules", "20000", "--json", "--quiet"});
  EXPECT_EQ(run.problem, "");
  EXPECT_EQ(run.exit_code, 0) << run.all();
  const nlohmann::json json = explored(run);
  EXPECT_EQ(json["verdict"], "pass");
  EXPECT_GT(json["shared_accesses"], 0);
}

TEST(Explore, ABugThatNeedsAKillIsFound) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"explore", "owner_window", "--time", "30s", "--json",
                                          "--quiet", "--out", scratch.path("out")});
  EXPECT_EQ(run.problem, "");
  EXPECT_EQ(run.exit_code, 1) << run.all();
  EXPECT_THAT(std::string(explored(run)["failure"]["departures"]), HasSubstr("kill"));
}

TEST(Explore, InterruptedItEndsInOrderAndLeavesNothing) {
  const Scratch scratch;
  Child child(scratch, {"explore", "shm_ring", "--time", "60s"});
  EXPECT_TRUE(child.says("seed"));
  child.signal(SIGINT);
  const Ended ended = child.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_EQ(ended.problem, "");
}

TEST(Explore, ResumedItDoesNotRepeatWhatIsDone) {
  const Scratch scratch;
  const std::string state = scratch.path("state.json");
  std::vector<std::string> command = {"explore", "shm_ring", "--schedules", "3000", "--jobs",
                                      "1",       "--quiet",  "--resume",    state};
  EXPECT_EQ(run_program(scratch, command).exit_code, 0);
  const auto first = nlohmann::json::parse(text_of(state));
  EXPECT_FALSE(first["transports"][0]["complete"].empty());
  command[3] = "60000";
  const Ended second = run_program(scratch, command);
  EXPECT_EQ(second.exit_code, 0) << second.all();
  const auto later = nlohmann::json::parse(text_of(state));
  EXPECT_EQ(later["seed"], first["seed"]);
  EXPECT_GT(later["transports"][0]["complete"].size(), first["transports"][0]["complete"].size());
  write_text(state, "{\"schema\": 1}");
  const Ended refused = run_program(scratch, command);
  EXPECT_EQ(refused.exit_code, 64) << refused.all();
  EXPECT_THAT(refused.err, HasSubstr("state.json"));
}

TEST(Explore, WrongFlagsAreNamed) {
  const Scratch scratch;
  const Ended unknown = run_program(scratch, {"explore", "shm_rnig"});
  EXPECT_EQ(unknown.exit_code, 64);
  EXPECT_THAT(unknown.err, HasSubstr("shm_ring"));
  EXPECT_EQ(run_program(scratch, {"explore", "pipe", "--jobs", "0"}).exit_code, 64);
  EXPECT_EQ(run_program(scratch, {"explore", "pipe", "--time", "soon"}).exit_code, 64);
  EXPECT_EQ(run_program(scratch, {"regress", scratch.path("nothing")}).exit_code, 64);
}

// What the free engine finds is looked for under control.
TEST(Explore, AFailureOfRunBecomesExact) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"run", "private_futex", "--runs", "200", "--fail-fast",
                                          "--launch", "fork", "--seed", "g1:c0ffee", "--hand-over",
                                          "30s", "--json", "--out", scratch.path("out")});
  EXPECT_EQ(run.exit_code, 1) << run.all();
  std::string bundle;
  for (const std::string& line : lines_of(run.out)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_object() && event["event"] == "exact") bundle = event["bundle"];
  }
  ASSERT_FALSE(bundle.empty()) << run.all();
  const Ended replay = run_program(scratch, {"replay", bundle});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("step by step"));
}

// A part of a run's time is the controlled engine's.
TEST(Explore, RunFindsWhatTheKernelsScheduleWouldNot) {
  const Scratch scratch;
  const Ended run =
      run_program(scratch, {"run", "taken_flag", "--time", "20s", "--control", "100", "--fail-fast",
                            "--json", "--seed", "g1:1", "--out", scratch.path("out")});
  EXPECT_EQ(run.exit_code, 1) << run.all();
  EXPECT_EQ(run.problem, "");
  EXPECT_THAT(run.out, HasSubstr("\"engine\":\"controlled\""));
  EXPECT_THAT(run.out, HasSubstr("\"verdict\":\"violation\""));
}

TEST(Explore, InterruptedInItsShareARunEndsInOrder) {
  const Scratch scratch;
  Child run(scratch, {"run", "pipe", "--time", "60s", "--control", "100"});
  ASSERT_TRUE(run.says("pipe under control")) << run.said();
  run.signal(SIGINT);
  const Ended ended = run.end();
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_EQ(ended.problem, "");
}

TEST(Explore, ScoreMeasuresABugAndItsTwin) {
  const Scratch scratch;
  const Ended score =
      run_program(scratch,
                  {"score", "lost_wakeup", "--time", "20s", "--twin-time", "1s", "--seeds", "1",
                   "--json", "--out", scratch.path("out"), "--page", scratch.path("page.md")},
                  {.environment = {"IPCTORTURE_CONTROL=40"}});
  EXPECT_EQ(score.exit_code, 0) << score.all();
  EXPECT_EQ(score.problem, "");
  const auto json = nlohmann::json::parse(score.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << score.all();
  EXPECT_EQ(json["bug"], "lost_wakeup");
  EXPECT_EQ(json["runs"][0]["caught"], true);
  EXPECT_EQ(json["runs"][0]["engine"], "controlled");
  EXPECT_EQ(json["twin"][0]["caught"], false);
  EXPECT_EQ(json["exact"], true);
  EXPECT_EQ(json["hits"], json["attempts"]);
  EXPECT_THAT(json["size"].get<std::string>(), HasSubstr("departure"));
  EXPECT_THAT(text_of(scratch.path("page.md")), HasSubstr("| lost_wakeup | 1/1 |"));
  EXPECT_EQ(run_program(scratch, {"score", "pipe"}).exit_code, 64);
}

TEST(Explore, AMutantIsFoundByName) {
  const Scratch scratch;
  const Ended run = run_program(scratch, {"explore", "shm_ring__lose", "--schedules", "5000",
                                          "--json", "--quiet", "--out", scratch.path("out")});
  EXPECT_EQ(run.exit_code, 1) << run.all();
  EXPECT_THAT(run.out, HasSubstr("delivery"));
  EXPECT_EQ(run_program(scratch, {"explore", "shm_ring__bend"}).exit_code, 64);
}

}  // namespace
}  // namespace ipctorture
