// The last part of a campaign: what its scenarios together say about each transport.
//
//  - violation: any scenario found one;
//  - inconclusive: more than 1 % of its scenarios are (10 % on a loaded machine), or a promise of
//    its contract, or one of its terms, had no occasion to be broken (not in a shard: the shards
//    together must have it; nor where one case alone was asked for);
//  - known: otherwise, when there were violations that known.toml lists, and no others;
//  - pass: otherwise, and then it says how much was tried;
//  - unsupported: no scenario of it could run here. Where some could, the others are inconclusive.
#include <fmt/format.h>

#include <algorithm>

#include "stress/campaign.h"
#include "stress/transport_verdict.h"

namespace ipctorture {
namespace {

unsigned inconclusive_permille_max(Campaign::Machine machine) {
  return machine == Campaign::Machine::loaded ? 100 : 10;
}

}  // namespace

TransportTally Campaign::judged(const State& state, Machine machine) const {
  TransportTally t = state.tally;
  if (t.scenarios == 0 && t.unsupported_reason.empty()) t.unsupported_reason = state.refusal;
  for (const auto& [print, known] : state.known) t.known.push_back(known);
  const bool broken =
      !t.known.empty() ||
      std::any_of(state.promises.begin(), state.promises.end(),
                  [](const auto& one) { return one.second.verdict == Verdict::violation; });
  if (!broken && (!t.unsupported_reason.empty() || t.scenarios == 0)) {
    std::vector<PromiseTally> promises;
    for (const auto& [which, tally] : state.promises) promises.push_back(tally);
    mark_unsupported(t, promises);
    return t;
  }
  t.verdict = Verdict::pass;
  t.scenarios += state.refused;
  t.inconclusive_scenarios += state.refused;
  if (state.traffic_ns > 0) {
    t.messages_per_second =
        static_cast<double>(state.traffic_messages) * 1e9 / static_cast<double>(state.traffic_ns);
  }
  t.traffic_messages = state.traffic_messages;
  t.traffic_ns = state.traffic_ns;
  t.cases = state.cases;
  t.latency = state.latency.sparse();
  t.p50_ns = state.latency.percentile_ns(500);
  t.p99_ns = state.latency.percentile_ns(990);

  std::uint64_t most = state.refused;
  if (state.refused > 0) t.inconclusive_reason = "it could not run here: " + state.refusal;
  for (const auto& [symptom, entry] : state.inconclusive) {
    if (entry.first <= most) continue;
    most = entry.first;
    t.inconclusive_reason = entry.second;
  }
  for (const auto& [which, tally] : state.promises) t.promises.push_back(tally);
  const bool whole = plan_.shard.count == 1 && plan_.only_case == 0;
  settle(t, t.scenarios * inconclusive_permille_max(machine), whole ? Whole::yes : Whole::no);
  return t;
}

CampaignTally Campaign::tally(Machine machine, Instant now) const {
  const std::lock_guard lock(mutex_);
  CampaignTally all{.seed = seed_text(plan_.seed),
                    .started = started_text_,
                    .elapsed_ns = now - started_,
                    .inconclusive_permille_max = inconclusive_permille_max(machine)};
  for (const State& state : states_) all.transports.push_back(judged(state, machine));
  all.known = known_entries();
  return all;
}

ExitCode Campaign::exit_code(const CampaignTally& tally) const {
  const std::lock_guard lock(mutex_);
  ExitCode code = harness_failed_ > 0 ? ExitCode::harness_failed : ExitCode::pass;
  for (std::size_t i = 0; i < tally.transports.size(); ++i) {
    code = graver(code, exit_code_of(tally.transports[i].verdict, plan_.transports[i].asked));
  }
  for (const KnownEntryTally& entry : tally.known) {
    if (entry.fails()) code = graver(code, ExitCode::violation);
  }
  return code;
}

}  // namespace ipctorture
