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

namespace ipctorture {
namespace {

std::uint64_t inconclusive_permille_max(Campaign::Machine machine) {
  return machine == Campaign::Machine::loaded ? 100 : 10;
}

bool too_many(std::uint64_t inconclusive, std::uint64_t scenarios, Campaign::Machine machine) {
  return inconclusive * 1000 > scenarios * inconclusive_permille_max(machine);
}

// Of what there was no occasion, as words: empty when there was one of everything.
std::string untried(const PromiseTally& promise, std::uint64_t scenarios) {
  std::string terms;
  for (const TermTally& term : promise.terms) {
    if (term.occasions > 0) continue;
    terms += fmt::format("{}{}", terms.empty() ? ": " : ", ", to_string(term.term));
  }
  if (promise.occasions > 0 && terms.empty()) return {};
  // One word for all of it says enough.
  if (promise.occasions == 0) terms.clear();
  return fmt::format("no occasion to break it in {} scenarios{}", scenarios, terms);
}

// Every promise is listed, so that whoever follows them over time sees the same ones everywhere.
void mark_unsupported(TransportTally& t, const std::map<Promise, PromiseTally>& promises) {
  t.verdict = Verdict::unsupported;
  if (t.unsupported_reason.empty()) t.unsupported_reason = "no scenario of it was finished";
  for (const auto& [which, tally] : promises) {
    t.promises.push_back({.promise = which,
                          .verdict = Verdict::unsupported,
                          .terms = tally.terms,
                          .what = t.unsupported_reason});
  }
}

// A promise with nothing worse than known failures is known: neither kept, nor untried.
void mark_known(PromiseTally& promise, const std::vector<KnownTally>& all) {
  for (const KnownTally& known : all) {
    if (known.promise != promise.promise || promise.verdict != Verdict::pass) continue;
    promise.verdict = Verdict::known;
    promise.what = known.what;
    promise.fingerprint = known.fingerprint;
    promise.again = known.again;
    promise.bundle = known.bundle;
  }
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
    mark_unsupported(t, state.promises);
    return t;
  }
  t.verdict = Verdict::pass;
  t.scenarios += state.refused;
  t.inconclusive_scenarios += state.refused;
  if (state.traffic_ns > 0) {
    t.messages_per_second =
        static_cast<double>(state.traffic_messages) * 1e9 / static_cast<double>(state.traffic_ns);
  }
  t.p50_ns = state.latency.percentile_ns(500);
  t.p99_ns = state.latency.percentile_ns(990);

  std::uint64_t most = state.refused;
  if (state.refused > 0) t.inconclusive_reason = "it could not run here: " + state.refusal;
  for (const auto& [symptom, entry] : state.inconclusive) {
    if (entry.first <= most) continue;
    most = entry.first;
    t.inconclusive_reason = entry.second;
  }
  if (too_many(t.inconclusive_scenarios, t.scenarios, machine)) t.verdict = Verdict::inconclusive;
  for (const auto& [which, tally] : state.promises) {
    PromiseTally promise = tally;
    const auto found = state.inconclusive_scenarios.find(which);
    const std::uint64_t inconclusive =
        found == state.inconclusive_scenarios.end() ? 0 : found->second;
    if (promise.verdict == Verdict::inconclusive && !too_many(inconclusive, t.scenarios, machine)) {
      promise.verdict = Verdict::pass;  // within the share that is allowed; the count stays visible
    }
    mark_known(promise, t.known);
    const bool whole = plan_.shard.count == 1 && plan_.only_case == 0;
    const std::string wanting = untried(promise, t.scenarios);
    if (promise.verdict == Verdict::pass && !wanting.empty() && whole) {
      promise.verdict = Verdict::inconclusive;
      promise.what = wanting;
      promise.seed.clear();
      promise.again.clear();
    }
    t.verdict = worse(t.verdict, promise.verdict);
    t.promises.push_back(std::move(promise));
  }
  return t;
}

CampaignTally Campaign::tally(Machine machine, Instant now) const {
  const std::lock_guard lock(mutex_);
  CampaignTally all{
      .seed = seed_text(plan_.seed), .started = started_text_, .elapsed_ns = now - started_};
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
