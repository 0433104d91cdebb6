// `ipctorture score`: runs the bugs and their twins through `ipctorture run`, each as a child, and
// adds up what came of it (score.h).
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/clock.h"
#include "harness/base/prng.h"
#include "harness/report/bundle.h"
#include "stress/engine_room.h"
#include "stress/output_of.h"
#include "stress/run_output.h"
#include "stress/score.h"
#include "stress/selection.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::int64_t default_time_ns = 60'000'000'000;
constexpr std::uint64_t default_seeds = 5, seeds_max = 1000;
constexpr std::uint64_t default_seed = 1;
constexpr std::string_view twin_suffix = "_twin";

std::string own_path() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

struct Request {
  std::vector<const Registration*> bugs;
  std::int64_t time_ns = default_time_ns, twin_time_ns = 0;
  unsigned seeds = default_seeds;
  std::uint64_t seed = default_seed;
  std::string page;
  bool json = false;
};

bool is_twin(std::string_view name) { return name.ends_with(twin_suffix); }

Request read_request(const Settings& settings, const Selection& selection) {
  Request request;
  SelectionRequest wanted{.names = selection.names, .exclude = settings.list("exclude")};
  if (wanted.names.empty()) wanted.names = {"*"};
  wanted.also = {Kind::faulty};
  for (const Selected& one : select_transports(wanted, registrations())) {
    const bool counts = one.registration->kind == Kind::faulty && !is_twin(one.registration->name);
    if (counts) request.bugs.push_back(one.registration);
    if (!counts && one.asked == AskedFor::by_name) {
      throw UsageError(
          fmt::format("'{}' has no planted bug; `ipctorture list --faulty` shows those",
                      one.registration->name));
    }
  }
  if (const auto time = settings.find("time")) request.time_ns = parse_duration_ns(*time);
  const auto twins = settings.find("twin-time");
  request.twin_time_ns = twins ? parse_duration_ns(*twins) : request.time_ns;
  if (const auto seeds = settings.find("seeds")) {
    request.seeds = static_cast<unsigned>(parse_count(*seeds, 1, seeds_max));
  }
  if (const auto seed = settings.find("seed")) request.seed = parse_seed(*seed);
  request.page = settings.text_or("page", "");
  request.json = settings.on("json");
  return request;
}

// What the lines of a run's `--json` say, as they come.
class Listener {
 public:
  explicit Listener(Instant began) : began_(began) {}

  void hear(std::string_view line) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return;
    const auto text = [&](const char* key) {
      return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
    };
    const std::string event = text("event");
    ended_ = ended_ || event == "end";
    if (event == "harness_failure") run_.harness_failed = true;
    if (event == "failure" && text("verdict") == "violation" && !run_.caught) {
      run_.caught = true;
      run_.seconds = seconds();
      run_.engine = text("engine");
      run_.fingerprint = text("fingerprint");
      run_.what = text("what");
      run_.bundle = text("bundle");
    }
    if (event != "transport") return;
    run_.unsupported = text("verdict") == "unsupported" && !run_.caught;
    run_.inconclusive = text("verdict") == "inconclusive";
  }
  ScoredRun end() {
    if (!run_.caught) run_.seconds = seconds();
    run_.harness_failed = run_.harness_failed || !ended_;
    return run_;
  }

 private:
  double seconds() const { return static_cast<double>(monotonic_now() - began_) / 1e9; }

  const Instant began_;
  ScoredRun run_;
  bool ended_ = false;  // in order
};

// "2 departures, 3 messages", of the failure's bundle.
std::string size_of(const std::string& bundle) {
  try {
    const BundleContent content = load_bundle(bundle);
    const std::uint64_t messages = content.scenario.messages * content.scenario.producers;
    const std::string sent = fmt::format("{} message{}", messages, messages == 1 ? "" : "s");
    if (content.schedule.empty()) return sent;
    const auto schedule = nlohmann::json::parse(content.schedule, nullptr, false);
    if (!schedule.is_object() || !schedule["departures"].is_string()) return sent;
    const auto departures = schedule["departures"].get<std::string>();
    const auto count = departures.empty() ? 0 : std::ranges::count(departures, ' ') + 1;
    return fmt::format("{} departure{}, {}", count, count == 1 ? "" : "s", sent);
  } catch (const std::exception&) {
    return {};
  }
}

class Scorer {
 public:
  Scorer(Request request, const Settings& settings)
      : request_(std::move(request)),
        terminal_(this_terminal(settings)),
        output_(settings.text_or("out", "")),
        watch_(&interrupted_, {.describe = [](const void*) { return std::string("  scoring\n"); },
                               .overdue = [](const void*) { return std::string(); },
                               .context = nullptr}) {}

  ExitCode go() {
    Score score{.version = version_text,
                .machine = machine(),
                .date = calendar_utc().substr(0, 10),
                .budget = fmt::format("{} each", human_duration(request_.time_ns)),
                .seeds = request_.seeds};
    for (const Registration* bug : request_.bugs) {
      BugScore one = score_of(*bug);
      if (interrupted_.load()) break;  // half a bug is none
      const std::string line = score_json(one);
      output_.append(line);
      if (request_.json) print_result(line);
      score.bugs.push_back(std::move(one));
    }
    if (!request_.json) {
      print_result(score_table(score, terminal_.results.width) + "\n" + score_totals(score));
    }
    if (!request_.page.empty() && !interrupted_.load()) write_page(score);
    return graver(exit_code(score), watch_.exit_code());
  }

 private:
  BugScore score_of(const Registration& bug) {
    BugScore score{.name = std::string(bug.name), .summary = std::string(bug.summary)};
    const std::string twin = score.name + std::string(twin_suffix);
    for (unsigned k = 0; k < request_.seeds && !interrupted_.load(); ++k) {
      note(score.name, k);
      score.bug.push_back(run(score.name, k, request_.time_ns, true));
      if (find_registration(twin) == nullptr) continue;
      note(twin, k);
      score.twin.push_back(run(twin, k, request_.twin_time_ns, false));
    }
    const auto caught = std::find_if(score.bug.begin(), score.bug.end(), [](const auto& one) {
      return one.caught && !one.bundle.empty();
    });
    if (caught != score.bug.end() && !interrupted_.load()) {
      score.size = size_of(caught->bundle);
      score.replay = replay(caught->bundle);
    }
    return score;
  }

  ScoredRun run(const std::string& name, unsigned k, std::int64_t time_ns, bool until_caught) {
    std::vector<std::string> command = {own_path(),
                                        "run",
                                        name,
                                        "--time",
                                        fmt::format("{}ms", time_ns / 1'000'000),
                                        "--seed",
                                        seed_text(mix64(request_.seed ^ mix64(k + 1))),
                                        "--hand-over",
                                        "0s",
                                        "--known",  // of this folder: none may change a score
                                        "",
                                        "--json",
                                        "--quiet",
                                        "--out",
                                        fmt::format("{}/{}-{}", output_.path(), name, k + 1)};
    if (until_caught) command.emplace_back("--fail-fast");
    Listener listener(monotonic_now());
    for_each_line(command, [&](std::string_view line) { listener.hear(line); }, &interrupted_);
    return listener.end();
  }

  Replayed replay(const std::string& bundle) {
    Replayed result;
    const auto hear = [&](std::string_view line) {
      const auto json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object()) return;
      result.attempts = json.value("attempts", 0u);
      result.hits = json.value("reproduced", 0u);
      result.exact = json.value("exact", false);
    };
    for_each_line({own_path(), "replay", bundle, "--json", "--quiet"}, hear, &interrupted_);
    return result;
  }

  void note(const std::string& name, unsigned k) const {
    if (terminal_.progress != ProgressForm::none) {
      print_note(fmt::format("{}, seed {} of {}\n", name, k + 1, request_.seeds));
    }
  }

  static std::string machine() {
    utsname names{};
    ::uname(&names);
    return fmt::format("{} core{}, Linux {}, {}", ::sysconf(_SC_NPROCESSORS_ONLN),
                       ::sysconf(_SC_NPROCESSORS_ONLN) == 1 ? "" : "s", names.release,
                       names.machine);
  }

  void write_page(const Score& score) const {
    std::ofstream file(request_.page, std::ios::binary | std::ios::trunc);
    file << score_page(score);
    if (!file.flush()) throw_system_error("write", request_.page);
  }

  // A bug that was missed on too many seeds, or a twin that was blamed, is a violation: of ours.
  static ExitCode exit_code(const Score& score) {
    ExitCode code = ExitCode::pass;
    for (const BugScore& bug : score.bugs) {
      const auto any = [](const std::vector<ScoredRun>& runs, bool ScoredRun::* what) {
        return std::ranges::any_of(runs, [&](const auto& run) { return run.*what; });
      };
      if (any(bug.bug, &ScoredRun::harness_failed) || any(bug.twin, &ScoredRun::harness_failed)) {
        code = graver(code, ExitCode::harness_failed);
      }
      if (any(bug.bug, &ScoredRun::unsupported)) continue;
      const bool missed = seeds_caught(bug) * 5 < bug.bug.size() * 4;
      if (missed || false_alarms(bug) > 0) code = graver(code, ExitCode::violation);
    }
    return code;
  }

  const Request request_;
  const Terminal terminal_;
  RunOutput output_;
  std::atomic<bool> interrupted_{false};
  SignalWatch watch_;
};

}  // namespace

ExitCode score(const Settings& settings, const Selection& selection) {
  Request request = read_request(settings, selection);
  if (request.bugs.empty()) {
    print_note("ipctorture: nothing selected; `ipctorture list --faulty` shows the planted bugs\n");
    return ExitCode::nothing_selected;
  }
  return Scorer(std::move(request), settings).go();
}

}  // namespace ipctorture
