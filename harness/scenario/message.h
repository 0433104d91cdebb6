// Messages identify themselves. The first 8 bytes name the message, every further byte is derived
// from that name, so that torn, stale, foreign and duplicated content is told apart without a copy.
// Public and language-neutral: docs/worker-protocol.md has the definition and test vectors.
//
//   byte 0     sequence bits 0-4 << 3 | producer bits 0-2
//   byte 1-3   sequence bits 5-28
//   byte 4     producer
//   byte 5     sequence bits 29-36
//   byte 6-7   tag (14 bits, from the run's token and the channel) | kind << 14
//   then       8-byte words, word i = pattern[i % 512] ^ (key + i / 512), little-endian, cut at the
//              end; key = mix64(token ^ mix64(packed id ^ channel << 52))
//              pattern[i] = mix64(0x697063746f727475 + i)
// A message shorter than 8 bytes is the first bytes of that: order and count must tell the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "harness/history/event.h"

namespace ipctorture {

// Writes the message `id` of channel `channel` over the whole of `to`. Allocation-free; about 60 ns
// for 4096 bytes.
void compose_message(std::span<std::byte> to, MessageId id, unsigned channel, std::uint64_t token);

struct Examined {
  MessageId id;  // as far as the bytes tell: see known_sequence_bits
  Content content = Content::intact;
};
// Reads and checks every byte. For fewer than 8 bytes the content is always intact, the kind data,
// and the producer known modulo 8 (from 5 bytes on: wholly).
Examined examine_message(std::span<const std::byte> message, unsigned channel, std::uint64_t token);

// How many low bits of the sequence a message of `size` bytes carries: 0, 5, 13, 21, 29, 29, 37,
// 37, 37...
constexpr unsigned known_sequence_bits(std::size_t size) {
  constexpr unsigned bits[7] = {0, 5, 13, 21, 29, 29, 37};
  return size < 7 ? bits[size] : 37;
}

}  // namespace ipctorture
