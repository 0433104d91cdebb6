// A transport that is broken on purpose: any adapter, wrapped so that every fifth operation or so
// goes wrong in one way. What a pass on a transport is worth shows in how many of its mutants the
// same commands catch (`ipctorture score --transport NAME`).
//
// A mutant is found by name like any transport, "pipe__lose", and registered nowhere.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "harness/transport/transport.h"

namespace ipctorture {

enum class Mutation : std::uint8_t {
  none = 0,
  lose,       // a send answers ok and sends nothing
  duplicate,  // a send sends twice
  reorder,    // a message waits for the next one and is sent after it
  tear,       // a byte of a received message is another
  shorten,    // a received message lacks its last byte
  late,       // an operation returns long after its deadline
  oversleep,  // a receive that finds nothing sleeps on, whatever comes
  refuse,     // a send answers full although nothing was tried
  end_early,  // a receive answers closed before the end
  stale,      // a receive answers what it answered before
  leak,       // each attach leaves a descriptor behind
  mourn,      // once a peer died without leaving, operations wait for ever
  fall,       // a receive ends the process
  delay,      // the first receive that finds nothing looks again after thrice the progress bound
  outwait,    // a send that finds no room sleeps on, whatever room comes
  deny,       // a receive answers empty although nothing was tried
  swallow,    // a send accepts what is too large, and sends nothing
  endless,    // a receive waits on after the end
  conceal,    // a consumer is not told how many messages it missed
  discard,    // a message waits for the next send, and a close throws it away
  cling,      // once a peer died within an operation, operations wait for ever
  revive,     // once a peer died, a receive answers what it answered before
  bar,        // some peers cannot attach
  litter,     // a name stays behind
  renege,     // a send that has a deadline answers that it could not, and did
};
inline constexpr unsigned mutation_count = 26;
std::string_view to_string(Mutation mutation);
// "pipe__lose" -> "pipe", lose; anything else: itself, none.
struct MutantName {
  std::string_view transport;
  Mutation mutation = Mutation::none;
};
MutantName parse_mutant(std::string_view name);

// The transport with the flaw. With none: itself.
std::unique_ptr<Transport> mutated(std::unique_ptr<Transport> transport, const Options& options,
                                   Mutation mutation, const Contract& contract);

}  // namespace ipctorture
