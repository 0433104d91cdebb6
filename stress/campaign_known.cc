// The part of a campaign that is about known failures (known_failures.h): they are counted for
// themselves, and change no promise's verdict until the end (campaign_verdict.cc).
#include <algorithm>

#include "stress/campaign.h"

namespace ipctorture {

const KnownFailure* Campaign::known(const State& state, const Finding& finding) const {
  if (finding.verdict != Verdict::violation) return nullptr;
  return plan_.known.find(state.tally.transport, fingerprint(finding));
}

// The tally of this transport and failure, made when there was none.
KnownTally& Campaign::known_tally(State& state, const KnownFailure& entry) {
  KnownTally& tally = state.known[entry.fingerprint];
  tally.fingerprint = entry.fingerprint;
  tally.where = entry.where;
  tally.reason = entry.reason;
  tally.link = entry.link;
  tally.expires = entry.expires;
  return tally;
}

void Campaign::count_known(State& state, const Case& done, const Finding& finding,
                           const CaseResult& result) {
  const KnownFailure* entry = known(state, finding);
  if (entry == nullptr) return;
  KnownTally& tally = known_tally(state, *entry);
  tally.promise = finding.promise;
  ++tally.scenarios;
  // Told by the case that saw it first, like any failure, unless the controlled engine did.
  const auto bundle = result.bundles.find(tally.fingerprint);
  if (bundle == result.bundles.end()) return;
  tally.again = case_flags(done);
  tally.bundle = bundle->second;
  if (!tally.what.empty()) return;
  tally.what = finding.what;
  report_known(state, tally, "free");
}

void Campaign::count_known_controlled(State& state, const ControlledResult& result) {
  for (const auto& [print, seen] : result.known) {
    const KnownFailure* entry = plan_.known.find(state.tally.transport, print);
    if (entry == nullptr) continue;
    KnownTally& tally = known_tally(state, *entry);
    for (unsigned p = 0; p < promise_count; ++p) {
      const auto promise = static_cast<Promise>(p);
      if (print.starts_with(to_string(promise))) tally.promise = promise;
    }
    tally.histories = seen.histories;
    if (!tally.what.empty()) continue;
    tally.what = seen.what;
    report_known(state, tally, "controlled");
  }
}

void Campaign::report_known(const State& state, const KnownTally& known, std::string engine) {
  failures_.push_back({.transport = state.tally.transport,
                       .fingerprint = known.fingerprint,
                       .verdict = Verdict::known,
                       .what = known.what,
                       .seed = seed_text(plan_.seed),
                       .again = known.again,
                       .bundle = known.bundle,
                       .engine = std::move(engine),
                       .reason = known.reason,
                       .link = known.link,
                       .expires = known.expires});
}

// What became of each entry, as far as this campaign saw it.
std::vector<KnownEntryTally> Campaign::known_entries() const {
  std::vector<KnownEntryTally> tallies = plan_.known.tallies();
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    const KnownFailure& entry = plan_.known.entries()[i];
    KnownEntryTally& tally = tallies[i];
    if (tally.state == KnownState::expired) continue;
    bool ran = false;
    for (const State& state : states_) {
      if (!entry.covers(state.tally.transport)) continue;
      ran = ran || state.tally.scenarios > 0 || state.tally.schedules > 0;
      if (state.known.contains(entry.fingerprint)) tally.state = KnownState::seen;
    }
    if (!ran) tally.note = "was not seen: its transport could not run here";
  }
  return tallies;
}

}  // namespace ipctorture
