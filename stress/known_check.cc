#include "stress/known_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/report/bundle.h"
#include "stress/hand_over.h"
#include "stress/output_of.h"
#include "stress/settings.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr const char* free_attempts = "50";

bool shows(const Judgement& judgement, const std::string& print) {
  return std::any_of(judgement.findings.begin(), judgement.findings.end(), [&](const auto& one) {
    return one.verdict == Verdict::violation && fingerprint(one) == print;
  });
}

std::string first_violation(const Judgement& judgement) {
  for (const Finding& one : judgement.findings) {
    if (one.verdict == Verdict::violation) return fingerprint(one);
  }
  return {};
}

// What asking a bundle came to.
struct Answer {
  KnownState state = KnownState::unseen;
  std::string note;
};

const Answer broken_off{KnownState::unseen, "was not seen; asking its bundle was interrupted"};

// The search around a schedule that the code of today does not take any more.
Answer regressed(const std::string& bundle, const std::atomic<bool>& stop) {
  const std::string said = output_of({own_path(), "regress", bundle, "--time", "10s"}, &stop);
  if (stop.load()) return broken_off;
  if (said.find("still broken") != std::string::npos) {
    return {KnownState::replayed, "was not seen, but near the schedule of its bundle it happens"};
  }
  if (said.find("not found again") != std::string::npos) {
    return {KnownState::gone,
            "is gone: neither seen, nor near the schedule of its bundle; remove the entry"};
  }
  return {KnownState::unseen, "was not seen, and its bundle could not be replayed"};
}

Answer replayed(const KnownFailure& entry, const std::atomic<bool>& stop) {
  const bool exact = is_controlled_bundle(entry.bundle);
  std::vector<std::string> command = {own_path(), "replay", entry.bundle, "--json", "--quiet"};
  command.insert(command.end(), {"--attempts", exact ? "1" : free_attempts});
  const auto json = nlohmann::json::parse(output_of(command, &stop), nullptr, false);
  if (!json.is_object()) return {KnownState::unseen, "was not seen, and its replay failed"};
  const auto attempts = json.value("attempts", 0u);
  auto reproduced = json.value("reproduced", 0u);
  // A bundle of the free engine may show other failures beside.
  if (!exact)
    reproduced = json.value("seen", nlohmann::json::object()).value(entry.fingerprint, 0u);
  if (reproduced > 0) return {KnownState::replayed, "was not seen, but its bundle shows it still"};
  if (stop.load()) return broken_off;
  if (exact) return regressed(entry.bundle, stop);
  const bool none = attempts == 0 || json.value("inconclusive", 0u) == attempts;
  if (none) return {KnownState::unseen, "was not seen, and its bundle could not be replayed"};
  return {KnownState::gone,
          fmt::format("is gone: neither seen, nor in {} replays of its bundle; remove the entry",
                      attempts)};
}

}  // namespace

void refuse_foreign_bundles(const KnownFailures& known) {
  for (const KnownFailure& entry : known.entries()) {
    if (entry.bundle.empty() || known.expired(entry)) continue;
    try {
      const BundleContent bundle = load_bundle(entry.bundle);
      const auto name = bundle.scenario.transport_name();
      // A schedule is for one failure, its first.
      const bool first = !is_controlled_bundle(entry.bundle) ||
                         first_violation(bundle.judgement) == entry.fingerprint;
      const bool told = first && shows(bundle.judgement, entry.fingerprint);
      if (entry.covers(name) && told) continue;
      const Finding* worst = bundle.judgement.worst();
      throw std::runtime_error(fmt::format("{}: shows {} of {}", entry.bundle,
                                           worst == nullptr ? "nothing" : fingerprint(*worst),
                                           name));
    } catch (const std::runtime_error& error) {
      throw UsageError(fmt::format("{}: bundle: {}", entry.where, error.what()));
    }
  }
}

void settle_unseen(const KnownFailures& known, const std::string& too_little,
                   std::vector<KnownEntryTally>* entries, const std::atomic<bool>& stop) {
  for (std::size_t i = 0; i < entries->size(); ++i) {
    KnownEntryTally& tally = (*entries)[i];
    if (tally.state != KnownState::unseen || !tally.note.empty()) continue;
    const KnownFailure& entry = known.entries()[i];
    if (stop.load()) {
      tally.note = broken_off.note;
    } else if (!too_little.empty()) {
      tally.note = "was not seen, which proves nothing: " + too_little;
    } else if (!entry.bundle.empty()) {
      const Answer answer = replayed(entry, stop);
      tally.state = answer.state;
      tally.note = answer.note;
    } else {
      tally.state = KnownState::gone;
      tally.note =
          "was not seen in a whole run: it does not reproduce any more; remove the entry, or give "
          "it a bundle";
    }
  }
}

}  // namespace ipctorture
