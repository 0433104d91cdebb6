// What fuzzing begins with: made from the generator of scenarios and the formats' own writers, so
// that no seed can go stale. `ci/fuzz` calls it; nothing of it is checked in.
//
//   build/fuzz/make_seeds TARGET FOLDER COUNT [TRANSPORT]
//
// Writes COUNT files into FOLDER; equal arguments give equal files. A TARGET
// without seeds of its own: exit code 3 and nothing written. TRANSPORT: only such seeds.
//
//   build/fuzz/make_seeds --list all|hostile|every
//
//   build/fuzz/make_seeds --words TARGET
//
// A dictionary for libFuzzer: the words of TARGET's seeds, once each, and what every format knows.
//
// With --list, the names of the transports that can be fuzzed: all shipped ones, those whose
// contract promises to withstand a hostile peer, or faulty ones too.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "fuzz/bundle_pack.h"
#include "fuzz/history_input.h"
#include "harness/base/prng.h"
#include "harness/check/check.h"
#include "harness/history/lane.h"
#include "harness/launch/start_line.h"
#include "harness/report/bundle.h"
#include "harness/report/night.h"
#include "harness/report/results_reader.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/generate.h"
#include "harness/scenario/scenario_input.h"
#include "harness/schedule/control.h"
#include "harness/schedule/schedule_file.h"
#include "harness/schedule/schedule_input.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One of the shipped transports, or the one that was named.
const Registration& transport_for(std::uint64_t seed, const std::string& named) {
  std::vector<const Registration*> fits;
  for (const Registration& one : registrations()) {
    const bool fit = named.empty() ? one.kind == Kind::shipped : one.name == named;
    if (fit) fits.push_back(&one);
  }
  if (fits.empty()) throw std::invalid_argument("no transport '" + named + "'");
  return *fits[seed % fits.size()];
}

Scenario scenario_of(std::uint64_t seed, const std::string& named) {
  const Registration& registration = transport_for(seed, named);
  return generate(case_seed(1, registration.name, seed), registration.name, registration.contract,
                  {});
}

std::string scenario_seed(std::uint64_t seed, const std::string& named) {
  return scenario_to_json(scenario_of(seed, named));
}

std::string scenario_input_seed(std::uint64_t seed, const std::string& named) {
  const Registration& registration = transport_for(seed, named);
  const Scenario drawn = generate(seed, registration.name, registration.contract,
                                  {.budget_ns = 1'000'000, .allow_exec = false});
  return as_text(to_bytes(scenario_input_of(drawn)));
}

std::string bundle_seed(std::uint64_t seed, const std::string&) {
  const MadeHistory made = history_of(plausible_history(static_cast<std::uint8_t>(seed), seed));
  BundleContent content;
  content.scenario = made.scenario;
  content.history = made.history;
  content.seed = "g1:7 --case 1";
  content.replay = "ipctorture replay";
  content.output = "what a worker said\n";
  content.judgement = check({made.history, made.contract, made.scenario});
  const fs::path folder =
      fs::temp_directory_path() / fmt::format("ipctorture-seed-{}-{}", ::getpid(), seed);
  write_bundle(folder.string(), content);
  const BundlePack files = bundle_files(folder);
  fs::remove_all(folder);
  return pack_bundle(files);
}

std::string history_seed(std::uint64_t seed, const std::string& named) {
  if (seed % 8 >= 2) {
    return as_text(to_bytes(plausible_history(static_cast<std::uint8_t>(seed), seed)));
  }
  const BundlePack files = unpack_bundle(bundle_seed(seed, named));
  return files[seed % 8 == 0 ? 3 : 4];  // evidence.json, judgement.json
}

// The shapes that `explore` tries, with a few departures.
schedule::ScheduleInput schedule_input_of(std::uint64_t seed, const std::string& named) {
  Prng rng(seed);
  schedule::ScheduleInput input{.transport = std::string(transport_for(seed, named).name),
                                .shape = {.producers = static_cast<std::uint8_t>(1 + seed % 2),
                                          .consumers = static_cast<std::uint8_t>(1 + seed / 2 % 2),
                                          .messages = static_cast<std::uint8_t>(2 + seed % 5),
                                          .sizes = static_cast<std::uint8_t>(seed % 6)},
                                .departures = {}};
  if (seed % 3 == 1)
    input.shape.extra = static_cast<std::uint8_t>(rng.below(schedule::extra_count));
  if (seed % 3 == 2)
    input.shape.peers = static_cast<std::uint8_t>(rng.below(schedule::peers_count));
  input.shape.flags = static_cast<std::uint8_t>(rng.below(4));
  for (std::uint64_t i = 0; i < seed % 4; ++i) {
    input.departures.push_back({.step = static_cast<std::uint32_t>(1 + rng.below(60)),
                                .lane = static_cast<std::uint8_t>(rng.below(2)),
                                .change = schedule::Change::run,
                                .value = static_cast<std::uint8_t>(rng.below(2))});
  }
  return input;
}

std::string schedule_seed(std::uint64_t seed, const std::string& named) {
  return as_text(to_bytes(schedule_input_of(seed, named)));
}

std::string schedule_reader_seed(std::uint64_t seed, const std::string& named) {
  const schedule::ScheduleInput input = schedule_input_of(seed, named);
  if (seed % 3 == 0) return as_text(to_bytes(input));
  if (seed % 3 == 1) return to_text(input.departures) + " 1@4:kill 0@9:answer=2 0@3:timeout=1";
  schedule::RecordedSchedule recorded{.kill_lanes = 1, .departures = input.departures};
  for (std::uint32_t i = 0; i < 4; ++i) {
    recorded.trace.push_back(
        {static_cast<std::uint8_t>(i % 2), schedule::Point::atomic_load, 2, i});
  }
  return schedule_to_json(recorded);
}

std::string start_line_seed(std::uint64_t seed, const std::string& named) {
  StartLine start{.scenario = scenario_of(seed, named)};
  for (unsigned channel = 0; channel < start.scenario.channels(); ++channel) {
    start.options.push_back({.name = fmt::format("ipct-{}", channel),
                             .directory = "/tmp/x",
                             .token = ~seed,
                             .producers = start.scenario.producers,
                             .consumers = start.scenario.consumers});
  }
  for (unsigned lane = 0; lane < start.scenario.lanes(); ++lane) {
    start.lanes.push_back(fmt::format("/tmp/x/lane-{}", lane));
  }
  return start_line(start);
}

// Two lanes, one behind the other, as lane_reader takes them.
std::string lane_seed(std::uint64_t seed, const std::string&) {
  constexpr std::uint64_t records = 32;
  constexpr std::size_t bytes = lane_bytes(records);
  alignas(64) std::byte memory[2 * bytes] = {};
  for (unsigned number = 0; number < 2; ++number) {
    const Lane lane(memory + number * bytes);
    lane.reset(StampSource::monotonic, true, records);
    const std::uint64_t count = 1 + seed % 8;
    lane.header().opened = count + seed % 2;
    lane.header().head = count;
    lane.header().state = static_cast<std::uint32_t>(LaneState::done);
    lane.header().calls_failed = static_cast<std::uint32_t>(seed % 3);
    for (std::uint64_t i = 0; i < count; ++i) {
      lane.records()[i] = {
          .invoked = 1000 + i * 200 + number * 50,
          .returned = 1100 + i * 200 + number * 50,
          .message = MessageId{.sequence = i}.packed(),
          .size = 64,
          .what = Record::encode(number == 0 ? Op::send : Op::receive, 0, DeadlineMode::never),
          .outcome = static_cast<std::uint8_t>(Outcome::ok)};
    }
  }
  return as_text(memory);
}

std::string results_seed(std::uint64_t seed, const std::string& named) {
  const std::string name(transport_for(seed, named).name);
  ResultLines lines{.start = {.seed = "g1:7", .transports = {name}, .runs = 10, .named = {name}},
                    .failures = {{.transport = name,
                                  .fingerprint = "order/total/reordered",
                                  .what = "message 2 came before message 1",
                                  .seed = "g1:7",
                                  .again = "--case 3",
                                  .bundle = "bundles/a"}},
                    .exit_code = 1};
  if (seed % 2 == 0) {
    lines.explored = true;
    lines.failures.clear();
    lines.explorations.push_back(
        {.transport = name, .seed = "g1:7", .schedules = 4000, .points = 90, .trials = {{"1x1"}}});
    lines.explorations[0].failures.push_back({.promise = "order", .departures = "0@17:run=1"});
    return results_text(lines);
  }
  TransportTally tally{.transport = name, .verdict = Verdict::violation, .scenarios = seed};
  tally.promises.push_back({.promise = Promise::order,
                            .verdict = Verdict::violation,
                            .occasions = 9,
                            .terms = {{.term = Term{}, .occasions = 3, .scenarios = 2}},
                            .bundle = "bundles/a"});
  tally.cases = {{1, 5}, {7, 9}};
  tally.latency = {{3, 10}, {4, 2}};
  tally.known.push_back({.fingerprint = "leaks/x/y", .where = "known.toml:1"});
  lines.tally.transports.push_back(tally);
  lines.tally.known.push_back({.where = "known.toml:1", .transport = name});
  lines.holes = {"case 6"};
  lines.harness_failures = {{name, "it did not start"}};
  return results_text(lines);
}

std::string night_seed(std::uint64_t seed, const std::string& named) {
  if (seed % 3 == 0) {
    NightFigures figures{.night = "2026-01-31", .date = "2026-01-31", .commit = "abc"};
    figures.failures[{"pipe", "order/total/reordered"}] = {.date = "2026-01-30", .commit = "abd"};
    return history_line(figures) + history_line({.night = "2026-02-01"});
  }
  if (seed % 3 == 1) {
    return R"({"schema": "ipctorture-nightly/1", "night": "2026-01-31", "date": "2026-01-31", "commit": "abc",
 "budget_s": 1200.0, "ended_by": "SIGTERM", "builds": [{"preset": "dev", "seconds": 3.5, "why": "x"}], "notes": ["y"],
 "attempts": 10, "reproduced": 3})";
  }
  std::string step =
      R"({"schema": "ipctorture-nightly-step/1", "name": "run", "engine": "run", "sanitizer": "plain", "target": "x",
 "budget_s": 1.5, "used_s": 1.4, "state": "finished", "exit_code": 1, "why": "", "corpus_files": 3})";
  step += '\0' + results_seed(seed, named) + '\0';
  return step +
         "#8\tNEW cov: 12 ft: 20 exec/s: 300\n==1==ERROR: AddressSanitizer: heap-use-after-free\n"
         "    #0 0x55 in ipctorture::read(int) /x.cc:3\nstat::number_of_executed_units: 77\n";
}

std::string known_seed(std::uint64_t seed, const std::string& named) {
  return fmt::format(
      "[[known]]\ntransport = \"{}\"\nfingerprint = \"{}/a term/a symptom\"\nreason = \"waits\"\n"
      "link = \"https://example.org/{}\"\nexpires = 2027-01-31\nbundle = \"bundles/a\"\n",
      seed % 3 == 0 ? "shm_*" : transport_for(seed, named).name,
      to_string(static_cast<Promise>(seed % promise_count)), seed);
}

using Make = std::string (*)(std::uint64_t seed, const std::string& transport);
const std::map<std::string, Make, std::less<>>& makers() {
  static const std::map<std::string, Make, std::less<>> all = {
      {"scenario_reader", scenario_seed},
      {"failure_reader", scenario_seed},
      {"bundle_reader", bundle_seed},
      {"history_reader", history_seed},
      {"schedule", schedule_seed},
      {"schedule_reader", schedule_reader_seed},
      {"scenario", scenario_input_seed},
      {"lane_reader", lane_seed},
      {"start_line_reader", start_line_seed},
      {"results_reader", results_seed},
      {"night_reader", night_seed},
      {"known_reader", known_seed}};
  return all;
}

// Between quotes or blanks; what is longer is no keyword.
std::set<std::string> words_of(const std::string& text) {
  constexpr std::size_t word_max = 40;
  std::set<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || (byte < 128 && std::strchr("_-/.:@=", c) != nullptr && c != 0)) {
      word += c;
      continue;
    }
    if (word.size() > 1 && word.size() <= word_max) words.insert(word);
    word.clear();
  }
  return words;
}

int print_words(const std::string& target) {
  const auto found = makers().find(target);
  if (found == makers().end()) return 3;
  std::set<std::string> words = {
      "{",        "}",       "[",     "]",  ":",    ",",    "\"", "true",    "false",
      "null",     "-1",      "1e999", "[[", "ICTF", "ICTH", "\n", "\\u0000", "18446744073709551615",
      "ICTPACK1", "ICTHIST1"};
  constexpr std::uint64_t seeds = 24;
  constexpr std::size_t words_max = 400;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    if (words.size() < words_max) words.merge(words_of(found->second(seed, "")));
  }
  for (const std::string& word : words) {
    std::string quoted;
    for (const char c : word) {
      const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
      quoted += plain ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    fmt::print("\"{}\"\n", quoted);
  }
  return 0;
}

void list(std::string_view which) {
  for (const Registration& one : registrations()) {
    const bool withstands = one.contract.hostile == Hostile::only_errors;
    const bool fits = one.kind == Kind::shipped && (withstands || which != "hostile");
    if (fits || which == "every") fmt::print("{}\n", one.name);
  }
}

int make(const std::string& target, const fs::path& folder, std::uint64_t count,
         const std::string& transport) {
  const auto found = makers().find(target);
  if (found == makers().end()) return 3;
  fs::create_directories(folder);
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    std::ofstream file(folder / fmt::format("seed-{}", seed), std::ios::binary);
    file << found->second(seed, transport);
    if (!file.flush()) throw std::runtime_error(folder.string() + ": cannot be written");
  }
  return 0;
}

}  // namespace
}  // namespace ipctorture

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--list") {
    ipctorture::list(argv[2]);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == "--words") return ipctorture::print_words(argv[2]);
  if (argc < 4 || argc > 5) {
    fmt::print(stderr, "make_seeds TARGET FOLDER COUNT [TRANSPORT]\n");
    return 64;
  }
  try {
    return ipctorture::make(argv[1], argv[2],
                            std::min(std::strtoull(argv[3], nullptr, 10), 10'000ull),
                            argc == 5 ? argv[4] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_seeds: {}\n", error.what());
    return 1;
  }
}
