// `ipctorture score`: runs the bugs and their twins through `ipctorture run`, each as a child, and
// adds up what came of it (score.h). With --transport: worth_verb.cc.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/bundle.h"
#include "stress/hand_over.h"
#include "stress/output_of.h"
#include "stress/score.h"
#include "stress/score_room.h"
#include "stress/selection.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::string_view other_campaign = " (not the default campaign: bugs missed fail nothing)";
constexpr std::int64_t default_time_ns = 60'000'000'000;
constexpr unsigned default_seeds = 5;
constexpr std::string_view twin_suffix = "_twin";

struct Request {
  std::vector<const Registration*> bugs;
  std::int64_t time_ns = default_time_ns, twin_time_ns = 0;
};

bool is_twin(std::string_view name) { return name.ends_with(twin_suffix); }

Request read_request(const Settings& settings, const Selection& selection) {
  const auto mutants = settings.find("mutant-time");
  if (mutants && mutants->origin.starts_with("--")) {
    throw UsageError("--mutant-time goes with --transport; bugs have --time and --twin-time");
  }
  Request request;
  SelectionRequest wanted{.names = selection.names, .exclude = settings.list("exclude")};
  if (wanted.names.empty()) wanted.names = {"*"};
  wanted.also = {Kind::faulty};
  for (const Selected& one : select_transports(wanted, registrations())) {
    const std::string_view name = one.registration->name;
    const bool counts = one.registration->kind == Kind::faulty && !is_twin(name);
    if (counts) request.bugs.push_back(one.registration);
    if (!counts && one.asked == AskedFor::by_name) {
      throw UsageError(
          fmt::format("'{}' has no planted bug (`ipctorture list --faulty` shows those); what a "
                      "pass on a transport is worth says `ipctorture score --transport {}`",
                      name, name));
    }
  }
  if (const auto time = settings.find("time")) request.time_ns = parse_duration_ns(*time);
  const auto twins = settings.find("twin-time");
  request.twin_time_ns = twins ? parse_duration_ns(*twins) : request.time_ns;
  return request;
}

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
      : request_(std::move(request)), room_(settings, default_seeds) {}

  ExitCode go() {
    Score score{.version = version_text,
                .machine = machine_text(),
                .date = today(),
                .budget = budget(),
                .seeds = room_.seeds()};
    for (const Registration* bug : request_.bugs) {
      BugScore one = score_of(*bug);
      if (room_.interrupted()) break;  // half a bug is none
      room_.record(score_json(one));
      score.bugs.push_back(std::move(one));
    }
    if (!room_.json()) {
      print_result(score_table(score, room_.width()) + "\n" + score_totals(score));
    }
    room_.write_page(score_page(score));
    return graver(exit_code(score), room_.exit_code());
  }

 private:
  std::string budget() const {
    std::string text = human_duration(request_.time_ns) + " each";
    if (request_.twin_time_ns != request_.time_ns) {
      text += fmt::format(" (twins {})", human_duration(request_.twin_time_ns));
    }
    return room_.default_campaign() ? text : text + std::string(other_campaign);
  }

  BugScore score_of(const Registration& bug) {
    BugScore score{.name = std::string(bug.name), .summary = std::string(bug.summary)};
    const std::string twin = score.name + std::string(twin_suffix);
    for (unsigned k = 0; k < room_.seeds() && !room_.interrupted(); ++k) {
      score.bug.push_back(room_.run(score.name, k, request_.time_ns, FailFast::yes));
      if (find_registration(twin) == nullptr || room_.interrupted()) continue;
      score.twin.push_back(room_.run(twin, k, request_.twin_time_ns, FailFast::no));
    }
    const auto caught = std::find_if(score.bug.begin(), score.bug.end(), [](const auto& one) {
      return one.caught && !one.bundle.empty();
    });
    if (caught != score.bug.end() && !room_.interrupted()) {
      score.size = size_of(caught->bundle);
      score.replay = replay(caught->bundle);
    }
    return score;
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
    for_each_line({own_path(), "replay", bundle, "--json", "--quiet"}, hear, room_.stop());
    return result;
  }

  // A bug that was missed on too many seeds, or a twin that was blamed, is a violation: of ours.
  // Nobody promises that another campaign than the default one finds every bug.
  ExitCode exit_code(const Score& score) const {
    ExitCode code = ExitCode::pass;
    for (const BugScore& bug : score.bugs) {
      const auto any = [](const std::vector<ScoredRun>& runs, bool ScoredRun::* what) {
        return std::ranges::any_of(runs, [&](const auto& run) { return run.*what; });
      };
      if (any(bug.bug, &ScoredRun::harness_failed) || any(bug.twin, &ScoredRun::harness_failed)) {
        code = graver(code, ExitCode::harness_failed);
      }
      if (any(bug.bug, &ScoredRun::unsupported)) continue;
      const bool failed = any(bug.bug, &ScoredRun::harness_failed);
      const bool missed =
          room_.default_campaign() && !failed && !reliably(seeds_caught(bug), bug.bug.size());
      if (missed || false_alarms(bug) > 0) code = graver(code, ExitCode::violation);
    }
    return code;
  }

  const Request request_;
  ScoreRoom room_;
};

}  // namespace

ExitCode score(const Settings& settings, const Selection& selection) {
  if (!selection.transport.empty()) return score_transport(settings, selection);
  Request request = read_request(settings, selection);
  if (request.bugs.empty()) {
    print_note("ipctorture: nothing selected; `ipctorture list --faulty` shows the planted bugs\n");
    return ExitCode::nothing_selected;
  }
  return Scorer(std::move(request), settings).go();
}

}  // namespace ipctorture
