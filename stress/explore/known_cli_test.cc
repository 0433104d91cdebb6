// known.toml as a user meets it: what is known fails nothing and stops nothing, what expired or is
// gone fails the run, and what makes no sense is refused before anything runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* leak = "leaks/nothing left behind/descriptors";

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

std::string entry(const std::string& transport, const std::string& print,
                  const std::string& expires = "9999-12-31", const std::string& more = "") {
  return "[[known]]\ntransport = \"" + transport + "\"\nfingerprint = \"" + print +
         "\"\nreason = \"waits for a fix\"\nlink = \"https://example.org/1\"\nexpires = " +
         expires + "\n" + more;
}

class Known : public ::testing::Test {
 protected:
  void list(const std::string& text) const { write_text(scratch_.path("known.toml"), text); }
  Ended run(const std::vector<std::string>& arguments) const {
    const Ended ended = run_program(scratch_, arguments);
    EXPECT_EQ(ended.problem, "");
    return ended;
  }
  // The JSON lines of one event.
  static std::vector<nlohmann::json> events(const Ended& run, std::string_view event) {
    std::vector<nlohmann::json> found;
    for (const std::string& line : lines_of(run.out)) {
      auto json = nlohmann::json::parse(line, nullptr, false);
      if (json.is_object() && json["event"] == event) found.push_back(std::move(json));
    }
    return found;
  }

  Scratch scratch_;
};

TEST_F(Known, AFailureFailsNothingAndStopsNothing) {
  list(entry("pipe_*", leak));
  const Ended ended = run({"run", "pipe__leak", "--runs", "200", "--seed", "g1:c0ffee",
                           "--fail-fast", "--junit", "results.xml"});
  EXPECT_EQ(ended.exit_code, 0) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("KNOWN pipe__leak: "));
  EXPECT_THAT(ended.out, HasSubstr("fingerprint: " + std::string(leak)));
  EXPECT_THAT(ended.out, HasSubstr("waits for a fix, https://example.org/1, until 9999-12-31"));
  EXPECT_THAT(ended.out, HasSubstr("200 scenarios, "));
  EXPECT_THAT(ended.out, HasSubstr("known failures: 1 of 1 reproduced"));
  EXPECT_THAT(text_of(scratch_.path("results.xml")), HasSubstr("<skipped type=\"known\""));
}

// A user copies the fingerprint from there.
TEST_F(Known, AFailureThatIsNotShowsItsFingerprint) {
  list(entry("tcp", leak));
  const Ended ended =
      run({"run", "pipe__leak", "--runs", "200", "--seed", "g1:c0ffee", "--fail-fast"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("\n  fingerprint: " + std::string(leak) + "\n"));
  EXPECT_THAT(ended.out, HasSubstr("\n    fingerprint: " + std::string(leak) + "\n"));
}

TEST_F(Known, AnExpiredEntryIsNoneAndFailsTheRun) {
  list(entry("pipe__leak", leak, "2026-01-31"));
  const Ended ended =
      run({"run", "pipe__leak", "--runs", "200", "--seed", "g1:c0ffee", "--fail-fast"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("VIOLATION pipe__leak"));
  EXPECT_THAT(ended.out, HasSubstr("known.toml:1: " + std::string(leak) +
                                   " of pipe__leak expired on 2026-01-31"));
  // Even where it did not happen.
  list(entry("canary_none", leak, "2026-01-31"));
  const Ended calm = run({"run", "canary_none", "--case", "2"});
  EXPECT_EQ(calm.exit_code, 1) << calm.all();
  EXPECT_THAT(calm.out, HasSubstr("expired on 2026-01-31"));
}

TEST_F(Known, AnEntryThatAWholeRunDoesNotSeeFailsIt) {
  list(entry("canary_none", leak));
  const Ended whole = run({"run", "canary_none", "--time", "3s", "--control", "40", "--json"});
  EXPECT_EQ(whole.exit_code, 1) << whole.all();
  const auto entries = events(whole, "known_entry");
  ASSERT_THAT(entries, SizeIs(1));
  EXPECT_EQ(entries[0]["state"], "gone");
  EXPECT_EQ(entries[0]["entry"], "known.toml:1");
  for (const std::vector<std::string>& part :
       {std::vector<std::string>{"--runs", "3"}, {"--case", "2"}, {"--time", "1s"}}) {
    std::vector<std::string> arguments{"run", "canary_none", "--control", "40", "--json"};
    arguments.insert(arguments.end(), part.begin(), part.end());
    const Ended ended = run(arguments);
    EXPECT_EQ(events(ended, "known_entry").at(0)["state"], "unseen");
    EXPECT_EQ(events(ended, "known_entry").at(0)["fails"], false);
  }
}

TEST_F(Known, TheControlledShareOfARunGoesPastIt) {
  list(entry("pipe__leak", leak));
  const Ended ended = run({"run", "pipe__leak", "--time", "6s", "--control", "80", "--json"});
  EXPECT_THAT(events(ended, "failure"), IsEmpty());
  const auto known = events(ended, "known");
  ASSERT_THAT(known, SizeIs(1)) << ended.all();
  EXPECT_EQ(known[0]["fingerprint"], leak);
  EXPECT_EQ(known[0]["engine"], "controlled");
  EXPECT_EQ(events(ended, "known_entry").at(0)["state"], "seen");
}

TEST_F(Known, ExploreGoesOnAndFindsAnother) {
  const std::vector<std::string> command = {"explore", "mutual_full_buffers",
                                            "--time",  "20s",
                                            "--seed",  "g1:1",
                                            "--json",  "--quiet",
                                            "--jobs",  "1"};
  const auto first = nlohmann::json::parse(run(command).out);
  const std::string print = first["failure"]["fingerprint"];
  list(entry("mutual_*", print));
  const Ended ended = run(command);
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["known"][0]["fingerprint"], print);
  EXPECT_NE(json["failure"]["fingerprint"], print);
  // Its schedule shows the known one too, and the bundle is about the other all the same.
  const std::string bundle = json["failure"]["bundle"];
  const Ended replay = run({"replay", bundle});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("reproduced 5/5, step by step"));
  EXPECT_THAT(replay.out, HasSubstr(json["failure"]["fingerprint"]));
}

// A race ends every schedule where it happens: beyond a known one races are not looked for.
TEST_F(Known, ExploreLooksBeyondARace) {
  list(entry("fcntl_lock_dropped", "integrity/no data race/race"));
  const Ended ended = run(
      {"explore", "fcntl_lock_dropped", "--time", "30s", "--seed", "g1:1", "--json", "--quiet"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  const auto json = nlohmann::json::parse(ended.out);
  EXPECT_EQ(json["failure"]["promise"], "delivery");
  const Ended replay = run({"replay", json["failure"]["bundle"]});
  EXPECT_EQ(replay.exit_code, 1) << replay.all();
  EXPECT_THAT(replay.out, HasSubstr("reproduced 5/5, step by step"));
}

TEST_F(Known, ExploreWithNothingElseIsKnown) {
  list(entry("pipe__leak", leak));
  const Ended ended = run({"explore", "pipe__leak", "--schedules", "1500", "--seed", "g1:1"});
  EXPECT_EQ(ended.exit_code, 0) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("pipe__leak: known"));
  EXPECT_THAT(ended.out, HasSubstr("known (known.toml:1): " + std::string(leak)));
  list(entry("pipe__leak", leak, "2026-01-31"));
  const Ended expired =
      run({"explore", "pipe__leak", "--schedules", "1500", "--seed", "g1:1", "--quiet"});
  EXPECT_EQ(expired.exit_code, 1) << expired.all();
  EXPECT_THAT(expired.err, HasSubstr("expired on 2026-01-31"));
}

// A bundle is asked, where the failure was not seen.
TEST_F(Known, ABundleTellsWhetherItStillHappens) {
  const auto json = nlohmann::json::parse(run({"explore", "lost_wakeup", "--time", "30s", "--json",
                                               "--quiet", "--seed", "g1:c0ffee", "--out", "out"})
                                              .out);
  const std::string print = json["failure"]["fingerprint"], bundle = json["failure"]["bundle"];
  const std::string named = "bundle = \"" + bundle + "\"\n";
  list(entry("lost_wakeup*", print, "9999-12-31", named));
  const std::vector<std::string> few = {"--schedules", "1", "--jobs", "1", "--quiet"};
  const auto explore = [&](const char* transport) {
    std::vector<std::string> arguments{"explore", transport};
    arguments.insert(arguments.end(), few.begin(), few.end());
    return run(arguments);
  };
  const Ended still = explore("lost_wakeup");
  EXPECT_NE(still.exit_code, 1) << still.all();
  EXPECT_THAT(still.err, HasSubstr("was not seen, but its bundle shows it still"));

  // Of code that was mended: the bundle as if it were of the twin.
  const std::string path = scratch_.path(bundle + "/scenario.json");
  std::string scenario = text_of(path);
  scenario.replace(scenario.find("\"lost_wakeup\""), 13, "\"lost_wakeup_twin\"");
  write_text(path, scenario);
  const Ended gone = explore("lost_wakeup_twin");
  EXPECT_EQ(gone.exit_code, 1) << gone.all();
  EXPECT_THAT(gone.err, HasSubstr("is gone: neither seen, nor near the schedule of its bundle"));

  list(entry("lost_wakeup*", leak, "9999-12-31", named));
  const Ended foreign = run({"run", "lost_wakeup"});
  EXPECT_EQ(foreign.exit_code, 64) << foreign.all();
  EXPECT_THAT(foreign.err, AllOf(HasSubstr("known.toml:1: bundle: "), HasSubstr(print)));
}

TEST_F(Known, WhatMakesNoSenseIsRefusedInOneLine) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& says) {
    for (const char* verb : {"run", "explore"}) {
      std::vector<std::string> arguments{verb, "pipe", "--time", "1s"};
      arguments.insert(arguments.end(), more.begin(), more.end());
      const Ended ended = run(arguments);
      EXPECT_EQ(ended.exit_code, 64) << ended.all();
      EXPECT_THAT(ended.out, IsEmpty());
      EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
      EXPECT_THAT(ended.err, AllOf(StartsWith("ipctorture: "), HasSubstr(says)));
    }
  };
  refused({"--known", "missing.toml"}, "missing.toml: No such file");
  list("[[known]]\nreson = 1\n");
  refused({}, "known.toml:2: reson is no key of an entry");
  list(entry("pip", leak));
  refused({}, "known.toml:1: transport: unknown transport 'pip'");
  list(entry("pipe", leak, "9999-12-31", "bundle = \"missing\"\n"));
  refused({}, "known.toml:1: bundle: missing: No such file");
  list(std::string(70'000, '#'));
  refused({}, "known.toml: is above 64 KiB");
  std::filesystem::remove(scratch_.path("known.toml"));
  std::filesystem::create_directory(scratch_.path("known.toml"));
  refused({}, "known.toml: Is a directory");
  // An empty name: no file at all.
  EXPECT_EQ(run({"run", "pipe", "--known", "", "--dry-run"}).exit_code, 0);
}

// What a team lives with changes no score: a run that reads this file ends with 64.
TEST_F(Known, AScoreDoesNotReadIt) {
  list("no TOML");
  const Ended score = run_program(scratch_,
                                  {"score", "lost_wakeup", "--time", "20s", "--twin-time", "1s",
                                   "--seeds", "1", "--json", "--quiet", "--out", "out"},
                                  {.environment = {"IPCTORTURE_CONTROL=40"}});
  EXPECT_EQ(score.problem, "");
  EXPECT_THAT(score.out, HasSubstr("\"caught\":true"));
}

}  // namespace
}  // namespace ipctorture
