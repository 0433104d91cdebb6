// What the checkers say: per promise of the contract a three-valued verdict, with the occasions
// there were to break it and, for a violation, a witness. Values only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/history/history.h"

namespace ipctorture {

// Ordered by severity for merging: the worst wins. Checkers never say `known`: it is what a
// campaign makes of violations that all are listed in known.toml, neither a pass nor a reason to
// fail.
enum class Verdict : std::uint8_t { unsupported = 0, pass, known, inconclusive, violation };
inline constexpr unsigned verdict_count = 5;
constexpr std::string_view to_string(Verdict v) {
  constexpr std::string_view names[verdict_count] = {"unsupported", "pass", "known", "inconclusive",
                                                     "VIOLATION"};
  return names[static_cast<unsigned>(v) % verdict_count];
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

// The parts of a promise that are broken in ways of their own. A promise is as well tried as the
// least tried of its terms; which ones a contract makes says terms.h.
enum class Term : std::uint8_t {
  content = 0,               // integrity: every byte, size and priority
  once,                      // delivery: not twice, and not what was never sent
  nothing_lost,              // delivery
  losses_told,               // delivery: a lapped consumer learns how many it missed
  survives_close,            // delivery: of the producer, when the message is still on its way
  producer_order,            // order: of one producer's messages to one consumer
  order_over_consumers,      // order: of what several consumers take
  order_over_producers,      // order: of what several producers send
  higher_first,              // order: of a higher and a lower priority that are both there
  wakes_consumer,            // stall
  keeps_moving,              // deadlock
  overtakes,                 // starvation
  attaches,                  // refusal
  oversize_refused,          // refusal
  room_found,                // refusal: who was refused, or sleeps, is served when there is room
  full_exact,                // refusal
  empty_exact,               // refusal
  closed_told,               // end of stream
  never_older,               // latest value
  fires_on_change,           // latest value: not when equal content is written again
  converges,                 // latest value: the last one is seen
  outlives_producer,         // deadlock: the others go on after a producer's death,
  outlives_producer_inside,  // and after one in the middle of an operation
  outlives_consumer,         // likewise
  outlives_consumer_inside,
};
inline constexpr unsigned term_count = 25;
constexpr std::string_view to_string(Term t) {
  constexpr std::string_view names[term_count] = {"content",
                                                  "each once",
                                                  "nothing lost",
                                                  "losses told",
                                                  "accepted survives close",
                                                  "a producer's order",
                                                  "order over consumers",
                                                  "order over producers",
                                                  "higher priority first",
                                                  "a sleeper is woken",
                                                  "something moves",
                                                  "overtakes",
                                                  "peers attach",
                                                  "too large is refused",
                                                  "room is found",
                                                  "full is exact",
                                                  "empty is exact",
                                                  "closed is told",
                                                  "never older",
                                                  "fires on change only",
                                                  "the last is seen",
                                                  "a producer's death",
                                                  "a producer's death in a send",
                                                  "a consumer's death",
                                                  "a consumer's death in a receive"};
  return names[static_cast<unsigned>(t) % term_count];
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
  std::uint64_t occasions = 0;  // how often the promise could have been broken, over its terms
  std::array<std::uint64_t, term_count> tried{};  // the same of each term
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

  void tried_at(Term which, std::uint64_t times) {
    tried[static_cast<unsigned>(which)] += times;
    occasions += times;
  }
  std::uint64_t tried_of(Term which) const { return tried[static_cast<unsigned>(which)]; }
};

// Stable over runs and machines: never pids, sequence numbers or addresses. "delivery/exactly
// once/lost".
std::string fingerprint(const Finding& finding);

// How evenly messages and peers were served, over the channels on which consumers share: measured
// whatever the contract promises.
struct Fairness {
  std::uint64_t messages = 0;   // that were compared
  std::uint64_t overtakes = 0;  // of the message that was overtaken most
  std::int64_t wait_ns = 0;     // the longest of a message, from accepted to received
  std::uint64_t peer_overtakes =
      0;                          // sends of others within the longest send of one peer, the most
  std::int64_t peer_wait_ns = 0;  // the longest send
  // Jain's index of what each got done while all were at it, the least over the channels: 1 is
  // equal shares, 1/n one peer alone. Nothing: fewer than two peers, or too little traffic.
  std::optional<double> jain_producers, jain_consumers;
};

struct Judgement {
  std::vector<Finding> findings;  // one per promise that applies to the contract, in Promise order
  Fairness fairness;
  // Of a history that goes on: what the next round may bring (History::unreceived).
  std::vector<Unreceived> unreceived;
  bool unreceived_known = true;
  Verdict verdict() const;       // the worst
  const Finding* worst() const;  // null when there are no findings
};

}  // namespace ipctorture
