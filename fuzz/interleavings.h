// What a fuzzer is told of the order in which processes did things: features beside coverage, so
// that an input is kept when it brought a new order about.
#pragma once

#include <cstdint>
#include <span>

#include "harness/history/history.h"

namespace ipctorture {

// Counts, in `features`, every beginning of the order of all lanes' events (an operation's begin
// and its end) as one of them. A power of two in size. Only the first few events: a history that
// is nearly always new all along would tell nothing.
void note_interleavings(const History& history, std::span<std::uint8_t> features);

}  // namespace ipctorture
