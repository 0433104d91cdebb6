// What is written comes back, and whatever a stranger puts into a bundle is refused with its place.
#include "harness/report/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <system_error>

#include "harness/base/prng.h"
#include "harness/report/presentable.h"
#include "harness/report/sample_failure.h"
#include "harness/report/window.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Bundle : public testing::Test {
 protected:
  Bundle() {
    std::string name = (fs::temp_directory_path() / "ipctorture-bundle-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "bundle";
  }
  ~Bundle() override { fs::remove_all(folder_); }

  std::string text_of(const char* file) const {
    std::ostringstream text;
    text << std::ifstream(path_ / file, std::ios::binary).rdbuf();
    return text.str();
  }
  void put(const char* file, const std::string& bytes) const {
    fs::remove_all(path_ / file);
    std::ofstream(path_ / file, std::ios::binary) << bytes;
  }
  void replace(const char* file, const std::string& from, const std::string& to) const {
    std::string text = text_of(file);
    const auto at = text.find(from);
    ASSERT_NE(at, text.npos) << from << " in " << text;
    put(file, text.replace(at, from.size(), to));
  }
  // Changes the records and mends the hash, as an attacker would.
  void alter_record(std::size_t index, const std::function<void(Record&)>& change) const {
    std::string bytes = text_of("history.bin");
    Record record;
    std::memcpy(&record, bytes.data() + 32 + 32 * index, sizeof record);
    change(record);
    std::memcpy(bytes.data() + 32 + 32 * index, &record, sizeof record);
    const std::uint64_t hash = XXH3_64bits(bytes.data() + 32, bytes.size() - 32);
    std::memcpy(bytes.data() + 24, &hash, sizeof hash);
    put("history.bin", bytes);
  }
  std::string refused() const {
    try {
      load_bundle(path_);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "accepted";
  }
  void write_afresh() const {
    fs::remove_all(path_);
    write_bundle(path_, sample::failure());
  }

  fs::path folder_, path_;
};

void expect_same(const BundleContent& a, const BundleContent& b) {
  EXPECT_EQ(a.scenario, b.scenario);
  ASSERT_EQ(a.history.lanes.size(), b.history.lanes.size());
  for (std::size_t i = 0; i < a.history.lanes.size(); ++i) {
    const LaneHistory &left = a.history.lanes[i], &right = b.history.lanes[i];
    EXPECT_EQ(left.name(), right.name());
    EXPECT_EQ(left.worker, right.worker);
    ASSERT_EQ(left.records.size(), right.records.size());
    EXPECT_EQ(std::memcmp(left.records.data(), right.records.data(), left.records.size_bytes()), 0);
  }
  ASSERT_EQ(a.history.evidence.size(), b.history.evidence.size());
  for (std::size_t i = 0; i < a.history.evidence.size(); ++i) {
    const Evidence &left = a.history.evidence[i], &right = b.history.evidence[i];
    EXPECT_EQ(std::tie(left.fact, left.lane, left.from, left.to, left.value, left.text),
              std::tie(right.fact, right.lane, right.from, right.to, right.value, right.text));
  }
  EXPECT_EQ(a.history.stamps.ticks_per_ns, b.history.stamps.ticks_per_ns);
  EXPECT_EQ(a.history.stamps.slack_ticks, b.history.stamps.slack_ticks);
  EXPECT_EQ(a.history.serialised, b.history.serialised);
  EXPECT_EQ(std::tie(a.history.continues, a.history.goes_on, a.history.unreceived_known,
                     a.history.unreceived),
            std::tie(b.history.continues, b.history.goes_on, b.history.unreceived_known,
                     b.history.unreceived));
  ASSERT_EQ(a.judgement.findings.size(), b.judgement.findings.size());
  for (std::size_t i = 0; i < a.judgement.findings.size(); ++i) {
    const Finding &left = a.judgement.findings[i], &right = b.judgement.findings[i];
    EXPECT_EQ(std::tie(left.promise, left.verdict, left.occasions, left.what, left.legal, left.term,
                       left.symptom, left.witness),
              std::tie(right.promise, right.verdict, right.occasions, right.what, right.legal,
                       right.term, right.symptom, right.witness));
  }
  EXPECT_EQ(std::tie(a.environment, a.seed, a.replay, a.written, a.output, a.stacks, a.truncated),
            std::tie(b.environment, b.seed, b.replay, b.written, b.output, b.stacks, b.truncated));
}

TEST_F(Bundle, ComesBackAsWritten) {
  const BundleContent content = sample::failure();
  write_bundle(path_, content);
  expect_same(content, load_bundle(path_));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary folder is left";
}

TEST_F(Bundle, ARoundOfASoakKnowsWhatEarlierOnesLeft) {
  BundleContent content = sample::failure();
  content.history.continues = content.history.goes_on = true;
  content.history.unreceived = {{.producer = 0, .sequence = 7, .accepted = true},
                                {.producer = 0, .sequence = (1ull << 54) - 1},
                                {.producer = 255, .sequence = 1}};
  write_bundle(path_, content);
  expect_same(content, load_bundle(path_));
}

TEST_F(Bundle, OfTooMuchThatEarlierRoundsLeftItIsSaid) {
  BundleContent content = sample::failure();
  content.history.continues = true;
  for (std::uint64_t i = 0; i < 5000; ++i) content.history.unreceived.push_back({.sequence = i});
  write_bundle(path_, content);
  const History read = load_bundle(path_).history;
  EXPECT_EQ(read.unreceived.size(), 4096u);
  EXPECT_FALSE(read.unreceived_known);
}

TEST_F(Bundle, IsPrivate) {
  write_bundle(path_, sample::failure());
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  for (const auto& file : fs::directory_iterator(path_)) {
    ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << file.path();
  }
}

TEST_F(Bundle, ReplacesNothing) {
  fs::create_directory(path_);  // even an empty folder, which rename(2) alone would replace
  EXPECT_THROW(write_bundle(path_, sample::failure()), std::system_error);
  EXPECT_TRUE(fs::is_empty(path_));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary folder is left";
  EXPECT_THROW(write_bundle(folder_ / "no" / "such", sample::failure()), std::system_error);
}

TEST_F(Bundle, AnEmptyOneToo) {
  BundleContent content;
  content.scenario.set_transport("pipe");
  write_bundle(path_, content);
  expect_same(content, load_bundle(path_));
}

TEST_F(Bundle, AnyTextIsMadePresentable) {
  BundleContent content = sample::failure();
  content.output = "\x1b[31mred\x1b[0m \xff\xfe caf\xc3\xa9 \xc2\x9b";
  content.history.evidence[1].text = std::string("a\0b\xe2\x80\xae", 6);
  content.judgement.findings[1].what = "bell\a\xc0\xaf";
  write_bundle(path_, content);
  const BundleContent loaded = load_bundle(path_);
  EXPECT_EQ(loaded.output, "?[31mred?[0m ?? caf\xc3\xa9 ??");
  EXPECT_EQ(loaded.history.evidence[1].text, "a?b???");
  EXPECT_EQ(loaded.judgement.findings[1].what, "bell???");
}

TEST_F(Bundle, LongOnesAreCutAndSaySo) {
  BundleContent content = sample::failure(1000);
  content.output = std::string(5000, 'x') + "end";
  content.history.evidence.assign(100, content.history.evidence[0]);
  const BundleLimits limits{.records = 200, .text_bytes = 1000, .evidence_entries = 10};
  write_bundle(path_, content, limits);
  const BundleContent loaded = load_bundle(path_);
  EXPECT_THAT(loaded.truncated, AllOf(HasSubstr("of 2002 records"), HasSubstr("90 pieces")));
  EXPECT_THAT(loaded.output, AllOf(HasSubstr("4067 bytes left out"), HasSubstr("end")));
  EXPECT_EQ(loaded.history.evidence.size(), 10u);
  std::size_t records = 0;
  for (const LaneHistory& lane : loaded.history.lanes) records += lane.records.size();
  EXPECT_LE(records, 200u);
  EXPECT_GE(records, 150u);
  // The witnesses are there, and lead to the same records.
  const auto &before = content.judgement.findings[1].witness,
             &after = loaded.judgement.findings[1].witness;
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Record& then = content.history.lanes[before[i].lane].records[before[i].record];
    const Record& now = loaded.history.lanes[after[i].lane].records[after[i].record];
    EXPECT_EQ(std::memcmp(&then, &now, sizeof then), 0);
  }
  // Writing the loaded one again is no longer cut.
  write_bundle(folder_ / "again", loaded);
  expect_same(loaded, load_bundle(folder_ / "again"));
}

// Whatever is too long in whatever place, the bundle can be read, and written and read again.
TEST_F(Bundle, TheLargestIsReadableAndStable) {
  BundleContent content = sample::failure();
  const std::string quotes(100'000, '"');  // each takes two bytes in JSON
  for (unsigned i = 0; i < promise_count; ++i) {
    Finding finding{.promise = static_cast<Promise>(i),
                    .what = quotes,
                    .legal = quotes,
                    .term = quotes,
                    .symptom = quotes};
    for (unsigned k = 0; k < 30; ++k) finding.witness.push_back({1, 3});
    content.judgement.findings.push_back(finding);
  }
  content.judgement.findings.erase(content.judgement.findings.begin(),
                                   content.judgement.findings.begin() + 3);
  content.history.evidence.assign(2000, {.fact = Fact::machine_stalled,
                                         .from = ~Stamp{0} >> 2,
                                         .to = ~Stamp{0} >> 2,
                                         .value = ~std::uint64_t{0},
                                         .text = quotes.substr(0, 5000)});
  for (int i = 0; i < 90; ++i) content.environment[std::to_string(i) + quotes] = quotes;
  content.replay = content.seed = content.written = content.truncated = quotes;
  content.output = content.stacks = std::string(3 << 20, '\xff');
  write_bundle(path_, content);
  std::uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(path_)) bytes += file.file_size();
  EXPECT_LE(bytes, 64u << 20);
  const BundleContent loaded = load_bundle(path_);
  write_bundle(folder_ / "again", loaded);
  expect_same(loaded, load_bundle(folder_ / "again"));
}

TEST_F(Bundle, AbsentPiecesAreNamed) {
  EXPECT_THAT(refused(), AllOf(HasSubstr("bundle: "), HasSubstr("No such file")));
  for (const char* file : {"manifest.json", "scenario.json", "history.bin", "evidence.json",
                           "judgement.json", "output.txt", "stacks.txt"}) {
    write_afresh();
    fs::remove(path_ / file);
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("No such file")));
    fs::create_directory(path_ / file);
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("not a regular file")));
    fs::remove(path_ / file);
    ASSERT_EQ(::mkfifo((path_ / file).c_str(), 0600), 0);
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("not a regular file")));
    // A link out of the bundle is not followed, not even to a file that would do.
    fs::remove(path_ / file);
    write_bundle(folder_ / "elsewhere", sample::failure());
    fs::create_symlink(folder_ / "elsewhere" / file, path_ / file);
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("symbolic link")));
    fs::remove_all(folder_ / "elsewhere");
  }
}

TEST_F(Bundle, OversizeIsRefusedBeforeItIsRead) {
  for (const char* file : {"manifest.json", "scenario.json", "history.bin", "evidence.json",
                           "judgement.json", "output.txt", "stacks.txt"}) {
    write_afresh();
    fs::resize_file(path_ / file, std::uintmax_t{1} << 40);  // sparse
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("bytes, at most")));
  }
}

TEST_F(Bundle, AlteredHistoryIsRefused) {
  write_bundle(path_, sample::failure());
  const std::string good = text_of("history.bin");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{31}, std::size_t{32}, good.size() - 1, good.size() - 32}) {
    put("history.bin", good.substr(0, size));
    EXPECT_THAT(refused(), HasSubstr("history.bin: ")) << size;
  }
  put("history.bin", good + std::string(32, '\0'));
  EXPECT_THAT(refused(), HasSubstr("do not hold"));
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    put("history.bin", bytes);
    EXPECT_THAT(refused(), HasSubstr("history.bin: ")) << at;
  }
  std::string counts = good;
  std::memset(counts.data() + 12, 0xff, 12);  // lanes and records
  put("history.bin", counts);
  EXPECT_THAT(refused(), HasSubstr("history.bin: "));
}

TEST_F(Bundle, HostileRecordsAreRefused) {
  const std::pair<const char*, std::function<void(Record&)>> cases[] = {
      {"operation", [](Record& r) { r.what = 15; }},
      {"outcome", [](Record& r) { r.outcome = 200; }},
      {"channel", [](Record& r) { r.what = Record::encode(Op::send, 3, DeadlineMode::never); }},
      {"another producer", [](Record& r) { r.message = MessageId{.producer = 9}.packed(); }},
      {"backwards", [](Record& r) { r.invoked = 0; }},
      {"open", [](Record& r) { r.returned = 0; }},
  };
  for (const auto& [said, change] : cases) {
    write_afresh();
    alter_record(1, change);
    EXPECT_THAT(refused(), AllOf(HasSubstr("history.bin: "), HasSubstr(said)));
  }
  write_afresh();
  replace("manifest.json", "\"ticks_per_ns\": 2.5", "\"ticks_per_ns\": 1.5");
  alter_record(9, [](Record& r) { r.invoked = ~Stamp{0}; });
  EXPECT_THAT(refused(), HasSubstr("is no time"));
}

TEST_F(Bundle, HostileJsonIsRefusedWithThePlace) {
  const struct {
    const char *file, *from, *to, *said;
  } cases[] = {
      {"manifest.json", "ipctorture-bundle/1", "ipctorture-bundle/9", "schema: must be"},
      {"manifest.json", "\"channels\": 1", "\"channels\": 3", "history.channels: 3 is above 2"},
      {"manifest.json", "\"channels\": 1", "\"channels\": 2", "the scenario has 1"},
      {"manifest.json", "\"ticks_per_ns\": 2.5", "\"ticks_per_ns\": 0", "stamps.ticks_per_ns"},
      {"manifest.json", "\"ticks_per_ns\": 2.5", "\"ticks_per_ns\": 1e400", "manifest.json: "},
      {"manifest.json", "\"worker\": 1", "\"worker\": 4294967297", "lanes[1].worker"},
      {"manifest.json", "\"worker\": 1", "\"pid\": 1", "lanes[1].worker"},
      {"manifest.json", "\"records\": 4", "\"records\": 3", "lanes[0].kept: 4 is above 3"},
      {"manifest.json", "\"records\": 4", "\"records\": 18446744073709551615", "is above"},
      {"manifest.json", "    0\n", "    -2\n", "producer_on"},
      {"manifest.json", "    0\n", "    18446744073709551615\n", "producer_on"},
      {"manifest.json", "\"cores\": \"2\"", "\"cores\": 2", "environment"},
      {"scenario.json", "\"messages\": 4", "\"messages\": 0", "messages: 0 is below 1"},
      {"scenario.json", "\"stream\"", "\"request_reply\"", "the scenario has 2"},
      {"evidence.json", "\"asleep\"", "\"awake\"", "evidence[0].fact: \"awake\" is not known"},
      {"evidence.json", "\"lane\": 1", "\"lane\": 7", "evidence 0: no lane 7"},
      {"evidence.json", "\"lane\": 1", "\"lane\": -2", "evidence[0].lane"},
      {"evidence.json", "\"from\": 60000", "\"from\": 18446744073709551615", "ends before"},
      {"judgement.json", "\"delivery\"", "\"bliss\"", "findings[1].promise"},
      {"judgement.json", "\"violation\"", "\"known\"", "findings[1].verdict"},
      {"judgement.json", "   [\n     0,\n     1\n", "   [\n     2,\n     1\n",
       "findings[1].witness: 2 is above 1"},
      {"judgement.json", "   [\n     0,\n     1\n", "   [\n     0,\n     4\n",
       "record 4 of lane 0 is not there"},
      {"judgement.json", "\"occasions\": 5", "\"occasions\": -5", "findings[0].occasions: -5"},
      {"judgement.json", "\"occasions\": 5", "\"occasions\": 5, \"x\": 1",
       "findings[0].x: unknown field"},
  };
  for (const auto& c : cases) {
    write_afresh();
    replace(c.file, c.from, c.to);
    EXPECT_THAT(refused(), HasSubstr(c.said)) << c.file << ": " << c.to;
  }
  for (const char* file : {"manifest.json", "scenario.json", "evidence.json", "judgement.json"}) {
    write_afresh();
    put(file, std::string(60'000, '['));
    EXPECT_THAT(refused(), AllOf(HasSubstr(file), HasSubstr("nested deeper")));
    put(file, "");
    EXPECT_THAT(refused(), HasSubstr(file));
  }
}

// Whatever bytes are changed, wherever: the bundle is read or refused, and nothing else happens
// (run under the sanitizers).
TEST_F(Bundle, AnyAlterationIsReadOrRefused) {
  Prng rng(9);
  write_bundle(path_, sample::failure());
  for (const char* file : {"manifest.json", "evidence.json", "judgement.json"}) {
    const std::string good = text_of(file);
    for (int i = 0; i < 400; ++i) {
      std::string text = good;
      for (std::uint64_t k = rng.between(1, 3); k > 0; --k) {
        text[rng.below(text.size())] = "0123456789-\"{}[],:e\\ "[rng.below(21)];
      }
      put(file, text);
      refused();
    }
    put(file, good);
  }
  EXPECT_EQ(refused(), "accepted");
}

TEST(Environment, KnowsThisMachineAndTellsDifferences) {
  const Environment here = this_environment();
  for (const char* key : {"kernel", "cores", "compiler", "limit descriptors"}) {
    EXPECT_EQ(here.count(key), 1u) << key;
  }
  EXPECT_THAT(environment_differences(here, here), IsEmpty());
  Environment then = here;
  then["cores"] = "640";
  then.erase("kernel");
  EXPECT_THAT(environment_differences(then, here),
              testing::ElementsAre("cores: 640 then, " + here.at("cores") + " here",
                                   "kernel: unknown then, " + here.at("kernel") + " here"));
}

TEST(Window, KeepsAllThatFits) {
  const BundleContent content = sample::failure(10);
  const auto kept = choose_window(content.history, content.judgement, 22);
  EXPECT_EQ(kept, (std::vector<Segments>{{{0, 10}}, {{0, 12}}}));
}

TEST(Window, CutsAroundTheFailureAndKeepsWitnesses) {
  for (const std::uint64_t records_max : {2u, 10u, 100u, 1000u}) {
    BundleContent content = sample::failure(2000);
    content.judgement.findings[1].witness = {{0, 5}, {1, 900}};
    const auto kept = choose_window(content.history, content.judgement, records_max);
    std::uint64_t total = 0;
    for (const Segments& lane : kept) {
      total += kept_records(lane);
      for (std::size_t i = 1; i < lane.size(); ++i) {
        EXPECT_GT(lane[i].first, lane[i - 1].first + lane[i - 1].count);
      }
    }
    EXPECT_LE(total, records_max);
    if (records_max < 100) continue;  // no room for neighbours: the moment alone
    EXPECT_EQ(position_of(kept[0], 5), 5u);
    EXPECT_TRUE(position_of(kept[1], 900));
    EXPECT_TRUE(position_of(kept[0], 900)) << "the other lanes at that moment";
    EXPECT_FALSE(position_of(kept[0], 1999));
  }
}

TEST(Window, WithoutWitnessTheEnd) {
  BundleContent content = sample::failure(2000);
  content.judgement = {};
  const auto kept = choose_window(content.history, content.judgement, 100);
  EXPECT_EQ(kept, (std::vector<Segments>{{{1950, 50}}, {{1952, 50}}}));
}

TEST(Presentable, CutsToTheBound) {
  const std::string cut = presentable(std::string(1000, 'a') + std::string(1000, 'b'), 200);
  EXPECT_LE(cut.size(), 200u);
  EXPECT_EQ(presentable(cut, 200), cut);
  EXPECT_THAT(cut, AllOf(HasSubstr("aaa\n[... 1864 bytes left out ...]\nbbb")));
}

TEST(Presentable, LeavesGoodTextAlone) {
  const std::string good = "plain, tab\t, line\n, caf\xc3\xa9, \xe2\x82\xac, \xf0\x9f\x90\x8c";
  EXPECT_EQ(presentable(good, 1000), good);
}

TEST(Presentable, ReplacesWhatATerminalObeys) {
  for (const char* bad : {"\x1b", "\r", "\b", "\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xc0\x9b",
                          "\x9b", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xef\xbf\xbe"}) {
    const std::string shown = presentable(bad, 100);
    EXPECT_EQ(shown, std::string(std::strlen(bad), '?'));
  }
}

}  // namespace
}  // namespace ipctorture
