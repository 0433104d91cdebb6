// A campaign: which case runs next, when it is over, and what it all came to. It starts no thread
// and reads no clock of its own, so that it is tested with made-up results; run.cc feeds it.
//
// Case k of a transport has seed case_seed(campaign seed, transport, k). Case 1 is a patient one
// (generate_patient), and so is each thousandth after it: they sleep most of their time, so they
// run beside the others on engines of their own and cost no budget. The first always runs, further
// ones while there is time. The others go to the transport that has had the least time so far,
// which splits the time evenly, whatever a single case takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/base/clock.h"
#include "harness/check/verdict.h"
#include "harness/launch/engine.h"
#include "harness/report/json_lines.h"
#include "harness/report/progress.h"
#include "harness/report/tally.h"
#include "harness/scenario/generate.h"
#include "stress/exit_code.h"
#include "stress/known_failures.h"
#include "stress/latency.h"
#include "stress/selection.h"
#include "stress/settings.h"
#include "stress/transport_verdict.h"
#include "stress/under_control.h"

namespace ipctorture {

enum class FailFast : std::uint8_t { no, yes };

struct CampaignPlan {
  std::vector<Selected> transports;
  std::uint64_t seed = 0;
  std::int64_t time_ns = 0;  // wall time of it all; 0: no time budget
  std::uint64_t runs = 0;    // scenarios per transport; 0: no such budget
  std::uint64_t only_case =
      0;  // this case of each transport and no other, whatever the budget; 0: all
  Shard shard;
  std::string shard_line;  // for people: which, and why; empty: the whole
  FailFast fail_fast = FailFast::no;
  std::optional<Launch> launch;                             // only this way of starting workers
  std::optional<std::uint32_t> failing_calls, short_calls;  // of Faults, in every scenario
  std::int64_t soak_ns = 0;  // of time_ns for soaks, which this class does not count
  GenerateOptions generate;
  KnownFailures known;  // go on past these
};

// One scenario to run. `transport` is the index in CampaignPlan::transports.
struct Case {
  std::size_t transport = 0;
  std::uint64_t k = 0;
  std::uint64_t seed = 0;
  Scenario scenario;
  bool soak = false;  // finish() is called for each of its rounds
};

// What running it came to, without the history.
struct CaseResult {
  std::string unsupported;      // non-empty: it did not run
  std::string harness_failure;  // non-empty: the harness itself failed
  Judgement judgement;
  Traffic traffic;
  LatencyHistogram latency;
  std::int64_t elapsed_ns = 0;
  // Of each finding that first_sighting() was true for: fingerprint -> path, empty when there is no
  // bundle.
  std::map<std::string, std::string> bundles;
  std::string bundle_problem;  // non-empty: one could not be written
  bool interrupted = false;    // ended early by a person: judged, but not counted
};

inline constexpr std::uint64_t patient_every = 1000;
constexpr bool is_patient_case(std::uint64_t k) { return k % patient_every == 1; }

enum class EngineFor : std::uint8_t { ordinary_cases, patient_cases };

// All functions may be called from any thread.
class Campaign {
 public:
  Campaign(CampaignPlan plan, Instant now);

  // The free engine's time begins now, not at construction.
  void begin(Instant now);
  // What the controlled engine found of a transport, or did not (`failed()` is false).
  void count_controlled(std::size_t transport, const ControlledResult& result);

  // The next case for an engine; nothing: there is no more for it (now and ever).
  std::optional<Case> next(EngineFor engine, Instant now);
  // The k-th soak of a transport.
  Case soak_case(std::size_t transport, std::uint64_t k) const;
  // Why it has none; empty: it can.
  std::string soak_refusal_of(std::size_t transport) const;
  // To be called once for each case that next() gave.
  void finish(const Case& done, const CaseResult& result);
  // No further case is given out: a person interrupted.
  void stop();
  bool stopped() const { return stopped_; }

  // True for the first time this campaign sees the finding: a bundle is due, and the case's result
  // has an entry in `bundles`.
  bool first_sighting(const Case& which, const Finding& finding);
  // What failed since the last call, once per fingerprint, in order; with the verdict `known` what
  // the plan knows.
  std::vector<Failure> take_failures();
  std::vector<std::string> take_harness_failures();  // "pipe: what"
  // The flags of `run` that make this case again: "pipe --seed g1:... --case 17".
  std::string case_flags(const Case& which) const;

  ProgressState progress(Instant now) const;
  // The tally so far, with verdicts, by the rules of the file campaign_verdict.cc.
  enum class Machine : std::uint8_t { idle, loaded };
  CampaignTally tally(Machine machine, Instant now) const;
  // Of everything but interruptions: those are the caller's. Entries of `tally.known` that fail do.
  ExitCode exit_code(const CampaignTally& tally) const;

 private:
  struct State {
    std::uint64_t next_k = 2;
    std::uint64_t next_patient_k = 1;
    std::uint64_t patient = 0;  // patient cases begun
    unsigned running = 0;
    std::int64_t used_ns = 0;            // by ordinary cases
    std::uint64_t ordinary = 0;          // ordinary cases finished
    std::uint64_t refused = 0;           // cases that could not run here
    std::string refusal;                 // why, the first
    std::int64_t traffic_ns = 0;         // of all ordinary cases
    std::uint64_t traffic_messages = 0;  // likewise
    LatencyHistogram latency;
    std::map<std::string, std::pair<std::uint64_t, std::string>>
        inconclusive;  // symptom -> count, text
    TransportTally tally;
    std::map<Promise, PromiseTally> promises;
    std::map<std::string, KnownTally> known;        // by fingerprint
    double jain_producers = 0, jain_consumers = 0;  // sums
    std::vector<CaseRange> cases;                   // judged, or refused
  };

  Case make_case(std::size_t transport, std::uint64_t k) const;
  std::optional<std::size_t> neediest() const;
  std::optional<std::size_t> most_impatient(Instant now) const;
  std::uint64_t next_of_this_shard(std::uint64_t k, bool patient) const;
  bool has_run_left(const State& state) const;
  void count_finding(State& state, const Case& done, const Finding& finding,
                     const CaseResult& result);
  static void count_fairness(State& state, const Fairness& fairness);
  const KnownFailure* known(const State& state, const Finding& finding) const;
  void count_known(State& state, const Case& done, const Finding& finding,
                   const CaseResult& result);
  void count_known_controlled(State& state, const ControlledResult& result);
  KnownTally& known_tally(State& state, const KnownFailure& entry);
  void report_failure(const Case& done, const Finding& finding, const std::string& bundle);
  void report_known(const State& state, const KnownTally& known, std::string engine);
  TransportTally judged(const State& state, Machine machine) const;
  std::vector<KnownEntryTally> known_entries() const;

  const CampaignPlan plan_;
  Instant started_;
  const std::string started_text_;
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  std::vector<State> states_;
  std::set<std::string> sighted_;  // transport and fingerprint: a bundle was asked for
  std::vector<Failure> failures_;
  std::vector<std::string> harness_failures_;
  std::uint64_t harness_failed_ = 0;
  std::uint64_t violations_ = 0;
  std::string last_started_;
};

}  // namespace ipctorture
