// What the checkers say: per promise of the contract a three-valued verdict, with the occasions
// there were to break it and, for a violation, a witness. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

// Ordered by severity for merging: the worst wins.
enum class Verdict : std::uint8_t { unsupported = 0, pass, inconclusive, violation };
constexpr std::string_view to_string(Verdict v) {
  constexpr std::string_view names[] = {"unsupported", "pass", "inconclusive", "VIOLATION"};
  return names[static_cast<unsigned>(v) % 4];
}
constexpr Verdict worse(Verdict a, Verdict b) { return a < b ? b : a; }

enum class Promise : std::uint8_t {
  integrity = 0,  // content is what was sent: not torn, foreign, truncated, altered
  delivery,       // exactly once: nothing lost; nothing delivered twice or never sent
  order,          // the contract's ordering
  stall,          // an accepted message reaches a waiting consumer
  deadlock,       // the processes together keep moving
  starvation,     // no peer and no message waits while others are served, beyond the contract's
                  // fairness
  refusal,  // what there is room for is accepted; what is too large is refused; full and empty
            // exact
  end_of_stream,  // closed: never false, never missing
  deadlines,      // kept, within the slack
  latest_value,   // never older than seen, fires on change, converges to the last
  crash,          // no worker dies, no sanitizer reports
  leaks,          // descriptors, mappings, names, queues, semaphores, processes
};
inline constexpr unsigned promise_count = 12;
constexpr std::string_view to_string(Promise p) {
  constexpr std::string_view names[promise_count] = {
      "integrity", "delivery",      "order",     "stall",        "deadlock", "starvation",
      "refusal",   "end_of_stream", "deadlines", "latest_value", "crash",    "leaks"};
  return names[static_cast<unsigned>(p) % promise_count];
}

// A record of the history: lane index and record index within it.
struct EventRef {
  unsigned lane = 0;
  std::uint64_t record = 0;
  bool operator==(const EventRef&) const = default;
};

struct Finding {
  Promise promise{};
  Verdict verdict = Verdict::pass;
  std::uint64_t occasions = 0;  // how often the promise could have been broken
  // Violation or inconclusive: what happened, in one sentence with names and numbers ("consumer 0
  // received message 17 of producer 1 twice"), and what would have been legal.
  std::string what;
  std::string legal;
  // The contract term that was broken ("delivery: exactly once") and a stable word for the way it
  // was
  // ("lost", "duplicate", "torn"): with the promise they make the fingerprint.
  std::string term;
  std::string symptom;
  std::vector<EventRef> witness;  // at most 20, the events that show it, in real-time order
};

// Stable over runs and machines: never pids, sequence numbers or addresses. "delivery/exactly
// once/lost".
std::string fingerprint(const Finding& finding);

struct Judgement {
  std::vector<Finding> findings;  // one per promise that applies to the contract, in Promise order
  Verdict verdict() const;        // the worst
  const Finding* worst() const;   // null when there are no findings
};

}  // namespace ipctorture
