// A run's history in the form of plain histories (harness/linear/text.h), for other checkers and
// for `recheck --contract`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "harness/history/history.h"
#include "harness/linear/contract.h"
#include "harness/scenario/scenario.h"
#include "harness/transport/contract.h"

namespace ipctorture {

// Why there is no such form of what this scenario does, "messages of less than 8 bytes ..."; empty:
// there is one.
std::string no_plain_form(const Scenario& scenario);

// One line an event, lane by lane, each with its time in nanoseconds from the first one. Operations
// are written longer by as much as stamps of different cores may disagree, so what counts as order
// there is order. Never more is claimed than the contract promises:
//   - *empty* and *full* only where they are exact, otherwise as `timeout` and `fail`; *closed* not
//     where somebody died or each consumer has messages of its own;
//   - an accepted message that nobody received, and that the transport may lose (at most once, or
//     along with a death), as `info`;
//   - where messages are bound to one of several consumers, a producer is written as one process
//     for each, "producer-0-to-consumer-1": an order is promised within such a pair alone;
//   - of a broadcast, who attached before the first send gets everything; others `join`. After a
//     gap of which it was told, a consumer goes on as another process ("consumer-0-after-gap-1")
//     that begins with `leave`: where it goes on is not claimed.
// Throws std::runtime_error, which says why, for what no_plain_form() is against.
std::string exported_history(const History& history, const Contract& contract);

// To what such a history can be held: never to more than the transport promises.
struct PlainPromise {
  linear::Contract contract = linear::Contract::set;
  std::uint64_t capacity = 0;  // 0: none that is certain
};
// Nothing: no contract of plain histories is that weak.
std::optional<PlainPromise> plain_promise(const Contract& contract, const Scenario& scenario);

}  // namespace ipctorture
