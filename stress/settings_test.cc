#include "stress/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Settings::Value value(std::string text) { return {std::move(text), "--x"}; }

template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Duration, Units) {
  EXPECT_EQ(parse_duration_ns(value("500ms")), 500'000'000);
  EXPECT_EQ(parse_duration_ns(value("10s")), 10'000'000'000);
  EXPECT_EQ(parse_duration_ns(value("2m")), 120'000'000'000);
  EXPECT_EQ(parse_duration_ns(value("1h")), 3'600'000'000'000);
  EXPECT_EQ(parse_duration_ns(value("1.5s")), 1'500'000'000);
  EXPECT_EQ(parse_duration_ns(value("720h")), 2'592'000'000'000'000);
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text : {"", "10", "s", "-5s", "0s", "1e9s", "10 s", "10sec", "721h", "nan s",
                           "infs", "5m3", "0.0001ms"}) {
    EXPECT_THAT(refusal([&] { parse_duration_ns(value(text)); }), HasSubstr("--x: '")) << text;
  }
}

TEST(Count, Bounds) {
  EXPECT_EQ(parse_count(value("7"), 1, 10), 7u);
  for (const char* text : {"0", "11", "-1", "+3", "1.5", "", "7x", "99999999999999999999"}) {
    EXPECT_THAT(refusal([&] { parse_count(value(text), 1, 10); }), HasSubstr("from 1 to 10"));
  }
}

TEST(Seed, RoundTrip) {
  EXPECT_EQ(parse_seed(value(seed_text(0xc0ffee))), 0xc0ffeeu);
  EXPECT_EQ(parse_seed(value(seed_text(~0ull))), ~0ull);
}

TEST(Seed, AnotherGeneratorIsRefusedWithAnExplanation) {
  const std::string other = "g" + std::to_string(generator_version + 1) + ":1";
  const std::string text = refusal([&] { parse_seed(value(other)); });
  EXPECT_THAT(text, HasSubstr("of generator " + std::to_string(generator_version + 1)));
  EXPECT_THAT(text, HasSubstr("bundle"));
}

TEST(Seed, RefusesWhatIsNone) {
  for (const char* text :
       {"", "c0ffee", "g1", "g1:", ":1", "g:1", "g1:xyz", "g1:12345678901234567"}) {
    EXPECT_THAT(refusal([&] { parse_seed(value(text)); }), HasSubstr("no seed")) << text;
  }
}

TEST(Shard, EveryCaseHasOneOwner) {
  for (std::uint64_t k = 1; k < 50; ++k) {
    unsigned owners = 0;
    for (unsigned i = 1; i <= 5; ++i) {
      owners += parse_shard(value(std::to_string(i) + "/5")).has(k) ? 1 : 0;
    }
    EXPECT_EQ(owners, 1u);
  }
  for (const char* text : {"0/5", "6/5", "1/0", "1", "/", "a/b", "-1/5"}) {
    EXPECT_THAT(refusal([&] { parse_shard(value(text)); }), HasSubstr("no shard"));
  }
}

TEST(LaunchName, NearestIsNamed) {
  EXPECT_EQ(parse_launch(value("exec")), Launch::exec);
  EXPECT_THAT(refusal([] { parse_launch(value("frok")); }), HasSubstr("'fork'"));
}

TEST(SettingsLayers, FlagBeforeEnvironmentBeforeFile) {
  const auto environment = [](const char* name) -> const char* {
    const std::string_view variable = name;
    if (variable == "IPCTORTURE_TIME") return "2s";
    if (variable == "IPCTORTURE_RUNS") return "2";
    return nullptr;
  };
  Settings settings;
  settings.set_flag("time", "1s");
  settings.read_environment(environment);
  settings.read_toml("time = '3s'\nruns = 3\njobs = 3\n", "ipctorture.toml");
  EXPECT_EQ(settings.find("time")->text, "1s");
  EXPECT_EQ(settings.find("time")->origin, "--time");
  EXPECT_EQ(settings.find("runs")->text, "2");
  EXPECT_EQ(settings.find("runs")->origin, "IPCTORTURE_RUNS");
  EXPECT_EQ(settings.find("jobs")->text, "3");
  EXPECT_EQ(settings.find("jobs")->origin, "ipctorture.toml:3: jobs");
  EXPECT_FALSE(settings.find("seed").has_value());
}

TEST(SettingsFile, ListsAndSwitches) {
  Settings settings;
  settings.read_toml("exclude = ['udp', 'shm_*']\nfail-fast = true\njson = false\n", "f");
  EXPECT_THAT(settings.list("exclude"), ElementsAre("udp", "shm_*"));
  EXPECT_TRUE(settings.on("fail-fast"));
  EXPECT_FALSE(settings.on("json"));
  EXPECT_FALSE(settings.on("quiet"));
}

TEST(SettingsFile, MistakesSayWhere) {
  Settings settings;
  EXPECT_THAT(refusal([&] { settings.read_toml("runs = 1\ntiem = '1s'\n", "my.toml"); }),
              testing::AllOf(HasSubstr("my.toml:2"), HasSubstr("'time'")));
  EXPECT_THAT(refusal([&] { settings.read_toml("time = [[", "my.toml"); }), HasSubstr("my.toml:1"));
  EXPECT_THAT(refusal([&] { settings.read_toml("time = {a = 1}", "my.toml"); }),
              HasSubstr("only texts"));
  EXPECT_THAT(
      refusal([&] { settings.read_toml_file("/no/such/file", Settings::IfMissing::refuse); }),
      HasSubstr("/no/such/file"));
  settings.read_toml_file("/no/such/file", Settings::IfMissing::ignore);
}

TEST(SettingsSwitch, RefusesOtherWords) {
  Settings settings;
  settings.read_toml("json = 'perhaps'", "f");
  EXPECT_THAT(refusal([&] { settings.on("json"); }), HasSubstr("neither true nor false"));
}

TEST(SettingsFlags, RepeatedOnesAddUp) {
  Settings settings;
  settings.add_flag("exclude", "a");
  settings.add_flag("exclude", "b,c");
  EXPECT_THAT(settings.list("exclude"), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace ipctorture
