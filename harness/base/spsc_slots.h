// The lock-free core of a ring between one writer and one reader, in shared memory. It never waits:
// spsc_transfer.h adds deadlines, and transports/shm_ring.cc and memfd_ring.cc the way to sleep.
//
// Why it is right
//  - `tail` counts what was written, `head` what was read; each has one writing side. The slots in
//    [head, tail) belong to the reader, the others to the writer, and storing a counter hands one
//    over. The message is complete in its slot before tail moves, and copied out before head does:
//    a side killed at any instruction leaves a consistent ring.
//  - Counters run freely from any start and only their difference counts, so they may wrap. Which
//    slot is next is kept apart from them: counter % capacity would jump at the wrap unless the
//    capacity is a power of two. (counter - start) never wraps in practice: 2^64 messages.
//  - Each side keeps a copy of the other's counter and reads the shared one only when the copy says
//    full (empty): while there is slack, neither touches the other's cache line.
//  - No wake-up is lost. The sleeper: announce(); ready()?; sleep. The waker: move its counter;
//    peer_waits()? Of these two stores and two loads, all sequentially consistent, at least one
//    side sees the other's store. Release and acquire would not do: a store may wait in the store
//    buffer while the later load is answered. The same store makes "the send returned, so the
//    message is there" true in real time.
//  - A hostile peer can make up counters and contents, but never an access out of bounds: a side
//    trusts its own private counter, slot and shape, finds an impossible distance (`corrupt`), and
//    reads a message's size once and clamps it.
//
// Where it stops: one writer and one reader at a time; whoever replaces a dead one attaches after
// its death.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

#include "harness/base/descriptor.h"

namespace ipctorture {

// What both sides must agree on; from trusted options, never from shared memory.
struct SpscShape {
  std::uint32_t capacity = 0;     // messages
  std::uint32_t message_max = 0;  // bytes
  std::uint64_t counter_start = 0;

  // A slot is its message's size and the message. Not rounded to cache lines: a small message would
  // then cost two lines, and writer and reader are rarely in neighbouring slots.
  constexpr std::size_t slot_bytes() const {
    return (sizeof(std::uint64_t) + message_max + 7) / 8 * 8;
  }
  constexpr std::size_t memory_bytes() const;
};

// How the memory begins, page-aligned: a cache line per writing side and purpose.
struct SpscShared {
  static constexpr std::uint64_t magic_value = 0x314e495243505349;  // "ISPCRIN1"
  std::uint64_t magic;
  std::uint32_t capacity;
  std::uint32_t message_max;
  alignas(64) std::atomic<std::uint64_t> tail;
  alignas(64) std::atomic<std::uint64_t> head;
  alignas(64) std::atomic<std::uint32_t> writer_word;
  alignas(64) std::atomic<std::uint32_t> reader_word;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

enum class SpscTry : std::uint8_t {
  done,
  blocked,    // full, or empty: exact at the moment of the call
  peer_left,  // writer: the reader left; reader: the writer left and everything was read
  too_large,  // reader: the message does not fit the buffer, and stays
  corrupt,    // the peer wrote what no correct one does
};

// One side of the ring: its own private state and the protocol of waiting. Not thread-safe.
class SpscSide {
 public:
  // Bits of a side's word.
  static constexpr std::uint32_t waiting = 1;  // about to sleep, or asleep
  static constexpr std::uint32_t left = 2;     // departed in order; never taken back

  std::uint32_t message_max() const { return shape_.message_max; }
  // The word to sleep on while it holds just `waiting`, and the one to wake the peer at.
  const std::atomic<std::uint32_t>& own_word() const { return *own_word_; }
  std::atomic<std::uint32_t>& peer_word() const { return *peer_word_; }

  void announce() { own_word_->fetch_or(waiting); }
  void retract() { own_word_->fetch_and(~waiting); }
  // After every hand-over: must the peer be woken? True once per sleep. Who dies between this and
  // the wake-up had not returned from its operation; its successor wakes the peer on attaching.
  bool peer_waits() {
    return (peer_word_->load() & waiting) != 0 && (peer_word_->fetch_and(~waiting) & waiting) != 0;
  }
  bool peer_left() const { return (peer_word_->load() & left) != 0; }
  void leave() { own_word_->fetch_or(left); }

 protected:
  enum class End { writer, reader };

  // Throws EPROTO when the memory is not a ring of this shape.
  SpscSide(std::span<std::byte> memory, const SpscShape& shape, End end) : shape_(shape) {
    if (memory.size() < shape.memory_bytes()) throw_system_error("attach", "ring: size", EPROTO);
    shared_ = reinterpret_cast<SpscShared*>(memory.data());
    if (shared_->magic != SpscShared::magic_value || shared_->capacity != shape.capacity ||
        shared_->message_max != shape.message_max) {
      throw_system_error("attach", "ring: magic or shape", EPROTO);
    }
    slots_ = memory.data() + sizeof(SpscShared);
    const bool writes = end == End::writer;
    own_word_ = writes ? &shared_->writer_word : &shared_->reader_word;
    peer_word_ = writes ? &shared_->reader_word : &shared_->writer_word;
    counter_ = (writes ? shared_->tail : shared_->head).load();
    peer_counter_ = (writes ? shared_->head : shared_->tail).load();
    slot_ = static_cast<std::uint32_t>((counter_ - shape.counter_start) % shape.capacity);
  }

  std::byte* slot() const { return slots_ + slot_ * shape_.slot_bytes(); }
  std::atomic_ref<std::uint64_t> slot_size() const {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(slot()));
  }
  std::byte* slot_message() const { return slot() + sizeof(std::uint64_t); }
  void hand_over(std::atomic<std::uint64_t>& counter) {
    if (++slot_ == shape_.capacity) slot_ = 0;
    counter.store(++counter_);
  }

  SpscShape shape_;
  SpscShared* shared_ = nullptr;
  std::byte* slots_ = nullptr;
  std::atomic<std::uint32_t>* own_word_ = nullptr;
  std::atomic<std::uint32_t>* peer_word_ = nullptr;
  std::uint64_t counter_ = 0;       // private truth of the shared tail (writer) or head (reader)
  std::uint64_t peer_counter_ = 0;  // as last seen
  std::uint32_t slot_ = 0;          // < capacity
};

constexpr std::size_t SpscShape::memory_bytes() const {
  return sizeof(SpscShared) + capacity * slot_bytes();
}

// Creator, once, in zeroed memory of memory_bytes(), before anyone attaches.
inline void initialise_spsc(std::span<std::byte> memory, const SpscShape& shape) {
  if (shape.capacity == 0 || memory.size() < shape.memory_bytes()) {
    throw_system_error("create", "ring: shape", EINVAL);
  }
  auto* shared = new (memory.data()) SpscShared{};
  shared->capacity = shape.capacity;
  shared->message_max = shape.message_max;
  shared->tail = shape.counter_start;
  shared->head = shape.counter_start;
  shared->magic = SpscShared::magic_value;
}

class SpscWriter : public SpscSide {
 public:
  SpscWriter(std::span<std::byte> memory, const SpscShape& shape)
      : SpscSide(memory, shape, End::writer) {}

  // `message` must not be larger than message_max().
  SpscTry try_write(std::span<const std::byte> message) {
    if (peer_left()) [[unlikely]]
      return SpscTry::peer_left;
    if (used() >= shape_.capacity) {
      peer_counter_ = shared_->head.load();
      if (used() > shape_.capacity) return SpscTry::corrupt;
      if (used() == shape_.capacity) return SpscTry::blocked;
    }
    slot_size().store(message.size(), std::memory_order_relaxed);
    if (!message.empty()) std::memcpy(slot_message(), message.data(), message.size());
    hand_over(shared_->tail);
    return SpscTry::done;
  }
  // Would try_write say something other than blocked?
  bool ready() const { return counter_ - shared_->head.load() != shape_.capacity || peer_left(); }

 private:
  std::uint64_t used() const { return counter_ - peer_counter_; }
};

class SpscReader : public SpscSide {
 public:
  SpscReader(std::span<std::byte> memory, const SpscShape& shape)
      : SpscSide(memory, shape, End::reader) {}

  SpscTry try_read(std::span<std::byte> buffer, std::size_t* size) {
    if (peer_counter_ == counter_) {
      // In this order: what the writer sent before it left is seen once its leaving is.
      const bool no_writer = peer_left();
      peer_counter_ = shared_->tail.load();
      if (peer_counter_ == counter_) return no_writer ? SpscTry::peer_left : SpscTry::blocked;
    }
    if (peer_counter_ - counter_ > shape_.capacity) return SpscTry::corrupt;
    const std::uint64_t claimed = slot_size().load(std::memory_order_relaxed);
    if (claimed > shape_.message_max) return SpscTry::corrupt;
    if (claimed > buffer.size()) return SpscTry::too_large;
    if (claimed > 0) std::memcpy(buffer.data(), slot_message(), claimed);
    *size = claimed;
    hand_over(shared_->head);
    return SpscTry::done;
  }
  // Would try_read say something other than blocked?
  bool ready() const { return shared_->tail.load() != counter_ || peer_left(); }
};

}  // namespace ipctorture
