#include "stress/run_plan.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "harness/base/descriptor.h"
#include "harness/report/summary.h"
#include "stress/known_check.h"
#include "stress/machine_shard.h"
#include "stress/output_of.h"
#include "stress/soak.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr unsigned control_percent = 40;
constexpr std::int64_t default_time_ns = 60'000'000'000;

std::uint64_t fresh_seed() {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) throw_system_error("getrandom", "");
  return seed;
}

// A soak is neither counted in scenarios nor divided.
void plan_soak(CampaignPlan* plan) {
  if (plan->runs > 0 || plan->only_case > 0 || plan->shard.count > 1) {
    throw UsageError("--soak: goes with --time, not with --runs, --case or --shard");
  }
  const auto transports =
      static_cast<std::int64_t>(std::max<std::size_t>(1, plan->transports.size()));
  plan->soak_ns = soak_share_ns(plan->time_ns / transports) * transports;
}

std::string case_line(const Case& one) {
  const Scenario& s = one.scenario;
  const std::string faults = fault_words(s.faults);
  return fmt::format("  case {}: {} {}x{}, {} messages each, up to {} B, {}{}{}{}\n", one.k,
                     to_string(s.workload), s.producers, s.consumers, s.messages,
                     s.largest_message(), to_string(s.launch),
                     is_patient_case(one.k) ? ", patient: waits for the progress bound" : "",
                     faults.empty() ? "" : "; faults: ", faults);
}

std::string budget_text(const CampaignPlan& plan) {
  if (plan.only_case > 0) return fmt::format("case {} alone", plan.only_case);
  if (plan.time_ns > 0) return human_duration(plan.time_ns) + " in all";
  return fmt::format("{} scenarios each", plan.runs);
}

}  // namespace

CampaignPlan read_plan(const Settings& settings, const Selection& selection) {
  CampaignPlan plan;
  SelectionRequest request{.names = selection.names, .exclude = settings.list("exclude")};
  if (selection.faulty) request.also.push_back(Kind::faulty);
  if (selection.canary) request.also.push_back(Kind::canary);
  plan.transports = select_transports(request, registrations());
  const auto seed = settings.find("seed");
  plan.seed = seed ? parse_seed(*seed) : fresh_seed();
  const auto runs = settings.find("runs");
  const auto time = settings.find("time");
  if (runs) plan.runs = parse_count(*runs, 1, 1'000'000'000);
  if (time || !runs) plan.time_ns = time ? parse_duration_ns(*time) : default_time_ns;
  // With names the time is each transport's, without it is everything's.
  if (!selection.names.empty()) {
    plan.time_ns *= static_cast<std::int64_t>(std::max<std::size_t>(1, plan.transports.size()));
  }
  const ChosenShard chosen = chosen_shard(settings, ::getenv);
  plan.shard = chosen.shard;
  plan.shard_line = shard_line(chosen);
  if (const auto one = settings.find("case")) {
    plan.only_case = parse_count(*one, 1, std::numeric_limits<std::uint32_t>::max());
  }
  if (const auto launch = settings.find("launch")) plan.launch = parse_launch(*launch);
  const auto rate = [&](std::string_view name) -> std::optional<std::uint32_t> {
    const auto given = settings.find(name);
    if (!given) return std::nullopt;
    return static_cast<std::uint32_t>(parse_count(*given, 0, 10'000));
  };
  plan.failing_calls = rate("failing-calls");
  plan.short_calls = rate("short-calls");
  plan.fail_fast = settings.on("fail-fast") ? FailFast::yes : FailFast::no;
  if (settings.on("soak")) plan_soak(&plan);
  plan.known = read_known_failures(settings, plan.transports);
  refuse_foreign_bundles(plan.known);
  return plan;
}

std::int64_t controlled_ns(const Settings& settings, const CampaignPlan& plan) {
  const auto setting = settings.find("control");
  const unsigned otherwise = plan.soak_ns > 0 ? 0 : control_percent;
  const std::uint64_t percent = setting ? parse_count(*setting, 0, 100) : otherwise;
  const bool whole = plan.only_case == 0 && plan.launch != Launch::exec;
  if (plan.time_ns == 0 || !whole) return 0;
  return (plan.time_ns - plan.soak_ns) * static_cast<std::int64_t>(percent) / 100 /
         static_cast<std::int64_t>(plan.transports.size());
}

std::string too_little(const CampaignPlan& plan, std::int64_t controlled_ns) {
  const bool part = plan.runs > 0 || plan.only_case > 0 || plan.shard.count > 1 || plan.launch;
  const auto each_ns = plan.time_ns / static_cast<std::int64_t>(plan.transports.size());
  if (part) return "this run is a part";
  if (controlled_ns == 0 || controlled_ns >= each_ns) return "one engine had no time";
  if (each_ns < known_least_ns) return "this run was short";
  return {};
}

std::string options_text(const CampaignPlan& plan) {
  std::string text;
  if (plan.only_case > 0) text += fmt::format(" --case {}", plan.only_case);
  if (plan.soak_ns > 0) text += " --soak";
  if (plan.launch) text += fmt::format(" --launch {}", to_string(*plan.launch));
  if (plan.failing_calls) text += fmt::format(" --failing-calls {}", *plan.failing_calls);
  if (plan.short_calls) text += fmt::format(" --short-calls {}", *plan.short_calls);
  return text;
}

void print_dry_run(const CampaignPlan& plan, unsigned jobs) {
  print_result(fmt::format("seed {}\n{}transports: {}; {}; scenarios at once: {}\n",
                           seed_text(plan.seed), plan.shard_line, plan.transports.size(),
                           budget_text(plan), jobs));
  for (const KnownEntryTally& entry : plan.known.tallies()) {
    print_result(fmt::format("known: {} of {}, until {}{}\n", entry.fingerprint, entry.transport,
                             entry.expires, entry.fails() ? ": expired" : ""));
  }
  for (const Selected& selected : plan.transports) {
    print_result(fmt::format("{}\n", selected.registration->name));
    CampaignPlan alone = plan;
    alone.transports = {selected};
    alone.runs = std::max<std::uint64_t>(alone.runs, 3);
    Campaign campaign(std::move(alone), 0);
    if (const auto first = campaign.next(EngineFor::patient_cases, 0)) {
      print_result(case_line(*first));
    }
    for (int i = 0; i < 2; ++i) {
      if (const auto next = campaign.next(EngineFor::ordinary_cases, 0)) {
        print_result(case_line(*next));
      }
    }
    if (plan.soak_ns == 0) continue;
    const std::string why_not = campaign.soak_refusal_of(0);
    const auto each_ns = plan.soak_ns / static_cast<std::int64_t>(plan.transports.size());
    print_result(why_not.empty() ? fmt::format("  then {} of {}\n", human_duration(each_ns),
                                               soak_shape(campaign.soak_case(0, 1).scenario))
                                 : fmt::format("  no soak: {}\n", why_not));
  }
}

}  // namespace ipctorture
