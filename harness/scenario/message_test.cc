// The vectors that a peer in another language must reproduce, and what the examination tells apart.
#include "harness/scenario/message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t token = 0x0123456789abcdef;

std::vector<std::byte> composed(std::size_t size, MessageId id, unsigned channel = 0,
                                std::uint64_t of = token) {
  std::vector<std::byte> message(size);
  compose_message(message, id, channel, of);
  return message;
}
std::string hex(std::span<const std::byte> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += digits[static_cast<unsigned>(b) >> 4];
    text += digits[static_cast<unsigned>(b) & 15];
  }
  return text;
}
std::vector<std::size_t> interesting_sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 0; size <= 70; ++size) sizes.push_back(size);
  for (std::size_t size = 4090; size <= 4106; ++size) sizes.push_back(size);
  sizes.push_back(1 << 20);
  return sizes;
}

// docs/worker-protocol.md carries the same table.
TEST(Message, Vectors) {
  struct Vector {
    std::size_t size;
    MessageId id;
    unsigned channel;
    std::uint64_t token;
    const char* bytes;
  };
  const Vector vectors[] = {
      {0, {}, 0, 0, ""},
      {1, {.sequence = 33, .producer = 9}, 0, token, "09"},
      {5, {.sequence = 1000, .producer = 200}, 0, token, "401f0000c8"},
      {8, {}, 0, 0, "000000000000af0d"},
      {8, {.sequence = 1, .producer = 2, .kind = MessageKind::mark}, 1, token, "0a00000002001a4a"},
      {20,
       {.sequence = 0x123456789a, .producer = 255, .kind = MessageKind::reply},
       1,
       token,
       "d7c4b3a2ff911aca552685b654059b9baa998c14"},
      {32,
       {.sequence = 7, .producer = 3},
       0,
       token,
       "3b00000003009d2ae3ccf7b5ae5b3e3e1c73fe17444738fbced80385939635b3"},
  };
  for (const Vector& v : vectors) {
    EXPECT_EQ(hex(composed(v.size, v.id, v.channel, v.token)), v.bytes);
  }
  // The pattern repeats with the next key: words 511, 512 and 513 of a long one.
  const auto longer = composed(4112, {.sequence = 7, .producer = 3});
  EXPECT_EQ(hex(std::span(longer).subspan(4088)),
            "b435021ec7f508977bee9d23085fa769e0ccf7b5ae5b3e3e");
}

TEST(Message, SurvivesAtEverySize) {
  Prng rng(1);
  for (const std::size_t size : interesting_sizes()) {
    const MessageId id{.sequence = rng.next() >> 27,
                       .producer = static_cast<std::uint8_t>(rng.below(256)),
                       .kind = static_cast<MessageKind>(rng.below(4))};
    const Examined found = examine_message(composed(size, id, 1), 1, token);
    EXPECT_EQ(found.content, Content::intact) << size;
    const unsigned bits = known_sequence_bits(size);
    EXPECT_EQ(found.id.sequence, id.sequence & ((std::uint64_t{1} << bits) - 1)) << size;
    if (size >= 8) {
      EXPECT_EQ(found.id, id);
    } else {
      const unsigned known = size >= 5 ? 255 : size > 0 ? 7 : 0;
      EXPECT_EQ(found.id.producer, id.producer & known) << size;
      EXPECT_EQ(found.id.kind, MessageKind::data);
    }
  }
}

TEST(Message, EveryChangedByteIsSeen) {
  for (const std::size_t size : interesting_sizes()) {
    if (size < 8) continue;
    auto message = composed(size, {.sequence = 12345, .producer = 3});
    // All bytes of short messages; of long ones the ends, the block's border and a sample.
    for (std::size_t at = 0; at < size; at += size < 5000 ? 1 : 4093) {
      message[at] ^= std::byte{0x10};
      const Examined found = examine_message(message, 0, token);
      const bool seen = found.content != Content::intact ||
                        found.id != MessageId{.sequence = 12345, .producer = 3};
      EXPECT_TRUE(seen) << size << " at " << at;
      if (at >= 8) {
        EXPECT_EQ(found.content, Content::torn) << size << " at " << at;
      }
      message[at] ^= std::byte{0x10};
    }
    message[size - 1] ^= std::byte{1};
    if (size > 8) {
      EXPECT_EQ(examine_message(message, 0, token).content, Content::torn) << size;
    }
  }
}

// One byte of the head changed makes another sound message of 8 bytes; a longer one does not follow
// from that head.
TEST(Message, AChangedHeadIsTornOrForeign) {
  for (const std::size_t size : {16u, 64u, 4096u}) {
    for (std::size_t bit = 0; bit < 64; ++bit) {
      auto message = composed(size, {.sequence = 99, .producer = 1});
      message[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      EXPECT_NE(examine_message(message, 0, token).content, Content::intact) << size << " " << bit;
    }
  }
}

TEST(Message, TornFromTwoMessages) {
  for (const std::size_t size : interesting_sizes()) {
    if (size <= 8) continue;
    const auto old = composed(size, {.sequence = 41, .producer = 2});
    const auto fresh = composed(size, {.sequence = 42, .producer = 2});
    for (const std::size_t cut : {std::size_t{8}, std::size_t{9}, size / 2, size - 1}) {
      if (cut >= size || cut < 8) continue;
      auto mixed = fresh;
      std::copy(old.begin() + static_cast<std::ptrdiff_t>(cut), old.end(),
                mixed.begin() + static_cast<std::ptrdiff_t>(cut));
      if (mixed == fresh) continue;  // a single byte may be equal by chance
      EXPECT_EQ(examine_message(mixed, 0, token).content, Content::torn) << size << " cut " << cut;
    }
  }
}

TEST(Message, ForeignRunOrChannel) {
  for (const std::size_t size : {8u, 9u, 64u, 4096u}) {
    const auto message = composed(size, {.sequence = 5, .producer = 1});
    EXPECT_EQ(examine_message(message, 1, token).content, Content::foreign) << "another channel";
    EXPECT_EQ(examine_message(message, 0, token + 77).content, Content::foreign) << "another run";
    const std::vector<std::byte> zeroes(size);
    EXPECT_EQ(examine_message(zeroes, 0, token).content, Content::foreign) << "zeroes";
  }
}

// Cut short, a message passes for a shorter one: every byte of it is right. The size that the
// sender's record gives tells; here only that it does not read further.
TEST(Message, TruncatedKeepsItsName) {
  const MessageId id{.sequence = 70, .producer = 4};
  const auto message = composed(4100, id);
  for (const std::size_t size : interesting_sizes()) {
    if (size > message.size() || size < 8) continue;
    const Examined found = examine_message(std::span(message).first(size), 0, token);
    EXPECT_EQ(found.content, Content::intact);
    EXPECT_EQ(found.id, id);
  }
  // Filled up with zeroes instead, it is torn.
  auto filled = message;
  std::fill(filled.begin() + 2000, filled.end(), std::byte{});
  EXPECT_EQ(examine_message(filled, 0, token).content, Content::torn);
}

}  // namespace
}  // namespace ipctorture
