// The figures of a campaign, added up over its scenarios: what tables, JSON lines and JUnit are
// made of. Values only; whoever runs the campaign fills them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/check/verdict.h"

namespace ipctorture {

// One term of a promise.
struct TermTally {
  Term term{};
  std::uint64_t occasions = 0;
  std::uint64_t scenarios = 0;  // in which there was one
};

// One promise of one transport's contract, over all its scenarios.
struct PromiseTally {
  Promise promise{};
  Verdict verdict = Verdict::pass;    // the worst
  std::uint64_t occasions = 0;        // sum: how often it could have been broken
  std::vector<TermTally> terms;       // those that the contract makes; empty: counted as a whole
  std::uint64_t scenarios = 0;        // in which it was judged
  std::uint64_t tried_scenarios = 0;  // of these, with an occasion
  std::uint64_t inconclusive_scenarios = 0;  // in which it could not be told
  std::string what;         // the first finding of that verdict, when it is not a pass
  std::string fingerprint;  // its, when it is a violation, known or not
  std::string seed;         // of the campaign that showed it, "g1:..."
  std::string again;        // flags of `run` for the case that showed it; see rerun_line
  std::string bundle;       // path of the first failure's bundle; empty: none
};

// A failure that known.toml lists, as one transport showed it.
struct KnownTally {
  Promise promise{};
  std::string fingerprint;
  std::string what;                          // the first time
  std::string where, reason, link, expires;  // of its entry: "known.toml:3", ..., "2027-01-31"
  std::uint64_t scenarios = 0;               // that showed it
  std::uint64_t histories = 0;               // under control, told apart
  std::string again, bundle;                 // of the first
};

// An entry of known.toml that is about a transport of this campaign, and what became of it.
enum class KnownState : std::uint8_t {
  unseen = 0,  // not seen, which proves nothing here
  seen,
  replayed,  // not seen, but its bundle shows it still
  gone,      // does not reproduce any more: fails the run
  expired,   // fails the run
};
constexpr std::string_view to_string(KnownState s) {
  constexpr std::string_view names[] = {"unseen", "seen", "replayed", "gone", "expired"};
  return names[static_cast<unsigned>(s) % 5];
}
struct KnownEntryTally {
  std::string where;  // "known.toml:3"
  std::string transport, fingerprint, reason, link, expires;
  KnownState state = KnownState::unseen;
  std::string note;  // how that is known, or why not
  bool fails() const { return state == KnownState::gone || state == KnownState::expired; }
};

// The least even serving that any scenario saw; of shares the mean too.
struct FairnessTally {
  std::uint64_t overtakes = 0;       // of one message, by messages sent after it was accepted
  std::int64_t wait_ns = 0;          // of one message, from accepted to received
  std::uint64_t peer_overtakes = 0;  // of a producer, during its longest send
  std::int64_t peer_wait_ns = 0;     // the longest send
  // Jain's index over the scenarios in which several peers shared enough traffic; none: 0.
  struct Shares {
    std::uint64_t scenarios = 0;
    double least = 1;
    double mean = 1;
  } producers, consumers;
};

// Cases `first`, `first` + n ... `last` of a campaign in n shards.
struct CaseRange {
  std::uint64_t first = 0, last = 0;
  bool operator==(const CaseRange&) const = default;
};

struct TransportTally {
  std::string transport;
  Verdict verdict = Verdict::unsupported;
  std::string unsupported_reason;      // non-empty: it could not run here
  std::vector<PromiseTally> promises;  // in Promise order; only those that the contract makes
  std::uint64_t scenarios = 0;
  std::uint64_t inconclusive_scenarios = 0;
  std::string inconclusive_reason;  // the most frequent, when there were any
  std::uint64_t schedules = 0;      // judged under control
  std::string doubt;                // why those claim less than they seem to; empty: they do not
  std::vector<KnownTally> known;    // in the order of their fingerprints
  std::uint64_t messages = 0;       // received and verified
  double messages_per_second = 0;
  FairnessTally fairness;
  std::int64_t p50_ns = 0;  // latency from send invoked to receive returned
  std::int64_t p99_ns = 0;
  std::int64_t elapsed_ns = 0;  // spent on this transport
  // What parts of a campaign must tell, so that they can be united.
  // That were judged; in the order of their first. Of several shards they may interleave.
  std::vector<CaseRange> cases;
  std::uint64_t traffic_messages = 0;
  std::int64_t traffic_ns = 0;  // messages_per_second is their quotient
  std::vector<std::pair<std::uint32_t, std::uint64_t>> latency;  // step -> count (latency.h)
};

struct CampaignTally {
  std::string seed;     // of the campaign, "g1:..."
  std::string started;  // calendar_utc()
  std::int64_t elapsed_ns = 0;
  unsigned inconclusive_permille_max = 10;  // of scenarios, on this machine, without being one
  std::vector<TransportTally> transports;   // in the order they ran
  std::vector<KnownEntryTally> known;       // in the order of the file
};

}  // namespace ipctorture
