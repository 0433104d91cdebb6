// What an object promises whose history is judged, and what the judge says.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/linear/history.h"

namespace ipctorture::linear {

enum class Contract : std::uint8_t { fifo, per_producer, priority, latest, broadcast, set };
inline constexpr std::array all_contracts{Contract::fifo,      Contract::per_producer,
                                          Contract::priority,  Contract::latest,
                                          Contract::broadcast, Contract::set};
std::string_view to_string(Contract contract);  // fifo, per-producer, priority, register ...
std::optional<Contract> contract_named(std::string_view name);
// What it promises, when a history is decided exactly, and after whom.
std::string_view explanation_of(Contract contract);

enum class Truth : std::uint8_t { linearizable, violation, inconclusive };

// How a history breaks its contract. The operations of an Answer stand in the order given here;
// what may be absent is in brackets.
enum class Rule : std::uint8_t {
  none,
  twice,           // two receives of one value
  never_sent,      // a receive [, refused sends of its value]
  before_sent,     // a send, the receive of its value that returned before
  overtaken,       // send a, send b, receive b [, receive a]: b was received before a
  overtaken_open,  // send and receive b, then the sends before it and the receives of unknown
                   // outcome that are too few for them
  not_empty,       // a receive that found nothing, then sends [and receives] of the values of which
                   // at any moment of it one was there
  lower_first,     // a receive, then sends [and receives] of higher values, likewise
  over_capacity,   // sends [and receives] of more values than there is room for
  not_full,        // a send that found no room, then those that may have been there
  stale,           // of two values what shows that each was the latest before the other
  no_common_order,  // sends and receives of a broadcast
  no_order,         // of a priority queue: operations that fit into no order
};

struct Answer {
  Truth truth = Truth::linearizable;
  Rule rule = Rule::none;
  std::vector<Index> operations;  // the witness: they alone already violate the contract
  std::string why;                // of an inconclusive answer
  bool exact = true;              // otherwise `linearizable` means only: no violation found
};

// Decides. Where no operation is of unknown outcome, the witness of fifo, per_producer and set is
// the smallest there is, but for a value that is received twice (told as that) and for capacities;
// of the others nothing can be missed. `capacity` 0: unbounded, and a send that found no room
// claims nothing. Values must be sent once at most (`latest` excepted), not counting sends that
// certainly did not happen. Takes time n log n and at most 40 bytes an event beside the history.
// Throws std::bad_alloc.
Answer judge(const History& history, Contract contract, std::uint64_t capacity = 0);

// The witness in words, a sentence or some; uses std::string only.
std::string in_words(const Answer& answer, const History& history, const Names& names);

}  // namespace ipctorture::linear
