// The yardstick of `run --bench`: one process writes to a primitive in a loop, another reads, and
// nothing is recorded, checked or framed. What the harness adds shows in the ratio to it.
//
// The primitive is set up as the transport of the same name does it (buffer sizes, TCP_NODELAY,
// queue lengths); unlike there, ends of the socket pairs come from socketpair(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ipctorture {

// Ends of one primitive, in one process; both workers of a loop inherit them. RAII by `close`.
struct BareEnds {
  int sending = -1, receiving = -1;  // descriptors, or System V identifiers
};

// Options::capacity of the transports that are measured beside these.
inline constexpr std::uint32_t bench_capacity = 1024;

struct BareLoop {
  std::string_view transport;           // whose primitive it is
  BareEnds (*open)(std::size_t size);   // throws std::system_error
  void (*close)(const BareEnds& ends);  // both ends, and what they name
  // One whole message; false when the call failed. Called in forked children.
  bool (*send)(int end, std::byte* message, std::size_t size);
  bool (*receive)(int end, std::byte* buffer, std::size_t size);
};

std::span<const BareLoop> bare_loops();

// Forks two children that move `count` messages of `size` bytes, and answers messages per second
// from the first send to the last receive. Throws std::system_error, std::runtime_error.
double messages_per_second(const BareLoop& loop, std::size_t size, std::uint64_t count);

}  // namespace ipctorture
