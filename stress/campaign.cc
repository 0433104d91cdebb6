#include "stress/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "harness/check/check.h"
#include "harness/check/terms.h"

namespace ipctorture {
namespace {

// A harness that fails again and again finds nothing: better to end and say so.
constexpr std::uint64_t harness_failures_max = 10;
constexpr std::uint64_t refusals_max = 3;

// A doubt does not use up the bundle of a later violation in the same place.
std::string sighting(const Case& which, const Finding& finding) {
  return fmt::format("{}: {} {}", which.scenario.transport_name(), to_string(finding.verdict),
                     fingerprint(finding));
}

// Why this transport cannot take part when only one way of starting workers is wanted.
std::string launch_refusal(const Contract& contract, std::optional<Launch> launch) {
  if (launch == Launch::exec && contract.attach == AttachBy::inherited) {
    return "--launch exec: its descriptors are inherited, separate programs cannot have them";
  }
  if (launch == Launch::fork && contract.exec_only) {
    return "--launch fork: its contract allows separate programs only";
  }
  return {};
}

}  // namespace

Campaign::Campaign(CampaignPlan plan, Instant now)
    : plan_(std::move(plan)), started_(now), started_text_(calendar_utc()) {
  for (const Selected& selected : plan_.transports) {
    State state;
    const Registration& registration = *selected.registration;
    state.tally.transport = registration.name;
    state.tally.unsupported_reason = launch_refusal(registration.contract, plan_.launch);
    for (unsigned p = 0; p < promise_count; ++p) {
      const auto promise = static_cast<Promise>(p);
      if (promise_applies(promise, registration.contract)) {
        PromiseTally& tally = state.promises[promise];
        tally.promise = promise;
        for (const Term term : promised_terms(promise, registration.contract)) {
          tally.terms.push_back({.term = term});
        }
      }
    }
    const bool one = plan_.only_case > 0;
    state.next_k = one ? plan_.only_case : next_of_this_shard(2, false);
    state.next_patient_k = one ? plan_.only_case : next_of_this_shard(1, true);
    states_.push_back(std::move(state));
  }
}

void Campaign::begin(Instant now) {
  const std::lock_guard lock(mutex_);
  started_ = now;
}

void Campaign::count_controlled(std::size_t transport, const ControlledResult& result) {
  const std::lock_guard lock(mutex_);
  State& state = states_[transport];
  state.tally.schedules = result.schedules;
  state.tally.doubt = result.doubt;
  if (!result.harness_failure.empty()) {
    harness_failures_.push_back(
        fmt::format("{}: under control: {}", state.tally.transport, result.harness_failure));
    ++harness_failed_;
  }
  count_known_controlled(state, result);
  if (!result.failed()) return;
  for (unsigned p = 0; p < promise_count; ++p) {
    const auto promise = static_cast<Promise>(p);
    if (to_string(promise) != result.promise) continue;
    PromiseTally& tally = state.promises[promise];
    tally.promise = promise;
    tally.verdict = Verdict::violation;
    tally.what = result.what;
    tally.fingerprint = result.fingerprint;
    tally.seed = seed_text(plan_.seed);
    tally.bundle = result.bundle;
  }
  failures_.push_back({.transport = state.tally.transport,
                       .fingerprint = result.fingerprint,
                       .what = result.what,
                       .seed = seed_text(plan_.seed),
                       .bundle = result.bundle,
                       .engine = "controlled"});
  ++violations_;
  if (plan_.fail_fast == FailFast::yes) stopped_ = true;
}

Case Campaign::make_case(std::size_t transport, std::uint64_t k) const {
  const Registration& registration = *plan_.transports[transport].registration;
  Case made{.transport = transport, .k = k};
  made.seed = case_seed(plan_.seed, registration.name, k);
  GenerateOptions options = plan_.generate;
  if (plan_.launch == Launch::fork) options.allow_exec = false;
  if (plan_.launch == Launch::exec) options.only_exec = true;
  const auto generator = is_patient_case(k) ? generate_patient : generate;
  made.scenario = generator(made.seed, registration.name, registration.contract, options);
  if (plan_.failing_calls) made.scenario.faults.failing_calls = *plan_.failing_calls;
  if (plan_.short_calls) made.scenario.faults.short_calls = *plan_.short_calls;
  return made;
}

Case Campaign::soak_case(std::size_t transport, std::uint64_t k) const {
  const Registration& registration = *plan_.transports[transport].registration;
  Case made{.transport = transport, .k = k, .soak = true};
  made.seed = case_seed(plan_.seed, fmt::format("soak of {}", registration.name), k);
  GenerateOptions options = plan_.generate;
  options.allow_exec = plan_.launch == Launch::exec;  // in rounds it makes no difference
  options.only_exec = plan_.launch == Launch::exec;
  made.scenario = generate_soak(made.seed, registration.name, registration.contract, options);
  if (plan_.failing_calls) made.scenario.faults.failing_calls = *plan_.failing_calls;
  if (plan_.short_calls) made.scenario.faults.short_calls = *plan_.short_calls;
  return made;
}

std::string Campaign::soak_refusal_of(std::size_t transport) const {
  const std::lock_guard lock(mutex_);
  const std::string& why = states_[transport].tally.unsupported_reason;
  return why.empty() ? soak_refusal(plan_.transports[transport].registration->contract) : why;
}

bool Campaign::has_run_left(const State& state) const {
  if (plan_.only_case > 0) {
    return state.next_k == plan_.only_case && !is_patient_case(plan_.only_case);
  }
  if (state.next_k == std::numeric_limits<std::uint64_t>::max()) return false;  // see below
  return plan_.runs == 0 || state.next_k <= plan_.runs;
}

// A shard that has none of the kind, as 1 of 1000 has patient ones only, gets one that never comes.
std::uint64_t Campaign::next_of_this_shard(std::uint64_t k, bool patient) const {
  const std::uint64_t last = k + patient_every * (std::uint64_t{plan_.shard.count} + 1);
  while (is_patient_case(k) != patient || !plan_.shard.has(k)) {
    if (++k == last) return std::numeric_limits<std::uint64_t>::max();
  }
  return k;
}

// The one with the fewest patient cases so far that may have another: one is each one's due, more
// only while there is time to wait for the progress bound.
std::optional<std::size_t> Campaign::most_impatient(Instant now) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if (!state.tally.unsupported_reason.empty()) continue;
    const Contract& contract = plan_.transports[i].registration->contract;
    const auto patience_ns = std::int64_t{contract.progress_bound_ms} * 2'500'000;
    const auto spent_ns = static_cast<std::int64_t>(state.patient) * patience_ns;
    const std::uint64_t k = state.next_patient_k;
    const bool time = std::max(now - started_, spent_ns) + patience_ns <= plan_.time_ns;
    bool due = k == 1 || time;
    if (plan_.runs > 0) due = k <= plan_.runs;
    if (plan_.only_case > 0) due = k == plan_.only_case && is_patient_case(k);
    if (k == std::numeric_limits<std::uint64_t>::max()) due = false;
    if (due && (!best || state.patient < states_[*best].patient)) best = i;
  }
  return best;
}

// The supported transport with the least time; one whose case runs now is charged for it in
// advance.
std::optional<std::size_t> Campaign::neediest() const {
  std::optional<std::size_t> best;
  std::int64_t best_ns = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const State& state = states_[i];
    if (!state.tally.unsupported_reason.empty() || !has_run_left(state)) continue;
    const std::int64_t typical_ns = state.ordinary == 0
                                        ? plan_.generate.budget_ns
                                        : state.used_ns / static_cast<std::int64_t>(state.ordinary);
    const std::int64_t charged_ns = state.used_ns + state.running * typical_ns;
    if (best && charged_ns >= best_ns) continue;
    best = i;
    best_ns = charged_ns;
  }
  return best;
}

std::optional<Case> Campaign::next(EngineFor engine, Instant now) {
  std::size_t transport = 0;
  std::uint64_t k = 1;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return std::nullopt;
    if (engine == EngineFor::patient_cases) {
      const auto impatient = most_impatient(now);
      if (!impatient) return std::nullopt;
      transport = *impatient;
      State& state = states_[transport];
      k = state.next_patient_k;
      state.next_patient_k = plan_.only_case > 0 ? k + 1 : next_of_this_shard(k + 1, true);
      ++state.patient;
    } else {
      const bool limited = plan_.time_ns > 0 && plan_.only_case == 0;
      if (limited && now - started_ >= plan_.time_ns) return std::nullopt;
      const auto needy = neediest();
      if (!needy) return std::nullopt;
      transport = *needy;
      State& state = states_[transport];
      k = state.next_k;
      state.next_k = next_of_this_shard(k + 1, false);
      ++state.running;
    }
    last_started_ = states_[transport].tally.transport;
  }
  return make_case(transport, k);
}

void Campaign::finish(const Case& done, const CaseResult& result) {
  const std::lock_guard lock(mutex_);
  State& state = states_[done.transport];
  const auto harness_failed = [&](const std::string& what) {
    harness_failures_.push_back(
        fmt::format("{}: {} (again: run {})", state.tally.transport, what, case_flags(done)));
    if (++harness_failed_ >= harness_failures_max) stopped_ = true;
  };
  state.tally.elapsed_ns += result.elapsed_ns;
  const bool patient = !done.soak && is_patient_case(done.k);
  if (!patient && !done.soak) {
    --state.running;
    state.used_ns += result.elapsed_ns;
    ++state.ordinary;
  }
  if (!result.bundle_problem.empty()) harness_failed(result.bundle_problem);
  if (!result.harness_failure.empty()) return harness_failed(result.harness_failure);
  if (!result.unsupported.empty()) {
    add_case(&state.cases, done.k, plan_.shard.count);
    if (state.refused++ == 0) state.refusal = result.unsupported;
    // Some scenarios may ask too much of this machine; when the first ones all do, none can run.
    if (state.tally.scenarios == 0 && state.refused >= refusals_max) {
      state.tally.unsupported_reason = state.refusal;
    }
    return;
  }
  // Without what is known.
  Verdict verdict = Verdict::pass;
  bool known_seen = false;
  for (const Finding& finding : result.judgement.findings) {
    const bool is_known = known(state, finding) != nullptr;
    known_seen = known_seen || is_known;
    if (is_known) count_known(state, done, finding, result);
    if (!is_known) verdict = worse(verdict, finding.verdict);
  }
  if (result.interrupted && verdict != Verdict::violation) return;
  ++state.tally.scenarios;
  if (!done.soak) add_case(&state.cases, done.k, plan_.shard.count);
  state.tally.messages += result.traffic.received;
  if (!patient) {  // which sleep
    state.traffic_ns += result.traffic.traffic_ns;
    state.traffic_messages += result.traffic.received;
  }
  state.latency.merge(result.latency);
  if (verdict == Verdict::inconclusive && !known_seen) ++state.tally.inconclusive_scenarios;
  for (const Finding& finding : result.judgement.findings) {
    // What a known failure cut short is no doubt of its own, nor an occasion.
    if (known_seen && finding.verdict == Verdict::inconclusive) continue;
    count_finding(state, done, finding, result);
  }
  count_fairness(state, result.judgement.fairness);
  if (verdict == Verdict::violation) {
    ++violations_;
    if (plan_.fail_fast == FailFast::yes) stopped_ = true;
  }
}

void Campaign::count_finding(State& state, const Case& done, const Finding& finding,
                             const CaseResult& result) {
  PromiseTally& promise = state.promises[finding.promise];
  promise.promise = finding.promise;
  ++promise.scenarios;
  promise.occasions += finding.occasions;
  promise.tried_scenarios += finding.occasions > 0 ? 1 : 0;
  for (TermTally& term : promise.terms) {
    term.occasions += finding.tried_of(term.term);
    term.scenarios += finding.tried_of(term.term) > 0 ? 1 : 0;
  }
  if (known(state, finding) != nullptr) return;
  if (finding.verdict == Verdict::inconclusive) {
    ++promise.inconclusive_scenarios;
    auto& [count, text] = state.inconclusive[fingerprint(finding)];
    if (count++ == 0) text = fmt::format("{}: {}", to_string(finding.promise), finding.what);
  }
  const auto bundle = result.bundles.find(fingerprint(finding));
  const std::string path = bundle == result.bundles.end() ? "" : bundle->second;
  // Told by the case that saw it first, which has the bundle, though another may finish earlier.
  if (finding.verdict == Verdict::violation && bundle != result.bundles.end()) {
    report_failure(done, finding, path);
  }
  if (finding.verdict <= Verdict::pass || finding.verdict < promise.verdict) return;
  const bool better_known = promise.bundle.empty() && !path.empty();
  if (finding.verdict == promise.verdict && !better_known) return;
  promise.verdict = finding.verdict;
  promise.what = finding.what;
  promise.fingerprint = finding.verdict == Verdict::violation ? fingerprint(finding) : "";
  promise.seed = seed_text(plan_.seed);
  promise.again = case_flags(done);
  promise.bundle = path;
}

void Campaign::count_fairness(State& state, const Fairness& fairness) {
  FairnessTally& all = state.tally.fairness;
  all.overtakes = std::max(all.overtakes, fairness.overtakes);
  all.wait_ns = std::max(all.wait_ns, fairness.wait_ns);
  all.peer_overtakes = std::max(all.peer_overtakes, fairness.peer_overtakes);
  all.peer_wait_ns = std::max(all.peer_wait_ns, fairness.peer_wait_ns);
  const auto share = [](FairnessTally::Shares& shares, double& sum, std::optional<double> index) {
    if (!index) return;
    shares.least = std::min(shares.least, *index);
    sum += *index;
    shares.mean = sum / static_cast<double>(++shares.scenarios);
  };
  share(all.producers, state.jain_producers, fairness.jain_producers);
  share(all.consumers, state.jain_consumers, fairness.jain_consumers);
}

void Campaign::report_failure(const Case& done, const Finding& finding, const std::string& bundle) {
  failures_.push_back({.transport = std::string(done.scenario.transport_name()),
                       .fingerprint = fingerprint(finding),
                       .verdict = finding.verdict,
                       .what = finding.what,
                       .seed = seed_text(plan_.seed),
                       .again = case_flags(done),
                       .bundle = bundle});
}

std::string Campaign::case_flags(const Case& which) const {
  std::string text =
      fmt::format("{} --seed {}", which.scenario.transport_name(), seed_text(plan_.seed));
  text += which.soak ? " --soak" : fmt::format(" --case {}", which.k);
  if (plan_.launch) text += fmt::format(" --launch {}", to_string(*plan_.launch));
  if (plan_.failing_calls) text += fmt::format(" --failing-calls {}", *plan_.failing_calls);
  if (plan_.short_calls) text += fmt::format(" --short-calls {}", *plan_.short_calls);
  return text;
}

void Campaign::stop() { stopped_ = true; }

bool Campaign::first_sighting(const Case& which, const Finding& finding) {
  const std::lock_guard lock(mutex_);
  return sighted_.insert(sighting(which, finding)).second;
}

std::vector<Failure> Campaign::take_failures() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failures_, {});
}

std::vector<std::string> Campaign::take_harness_failures() {
  const std::lock_guard lock(mutex_);
  return std::exchange(harness_failures_, {});
}

ProgressState Campaign::progress(Instant now) const {
  const std::lock_guard lock(mutex_);
  ProgressState state{.elapsed_ns = now - started_,
                      .total_ns = plan_.time_ns,
                      .violations = violations_,
                      .now = last_started_};
  for (const State& one : states_) {
    state.scenarios += one.tally.scenarios;
    state.messages += one.tally.messages;
    if (!one.tally.unsupported_reason.empty()) continue;
    state.scenarios_max += plan_.only_case > 0 ? 1 : plan_.runs / plan_.shard.count;
  }
  return state;
}

}  // namespace ipctorture
