// What one operation of an endpoint came to: the only vocabulary in which transports answer.
//
// An outcome is definite (the message was certainly accepted, or certainly not) or `unknown` (cut
// by a kill, or in the middle of a frame: the message may arrive zero times or once). Adapters
// never guess: whoever cannot tell says `unknown`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ipctorture {

enum class Outcome : std::uint8_t {
  unknown = 0,  // also what an operation is until it returns
  ok,
  full,       // send: refused, there is no room now (deadline `now`, or the transport rejects)
  empty,      // receive: there is nothing now (deadline `now` only)
  timed_out,  // the deadline passed; nothing was sent or received
  closed,     // send: nobody will receive; receive: everything was received, nobody will send
  too_large,  // the message, or the buffer offered for it, does not fit the contract; nothing
              // happened
  error,      // refused for another reason, see IoResult::error; nothing happened
};
inline constexpr unsigned outcome_count = 8;

constexpr std::string_view to_string(Outcome outcome) {
  constexpr std::string_view names[outcome_count] = {"unknown",   "ok",     "full",      "empty",
                                                     "timed_out", "closed", "too_large", "error"};
  return names[static_cast<unsigned>(outcome) % outcome_count];
}

// A value, 24 bytes. Build it with the functions below.
struct IoResult {
  Outcome outcome = Outcome::unknown;
  std::uint8_t priority = 0;  // of the received message, where the transport has priorities
  std::int32_t error = 0;     // errno, for Outcome::error and ::unknown
  std::size_t size = 0;       // bytes received
  std::uint64_t missed =
      0;  // messages lost to this consumer since its last receive (it was lapped)

  static constexpr IoResult sent() { return {.outcome = Outcome::ok}; }
  static constexpr IoResult received(std::size_t size, std::uint8_t priority = 0,
                                     std::uint64_t missed = 0) {
    return {.outcome = Outcome::ok, .priority = priority, .size = size, .missed = missed};
  }
  static constexpr IoResult of(Outcome outcome) { return {.outcome = outcome}; }
  static constexpr IoResult failed(int error) {
    return {.outcome = Outcome::error, .error = error};
  }
  static constexpr IoResult unknown(int error) {
    return {.outcome = Outcome::unknown, .error = error};
  }
};

}  // namespace ipctorture
