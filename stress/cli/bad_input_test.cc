// What a user mistypes, and bundles that were cut, altered, or made to do harm: exit code 64 with
// one line that says what and where, quickly, with nothing written.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "stress/cli/child.h"
#include "stress/cli/footprint.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// --- the command line
// ------------------------------------------------------------------------------

struct Slip {
  const char* name;
  std::vector<std::string> arguments;
  const char* answer;  // what the one line must hold
};

class CommandLine : public testing::TestWithParam<Slip> {};

TEST_P(CommandLine, IsRefusedInOneLine) {
  const Scratch scratch;
  const std::string before = inventory(scratch.path());
  const Ended ended = run_program(scratch, GetParam().arguments);
  EXPECT_EQ(ended.exit_code, 64) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, IsEmpty());
  EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
  EXPECT_THAT(ended.err, AllOf(StartsWith("ipctorture: "), HasSubstr(GetParam().answer)));
  EXPECT_EQ(inventory(scratch.path()), before);
}

INSTANTIATE_TEST_SUITE_P(
    Slips, CommandLine,
    testing::Values(
        Slip{"Transport", {"run", "shm_queu"}, "'shm_queu', did you mean 'shm_queue'?"},
        Slip{"StrangeTransport", {"run", "zzzzzzzz"}, "`ipctorture list` shows all"},
        Slip{"ExcludedTransport", {"run", "--exclude", "pip"}, "did you mean 'pipe'?"},
        Slip{"Flag", {"run", "--sed", "g1:1"}, "'--sed', did you mean '--seed'?"},
        Slip{"FlagOfAnotherVerb", {"list", "--attempts=3"}, "unknown flag '--attempts'"},
        Slip{"Verb", {"rnu"}, "'rnu', did you mean 'run'?"},
        Slip{"StrangeVerb",
             {"zzzzzzzz"},
             "there are run, explore, list, replay, regress, shrink, show, recheck, "
             "explain, doctor"},
        Slip{"Number", {"run", "--runs", "0"}, "--runs"},
        Slip{"HugeNumber", {"run", "--runs", "99999999999999999999"}, "--runs"},
        Slip{"Time", {"run", "--time", "5"}, "--time"},
        Slip{"EndlessTime", {"run", "--time", "inf"}, "--time"},
        Slip{"Seed", {"run", "--seed", "g1:xyz"}, "--seed"},
        Slip{"SeedOfAnotherGenerator", {"run", "--seed", "g9:1"}, "generator"},
        Slip{"Shard", {"run", "--shard", "3/2"}, "--shard"},
        Slip{"Case", {"run", "--case", "0"}, "--case"},
        Slip{"JunitFile", {"run", "--junit", "no/such.xml"}, "--junit: cannot write 'no/such.xml'"},
        Slip{"JunitFolder", {"run", "--junit", "/"}, "Is a directory"},
        Slip{"ExportOfAll", {"run", "--runs", "1", "--export", "h"}, "--export: of one transport"},
        Slip{"ExportOfMany",
             {"run", "pipe", "--runs", "2", "--export", "h"},
             "of one scenario (--runs 1 or --case K); this run has more"},
        Slip{"ExportForATime", {"run", "pipe", "--export", "h"}, "give --runs 1 or --case K"},
        Slip{"ExportOfNothing",
             {"run", "pipe", "--runs=1", "--seed=g1:1", "--shard=2/2", "--export", "h"},
             "this run has none"},
        Slip{"ExportOfShortMessages",
             {"run", "pipe", "--case", "3", "--seed", "g1:1", "--export", "h"},
             "messages of less than 8 bytes do not name themselves; --case 6 has one"},
        Slip{"ExportOfTwoQueues",
             {"run", "pipe", "--case", "4", "--seed", "g1:1", "--export", "h"},
             "requests and replies are two queues, not one; --case 6 has one"},
        Slip{"ExportToNothing",
             {"run", "pipe", "--runs", "1", "--export", "no/such.txt"},
             "no/such.txt: cannot be written: No such file"},
        Slip{"Launch", {"run", "--launch", "frok"}, "did you mean 'fork'?"},
        Slip{"Colour", {"run", "--color", "alway"}, "did you mean 'always'?"},
        Slip{"Config", {"run", "--config", "missing.toml"}, "missing.toml: No such file"},
        Slip{"ControlCharacters", {"run", "\x1b]0;hi\x07"}, "unknown transport"},
        Slip{"Bundle", {"replay", "missing"}, "missing: No such file or directory"},
        Slip{"NoBundle", {"recheck"}, "path"},
        Slip{"ScoredTransport", {"score", "--transport", "pip"}, "did you mean 'pipe'?"},
        Slip{
            "ScoredMutant", {"score", "--transport", "pipe__lose"}, "the transport itself, 'pipe'"},
        Slip{"ScoredCanary", {"score", "--transport", "canary_lose"}, "is a canary"},
        Slip{"ScoredWithBugs", {"score", "lost_wakeup", "--transport", "pipe"}, "'lost_wakeup'"},
        Slip{"ScoredWithTwins",
             {"score", "--transport", "pipe", "--twin-time", "1s"},
             "it is --mutant-time"},
        Slip{"ScoredOntoNothing",
             {"score", "lost_wakeup", "--page", "/nonexistent/page.md"},
             "cannot write '/nonexistent/page.md'"},
        Slip{"ScoredControl", {"score", "lost_wakeup", "--control", "abc"}, "'abc'"},
        Slip{"MutantsOfBugs", {"score", "--mutant-time", "1s"}, "goes with --transport"},
        Slip{"Seeds", {"score", "--transport", "pipe", "--seeds", "0"}, "--seeds"},
        Slip{"PlainTransport", {"score", "pipe"}, "score --transport pipe"}),
    [](const auto& one) { return one.param.name; });

TEST(CommandLine, AnEscapeSequenceIsNotSentBack) {
  const Scratch scratch;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "\x1b]0;hi\x07"}, std::vector<std::string>{"\x1b[2J"},
        std::vector<std::string>{"run", "--\x1b[2J"},
        std::vector<std::string>{"recheck", "\x1b[2J"}}) {
    const Ended ended = run_program(scratch, arguments);
    EXPECT_EQ(ended.exit_code, 64) << ended.all();
    EXPECT_THAT(ended.all(), Not(HasSubstr("\x1b")));
  }
}

TEST(CommandLine, AWrongSettingsFileIsNamedWithItsLine) {
  const Scratch scratch;
  std::ofstream(scratch.path("ipctorture.toml")) << "# mine\ntme = \"30s\"\n";
  const Ended ended = run_program(scratch, {"run", "pipe", "--runs", "1"});
  EXPECT_EQ(ended.exit_code, 64) << ended.all();
  EXPECT_THAT(lines_of(ended.err), SizeIs(1));
  EXPECT_THAT(ended.err, HasSubstr("ipctorture.toml:2: tme is no setting, did you mean 'time'?"));
}

// --- bundles
// ---------------------------------------------------------------------------------------

class BadBundle : public testing::Test {
 protected:
  // A real one, of a transport that loses messages, as "bundle".
  void SetUp() override {
    const Ended ended = run_program(
        scratch_, {"run", "canary_lose", "--runs", "30", "--fail-fast", "--out", "made"});
    ASSERT_EQ(ended.exit_code, 1) << ended.all();
    for (const auto& entry : fs::directory_iterator(scratch_.path("made"))) {
      if (entry.is_directory()) original_ = entry.path();
    }
    ASSERT_FALSE(original_.empty()) << ended.all();
    const Ended good = run_program(scratch_, {"explain", original_});
    ASSERT_EQ(good.exit_code, 0) << good.all();
  }

  std::string bundle() const { return scratch_.path("bundle"); }
  std::string file(std::string_view name) const { return bundle() + "/" + std::string(name); }
  void renew() {
    fs::remove_all(bundle());
    fs::copy(original_, bundle());
  }
  void write(std::string_view name, std::string_view bytes) const {
    std::ofstream(file(name), std::ios::binary | std::ios::trunc) << bytes;
  }
  // The value of a key, up to the next comma or line.
  void set(std::string_view name, const std::string& key, std::string_view value) const {
    std::string text = text_of(file(name));
    auto at = text.find("\"" + key + "\":");
    ASSERT_NE(at, std::string::npos) << key << " in " << name;
    at += key.size() + 3;
    text.replace(at, text.find_first_of(",\n", at) - at, " " + std::string(value));
    write(name, text);
  }

  // Each verb refuses what `spoil` made of a fresh copy, naming `where`, and writes nothing.
  void expect_refused(const std::function<void()>& spoil, const std::string& where,
                      const std::vector<std::string>& verbs = {"recheck", "explain", "replay",
                                                               "shrink"}) {
    renew();
    spoil();
    const std::string before = inventory(scratch_.path());
    for (const std::string& verb : verbs) {
      const Ended ended = run_program(scratch_, {verb, bundle()});
      EXPECT_EQ(ended.exit_code, 64) << verb << " " << where << ": " << ended.all();
      EXPECT_THAT(ended.problem, IsEmpty());
      EXPECT_THAT(ended.out, IsEmpty()) << verb << " " << where;
      EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << verb << " " << where << ": " << ended.err;
      EXPECT_THAT(ended.err, AllOf(StartsWith("ipctorture: "), HasSubstr(where))) << verb;
      EXPECT_THAT(ended.err, Not(HasSubstr("\x1b"))) << verb << " " << where;
      EXPECT_EQ(inventory(scratch_.path()), before) << verb << " " << where;
    }
  }

  const Scratch scratch_;
  std::string original_;
};

constexpr const char* all_files[] = {"manifest.json", "scenario.json", "history.bin",
                                     "evidence.json", "judgement.json"};

TEST_F(BadBundle, AMissingFile) {
  for (const char* name : all_files) {
    expect_refused([&] { fs::remove(file(name)); }, std::string(name) + ": No such file");
  }
}

TEST_F(BadBundle, ACutFile) {
  for (const char* name : all_files) {
    expect_refused([&] { fs::resize_file(file(name), fs::file_size(file(name)) / 2); }, name);
    expect_refused([&] { fs::resize_file(file(name), 0); }, name);
  }
}

// Sparse: a terabyte that takes no room.
TEST_F(BadBundle, AHugeFile) {
  for (const char* name : all_files) {
    expect_refused([&] { fs::resize_file(file(name), std::uintmax_t{1} << 40); },
                   std::string(name) + ": 1099511627776 bytes, at most ");
  }
}

TEST_F(BadBundle, ASymbolicLinkToOutside) {
  for (const char* name : all_files) {
    const auto link = [&] {
      const std::string outside = scratch_.path("outside");
      std::error_code none;
      fs::rename(file(name), outside, none);
      fs::create_symlink(outside, file(name));
    };
    expect_refused(link, std::string(name) + ": is a symbolic link");
  }
}

TEST_F(BadBundle, APipeOrADirectoryInsteadOfAFile) {
  for (const char* name : all_files) {
    const auto pipe = [&] {
      fs::remove(file(name));
      ASSERT_EQ(::mkfifo(file(name).c_str(), 0600), 0);
    };
    expect_refused(pipe, std::string(name) + ": is not a regular file");
  }
  const auto directory = [&] {
    fs::remove(file("scenario.json"));
    fs::create_directory(file("scenario.json"));
  };
  expect_refused(directory, "scenario.json: is not a regular file");
}

TEST_F(BadBundle, NotJsonOrNoise) {
  std::string noise(4096, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * 2654435761u >> 9);
  for (const char* name : all_files) {
    expect_refused([&] { write(name, noise); }, name);
    expect_refused([&] { write(name, "\x1b[2J not json"); }, name);
    expect_refused([&] { write(name, std::string(60'000, '[')); }, name);
  }
  expect_refused([&] { write("scenario.json", "{}"); }, "scenario.json");
  expect_refused([&] { write("manifest.json", "null"); }, "manifest.json");
}

TEST_F(BadBundle, AnAlteredHistory) {
  const auto flip = [&] {
    std::string bytes = text_of(file("history.bin"));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write("history.bin", bytes);
  };
  expect_refused(flip, "history.bin: altered");
  expect_refused([&] { set("manifest.json", "records", "1"); }, "manifest.json");
}

TEST_F(BadBundle, NamesThatLeadOut) {
  expect_refused([&] { set("scenario.json", "transport", R"("../../../etc/passwd")"); },
                 "scenario.json");
  expect_refused([&] { set("scenario.json", "transport", R"("/etc/passwd")"); }, "scenario.json");
  expect_refused([&] { set("scenario.json", "transport", R"("\u001b[2J")"); }, "scenario.json");
  expect_refused([&] { set("scenario.json", "transport", R"("gone_transport")"); },
                 "gone_transport");
}

TEST_F(BadBundle, NumbersBeyondMeasure) {
  for (const char* key : {"producers", "consumers", "threads", "messages", "capacity"}) {
    expect_refused([&] { set("scenario.json", key, "18446744073709551615"); }, "scenario.json");
    expect_refused([&] { set("scenario.json", key, "-1"); }, "scenario.json");
    expect_refused([&] { set("scenario.json", key, "1e400"); }, "scenario.json");
  }
}

// Texts of a stranger go to a terminal: whatever they hold, no escape sequence gets through.
TEST_F(BadBundle, EscapeSequencesInTextsAreNotShown) {
  renew();
  for (const char* key : {"replay", "seed", "truncated", "compiler"}) {
    set("manifest.json", key, R"("\u001b]0;hi\u0007 \u009b2J")");
  }
  std::string judgement = text_of(file("judgement.json"));
  const std::string what = "\"what\": \"";
  for (std::size_t at = 0; (at = judgement.find(what, at)) != std::string::npos;) {
    at += what.size();
    judgement.insert(at, "\\u001b[2J");
  }
  write("judgement.json", judgement);
  for (const char* verb : {"recheck", "explain"}) {
    const Ended ended = run_program(scratch_, {verb, bundle()});
    EXPECT_THAT(ended.problem, IsEmpty());
    EXPECT_THAT(ended.all(), Not(HasSubstr("\x1b"))) << verb;
    EXPECT_THAT(ended.all(), Not(HasSubstr("\xc2\x9b"))) << verb;
    if (verb == std::string("explain")) {
      EXPECT_THAT(ended.out, HasSubstr("[2J")) << "harmless text";
    }
  }
}

// The bundle itself may be reached by a link, such as ipctorture-out/latest; nothing is written
// there even when it could be.
TEST_F(BadBundle, AGoodOneIsOnlyRead) {
  renew();
  fs::create_directory_symlink(bundle(), scratch_.path("link"));
  const std::string before = inventory(scratch_.path());
  EXPECT_EQ(run_program(scratch_, {"recheck", "link"}).exit_code, 1);
  EXPECT_EQ(run_program(scratch_, {"explain", "link"}).exit_code, 0);
  EXPECT_EQ(inventory(scratch_.path()), before);
}

TEST_F(BadBundle, AScenarioFileThatIsNone) {
  const auto replay_of = [&](const std::string& path, const char* where) {
    const Ended ended = run_program(scratch_, {"replay", path});
    EXPECT_EQ(ended.exit_code, 64) << ended.all();
    EXPECT_THAT(lines_of(ended.err), SizeIs(1)) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(where));
  };
  renew();
  replay_of(file("history.bin"), "history.bin");
  replay_of(file("manifest.json"), "manifest.json");
  replay_of("/dev/zero", "/dev/zero");
  replay_of("/proc/self/mem", "/proc/self/mem");
  replay_of("", "No such file");
}

}  // namespace
}  // namespace ipctorture
