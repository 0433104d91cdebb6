#include "harness/scenario/message.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

static_assert(std::endian::native == std::endian::little,
              "journals and payloads are little-endian");

constexpr std::size_t pattern_words = 512;
constexpr auto pattern = [] {
  std::array<std::uint64_t, pattern_words> words{};
  for (std::size_t i = 0; i < pattern_words; ++i) words[i] = mix64(0x697063746f727475u + i);
  return words;
}();

std::uint64_t head_word(MessageId id, unsigned channel, std::uint64_t token) {
  const std::uint64_t sequence = id.sequence;
  const std::uint64_t tag = mix64(token + channel) & 0x3fff;
  return (sequence & 31) << 3 | (id.producer & 7u) | ((sequence >> 5) & 0xffffff) << 8 |
         std::uint64_t{id.producer} << 32 | ((sequence >> 29) & 255) << 40 | tag << 48 |
         std::uint64_t{static_cast<unsigned>(id.kind)} << 62;
}

std::uint64_t body_key(MessageId id, unsigned channel, std::uint64_t token) {
  return mix64(token ^ mix64(id.packed() ^ std::uint64_t{channel} << 52));
}

}  // namespace

void compose_message(std::span<std::byte> to, MessageId id, unsigned channel, std::uint64_t token) {
  if (to.empty()) return;
  const std::uint64_t head = head_word(id, channel, token);
  std::memcpy(to.data(), &head, std::min<std::size_t>(to.size(), 8));
  if (to.size() <= 8) return;
  std::uint64_t key = body_key(id, channel, token);
  std::size_t first = 1;  // word 0 is the head
  for (std::size_t at = 8; at < to.size(); ++key, first = 0) {
    const std::size_t end = std::min(to.size(), at + (pattern_words - first) * 8);
    std::size_t i = first;
    for (; at + 8 <= end; at += 8, ++i) {
      const std::uint64_t word = pattern[i] ^ key;
      std::memcpy(to.data() + at, &word, 8);
    }
    if (at < end) {
      const std::uint64_t word = pattern[i] ^ key;
      std::memcpy(to.data() + at, &word, end - at);
      at = end;
    }
  }
}

Examined examine_message(std::span<const std::byte> message, unsigned channel,
                         std::uint64_t token) {
  if (message.empty()) return {};
  std::uint64_t head = 0;
  std::memcpy(&head, message.data(), std::min<std::size_t>(message.size(), 8));
  Examined result;
  result.id.sequence =
      ((head >> 3) & 31) | ((head >> 8) & 0xffffff) << 5 | ((head >> 40) & 255) << 29;
  result.id.producer = static_cast<std::uint8_t>(message.size() >= 5 ? head >> 32 : head & 7);
  if (message.size() < 8) return result;
  result.id.kind = static_cast<MessageKind>(head >> 62);
  if (head != head_word(result.id, channel, token)) {
    result.content = Content::foreign;
    return result;
  }
  std::uint64_t key = body_key(result.id, channel, token);
  std::size_t first = 1;
  std::uint64_t difference = 0;
  for (std::size_t at = 8; at < message.size(); ++key, first = 0) {
    const std::size_t end = std::min(message.size(), at + (pattern_words - first) * 8);
    std::size_t i = first;
    for (; at + 8 <= end; at += 8, ++i) {
      std::uint64_t word;
      std::memcpy(&word, message.data() + at, 8);
      difference |= word ^ pattern[i] ^ key;
    }
    if (at < end) {
      std::uint64_t word = pattern[i] ^ key;
      difference |= std::memcmp(message.data() + at, &word, end - at) != 0;
      at = end;
    }
  }
  if (difference != 0) result.content = Content::torn;
  return result;
}

}  // namespace ipctorture
