// A run's history in the form of plain histories (harness/linear/text.h), for other checkers and
// for `recheck --contract`.
#pragma once

#include <string>

#include "harness/history/history.h"
#include "harness/transport/contract.h"

namespace ipctorture {

// One line an event, lane by lane, each with its time in nanoseconds from the first one. Operations
// are written longer by as much as stamps of different cores may disagree, so what counts as order
// there is order. *Empty* and *full* where the contract says that they are exact, and *closed*
// where nobody died; otherwise as `timeout`, which claims nothing. Of a history with two channels,
// of messages under 8 bytes (they do not name themselves) and of lapped consumers there is no such
// form: throws std::runtime_error that says so.
std::string exported_history(const History& history, const Contract& contract);

}  // namespace ipctorture
