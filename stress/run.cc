// `ipctorture run`: settings -> plan -> engines and threads -> campaign -> table, JSON lines,
// JUnit.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "harness/report/environment.h"
#include "harness/report/json_lines.h"
#include "harness/report/junit.h"
#include "harness/report/presentable.h"
#include "harness/report/progress.h"
#include "harness/report/replay_line.h"
#include "harness/run_scenario.h"
#include "stress/campaign.h"
#include "stress/engine_room.h"
#include "stress/hand_over.h"
#include "stress/known_check.h"
#include "stress/machine_load.h"
#include "stress/run_export.h"
#include "stress/run_output.h"
#include "stress/run_plan.h"
#include "stress/soak.h"
#include "stress/terminal.h"
#include "stress/under_control.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::int64_t hand_over_ns = 60'000'000'000;  // of each transport that failed
// What the controlled engine finds at all, it mostly finds at once.
constexpr std::int64_t first_slice_ns = 2'500'000'000;
constexpr unsigned patient_engines_max = 6;
constexpr unsigned jobs_max = 64;

// A campaign at work: one thread per engine, and the main thread to tell about it.
class Run {
 public:
  // `controlled_ns`: of the plan's time, for each transport.
  Run(CampaignPlan plan, std::int64_t controlled_ns, unsigned jobs, const Settings& settings,
      RunExport& history)
      : settings_(settings),
        history_(history),
        terminal_(this_terminal(settings)),
        json_(settings.on("json")),
        output_(settings.text_or("out", "")),
        jobs_(jobs),
        start_(describe_start(plan)),
        shard_line_(plan.shard_line),
        controlled_ns_(controlled_ns),
        soak_ns_(plan.soak_ns / static_cast<std::int64_t>(plan.transports.size())),
        known_(plan.known),
        too_little_(too_little(plan, controlled_ns)),
        progress_(terminal_.progress, terminal_.progress_width, print_note),
        room_(jobs + std::min<unsigned>(patient_engines_max,
                                        static_cast<unsigned>(plan.transports.size())),
              history.wanted() ? EngineRoom::Stamps::always_fenced
                               : EngineRoom::Stamps::fenced_where_needed),
        control_(output_.path(), {plan.seed, jobs, plan.shard}, known_file(settings),
                 room_.interrupted_flag()),
        campaign_(without(std::move(plan), controlled_ns), monotonic_now()) {}

  ExitCode go() {
    tell_start();
    begun_ = monotonic_now();
    const std::int64_t first = std::min(first_slice_ns, controlled_ns_);
    explore(first);
    campaign_.begin(monotonic_now());
    const auto load_before = cpu_use();
    std::vector<std::thread> threads;
    threads.reserve(room_.size());
    for (unsigned i = 0; i < room_.size(); ++i) threads.emplace_back([this, i] { work(i); });
    watch();
    for (std::thread& thread : threads) thread.join();
    soak_each();
    const auto load_after = cpu_use();
    explore(controlled_ns_ - first);
    make_exact();
    unsigned others = 0;
    if (load_before && load_after) others = others_permille(*load_before, *load_after);
    return tell_end(others);
  }

 private:
  static CampaignPlan without(CampaignPlan plan, std::int64_t controlled_ns) {
    plan.time_ns -= plan.soak_ns;
    plan.time_ns -= controlled_ns * static_cast<std::int64_t>(plan.transports.size());
    return plan;
  }

  CampaignStart describe_start(const CampaignPlan& plan) const {
    CampaignStart start{.seed = seed_text(plan.seed),
                        .version = version_text,
                        .started = calendar_utc(),
                        .out = output_.path(),
                        .seconds = static_cast<double>(plan.time_ns) / 1e9,
                        .runs = plan.runs,
                        .options = options_text(plan),
                        .shard = plan.shard.index,
                        .shards = plan.shard.count};
    const Environment here = this_environment();
    if (const auto commit = here.find("commit"); commit != here.end())
      start.commit = commit->second;
    for (const Selected& one : plan.transports) {
      start.transports.emplace_back(one.registration->name);
      if (one.asked == AskedFor::by_name) start.named.emplace_back(one.registration->name);
    }
    return start;
  }

  void work(unsigned index) {
    const EngineFor kind = index < jobs_ ? EngineFor::ordinary_cases : EngineFor::patient_cases;
    while (const auto next = campaign_.next(kind, monotonic_now())) {
      campaign_.finish(*next, run_case(room_.engine(index), *next));
    }
    const std::lock_guard lock(mutex_);
    ++finished_;
    changed_.notify_one();
  }

  CaseResult run_case(Engine& engine, const Case& one) {
    CaseResult result;
    const Instant begin = monotonic_now();
    try {
      result = result_of(one, run_scenario(engine, one.scenario));
    } catch (const std::exception& error) {
      result.harness_failure = error.what();
    }
    result.elapsed_ns = monotonic_now() - begin;
    return result;
  }

  CaseResult result_of(const Case& one, const ScenarioResult& ran) {
    CaseResult result;
    result.unsupported = ran.unsupported;
    result.judgement = ran.judgement;
    result.traffic = ran.traffic;
    result.interrupted = ran.history.has(Fact::interrupted);
    sample_latency(ran.history, &result.latency);
    history_.take(ran);
    write_bundles(one, ran, &result);
    return result;
  }

  // The first time a failure, or a doubt, is seen, and only then.
  void write_bundles(const Case& one, const ScenarioResult& ran, CaseResult* result) {
    for (const Finding& finding : ran.judgement.findings) {
      if (finding.verdict < Verdict::inconclusive) continue;
      // What a person cut short proves nothing, unless something broke before.
      if (result->interrupted && finding.verdict != Verdict::violation) continue;
      if (!campaign_.first_sighting(one, finding)) continue;
      std::string& path = result->bundles[fingerprint(finding)];
      try {
        path = output_.write_failure(
            ran, finding, start_.seed + (one.soak ? " --soak" : fmt::format(" --case {}", one.k)));
      } catch (const std::exception& error) {
        result->bundle_problem = fmt::format("the bundle could not be written: {}", error.what());
      }
    }
  }

  // Until every thread is done: progress, failures as they come, and interruptions.
  void watch() {
    std::unique_lock lock(mutex_);
    while (finished_ < room_.size()) {
      changed_.wait_for(lock, std::chrono::milliseconds(100));
      lock.unlock();
      if (room_.interrupted()) campaign_.stop();
      tell_failures();
      show_progress();
      lock.lock();
    }
    lock.unlock();
    tell_failures();
    progress_.clear();
  }

  void show_progress(const std::string& now = "") {
    ProgressState state = campaign_.progress(monotonic_now());
    if (!now.empty()) state.now = now;
    state.elapsed_ns = monotonic_now() - begun_;
    if (state.total_ns > 0) state.total_ns = static_cast<std::int64_t>(start_.seconds * 1e9);
    progress_.update(state, monotonic_now());
  }

  // A slice of each transport's share, in turn.
  void explore(std::int64_t slice_ns) {
    for (std::size_t i = 0; i < start_.transports.size() && slice_ns > 0; ++i) {
      const std::string& name = start_.transports[i];
      if (room_.interrupted() || campaign_.stopped()) break;
      const bool failed_before = control_.of(name).failed();
      if (failed_before) continue;
      show_progress(name + " under control");
      campaign_.count_controlled(i, control_.explore(name, slice_ns));
      tell_failures();
    }
  }

  // Each transport in turn, in the main thread; what it finds is told as it comes.
  void soak_each() {
    for (std::size_t i = 0; i < start_.transports.size() && soak_ns_ > 0; ++i) {
      if (room_.interrupted() || campaign_.stopped()) break;
      const std::string& name = start_.transports[i];
      const SoakListener listener{
          .result_of = [this](const Case& one,
                              const ScenarioResult& ran) { return result_of(one, ran); },
          .after_round =
              [&] {
                tell_failures();
                show_progress(name + " soaking");
              },
          .ended = [this] { return room_.interrupted() || campaign_.stopped(); }};
      const SoakTally tally =
          soak(room_.engine(0), campaign_, i, monotonic_now() + soak_ns_, listener);
      tell_failures();
      progress_.clear();
      record(json_soak(name, tally));
      if (!json_) print_result(soak_line(name, tally));
    }
  }

  void record(const std::string& line) {
    output_.append(line);
    if (json_) print_result(line);
  }

  void tell_start() {
    if (!json_) print_result(fmt::format("seed {}\n{}", start_.seed, shard_line_));
    record(json_start(start_));
    const CleanReport& cleaned = room_.cleaned();
    if (cleaned.runs_removed > 0) {
      print_note(
          fmt::format("ipctorture: removed what {} dead run(s) left\n", cleaned.runs_removed));
    }
    for (const std::string& problem : cleaned.problems) {
      print_note(fmt::format("ipctorture: {}\n", problem));
    }
  }

  void tell_failures() {
    for (const Failure& failure : campaign_.take_failures()) {
      progress_.clear();
      if (failure.verdict == Verdict::violation) failed_.insert(failure.transport);
      record(json_failure(failure));
      if (json_) continue;
      const bool known = failure.verdict == Verdict::known;
      print_result(fmt::format(
          "{} {}: {}\n  fingerprint: {}\n",
          painted(failure.verdict, terminal_.results.colour, known ? "KNOWN" : "VIOLATION"),
          failure.transport, failure.what, failure.fingerprint));
      if (known) {
        print_result(
            fmt::format("  {}\n", known_reason(failure.reason, failure.link, failure.expires)));
      }
      if (known && failure.bundle.empty()) continue;
      print_result(
          failure.bundle.empty()
              ? fmt::format("  {}   (no bundle: a run writes at most {})\n",
                            rerun_line(terminal_.results.program, failure.again), bundles_max)
              : fmt::format("  {}\n", replay_line(terminal_.results.program, failure.bundle)));
    }
    for (const std::string& failure : campaign_.take_harness_failures()) {
      progress_.clear();
      record(json_harness_failure(failure.substr(0, failure.find(':')), failure));
      print_note(fmt::format("ipctorture: the harness failed: {}\n", failure));
    }
  }

  // Failures of the free engine are offered to the controlled one: if it finds one of the transport
  // too, that one replays step by step.
  void make_exact() {
    const auto setting = settings_.find("hand-over");
    const bool never = setting && (setting->text == "0" || setting->text == "0s");
    const std::int64_t time_ns = never ? 0 : setting ? parse_duration_ns(*setting) : hand_over_ns;
    if (time_ns == 0 || !UnderControl::available()) return;
    for (const std::string& transport : failed_) {
      if (room_.interrupted()) return;
      if (control_.of(transport).failed()) continue;
      print_note(fmt::format("ipctorture: looking for {} under control, for up to {}\n", transport,
                             human_duration(time_ns)));
      const ControlledResult& result = control_.explore(transport, time_ns);
      if (!result.failed()) continue;
      record(json_line({{"schema", json_lines_schema},
                        {"event", "exact"},
                        {"transport", transport},
                        {"fingerprint", result.fingerprint},
                        {"bundle", result.bundle}}));
      if (json_) continue;
      print_result(fmt::format("{} under control: {}\n  {}\n", transport,
                               presentable(result.what, 400),
                               replay_line(terminal_.results.program, result.bundle)));
    }
  }

  // What became of the entries of known.toml that this run did not see.
  void settle_known(CampaignTally* tally) {
    std::string why = too_little_;
    if (campaign_.stopped()) why = "this run ended early";
    if (room_.interrupted()) why = "this run was interrupted";
    settle_unseen(known_, why, &tally->known, room_.interrupted_flag());
    for (const KnownEntryTally& entry : tally->known) record(json_known_entry(entry));
  }

  ExitCode tell_end(unsigned others) {
    const bool loaded = others >= loaded_permille;
    CampaignTally tally = campaign_.tally(
        loaded ? Campaign::Machine::loaded : Campaign::Machine::idle, monotonic_now());
    settle_known(&tally);
    const ExitCode code = history_.write(graver(campaign_.exit_code(tally), room_.exit_code()));
    for (const TransportTally& one : tally.transports) record(json_transport(one));
    record(history_.as_json_line(terminal_.results.program));
    record(json_end(tally, static_cast<int>(code)));
    if (loaded) {
      print_note(
          fmt::format("ipctorture: others used {} % of this machine: up to 10 % of the "
                      "scenarios may be inconclusive (1 % on an idle one)\n",
                      others / 10));
    }
    if (!json_) {
      print_result("\n" + verdict_table(tally, terminal_.results) + "\n" +
                   verdict_details(tally, terminal_.results));
    }
    if (const auto junit = settings_.find("junit")) write_junit_file(junit->text, tally);
    if (!json_) print_result(history_.last_words(terminal_.results.program));
    return code;
  }

  void write_junit_file(const std::string& path, const CampaignTally& tally) const {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << junit_xml(tally);
    if (!file.flush()) throw_system_error("write", path);
  }

  const Settings& settings_;
  RunExport& history_;
  const Terminal terminal_;
  const bool json_;
  RunOutput output_;
  const unsigned jobs_;
  const CampaignStart start_;
  const std::string shard_line_;
  const std::int64_t controlled_ns_, soak_ns_;  // of each transport
  const KnownFailures known_;
  const std::string too_little_;  // to miss a known failure; empty: it is not
  Progress progress_;
  EngineRoom room_;
  UnderControl control_;
  Campaign campaign_;
  Instant begun_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned finished_ = 0;
  std::set<std::string> failed_;  // transports with a violation
};

}  // namespace

ExitCode run_campaign(const Settings& settings, const Selection& selection) {
  CampaignPlan plan = read_plan(settings, selection);
  const auto jobs_setting = settings.find("jobs");
  const unsigned jobs = jobs_setting
                            ? static_cast<unsigned>(parse_count(*jobs_setting, 1, jobs_max))
                            : default_jobs();
  if (plan.transports.empty()) {
    print_note("ipctorture: nothing selected; `ipctorture list` shows the transports\n");
    return ExitCode::nothing_selected;
  }
  RunExport history(selection.export_file);
  history.settle(plan, settings.find("seed") ? RunExport::Seed::given : RunExport::Seed::may_draw);
  if (selection.dry_run) {
    print_dry_run(plan, jobs);
    return ExitCode::pass;
  }
  if (const auto junit = settings.find("junit")) refuse_unwritable(*junit);
  std::int64_t controlled = controlled_ns(settings, plan);
  if (controlled > 0 && !UnderControl::available()) {
    controlled = 0;
    print_note(
        fmt::format("ipctorture: {} is not there: no interleavings are searched, the kernel "
                    "alone schedules (--control 0 asks for that)\n",
                    explorer_path()));
  }
  return Run(std::move(plan), controlled, jobs, settings, history).go();
}

}  // namespace ipctorture
