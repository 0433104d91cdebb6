// freelist_aba: messages travel in chunks from a small pool; the free ones form a lock-free stack
// of indices whose top bears no tag.
//
// The bug: pop reads the top and that chunk's successor, then compares and swaps the top. Meanwhile
// others may have popped both and pushed the first back (A, B, A): the swap succeeds and makes a
// chunk the top that is in use. Two producers then write one chunk, others are lost for ever.
// It fires with two producers and a consumer when a pop is cut between the two reads and the swap
// while the chunk that it read goes once around. Full chunks wait in a queue under a mutex, which
// is beyond reproach.
//
// The twin tags the top: 32 bits of index, 32 that count the swaps. A top that came back differs.
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/robust_mutex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .exact_empty = true,
    .capacity_max = 8,
    .message_min = 0,
    .message_max = 256,
    .producers_max = 4,
    .consumers_max = 4,
    .overtakes_max = 0,
    .accepted_survives_close = true,
};

constexpr std::uint32_t none = ~0u;  // no chunk

struct Chunk {
  std::size_t size;
  std::byte bytes[contract.message_max];
};

struct Shared {
  pthread_mutex_t mutex;  // guards full, head and tail
  std::uint32_t full[contract.capacity_max];
  std::uint32_t head, tail;            // taken from full, put into it; wrap
  std::atomic<std::uint32_t> changes;  // futex word: counts everything that may wake somebody
  std::atomic<std::uint64_t> top;      // of the free chunks: tag << 32 | index, or none
  std::atomic<std::uint32_t> next[contract.capacity_max];
  Chunk chunks[contract.capacity_max];
};

template <bool tagged>
class Pool final : public Endpoint {
 public:
  Pool(SharedMapping memory, std::uint32_t message_max)
      : memory_(std::move(memory)),
        message_max_(message_max),
        shared_(*reinterpret_cast<Shared*>(memory_.data())) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
    return until(deadline, Outcome::full, [&] {
      const std::uint32_t index = pop_free();
      if (index == none) return IoResult::of(Outcome::full);
      Chunk& chunk = shared_.chunks[index];
      chunk.size = message.size();
      if (!message.empty()) std::memcpy(chunk.bytes, message.data(), message.size());
      return put_full(index) ? IoResult::sent() : IoResult::failed(EOVERFLOW);
    });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    return until(deadline, Outcome::empty, [&] {
      const std::uint32_t index = take_full();
      if (index == none) return IoResult::of(Outcome::empty);
      const std::size_t size = shared_.chunks[index].size;
      std::memcpy(buffer.data(), shared_.chunks[index].bytes, size);
      push_free(index);
      return IoResult::received(size);
    });
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  static constexpr std::uint64_t tag_step = tagged ? std::uint64_t{1} << 32 : 0;

  // Tries until it succeeds or the deadline passes; a success may wake others.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome blocked, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared_.changes.load();
      const IoResult result = attempt();
      if (result.outcome != blocked) {
        shared_.changes.fetch_add(1);
        futex_wake(shared_.changes);
        return result;
      }
      if (deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared_.changes, before, deadline);
    }
  }

  std::uint32_t pop_free() {
    std::uint64_t top = shared_.top.load();
    for (;;) {
      const auto index = static_cast<std::uint32_t>(top);
      if (index == none) return none;
      const std::uint32_t next = shared_.next[index].load();
      if (shared_.top.compare_exchange_strong(top, with_index(top, next))) return index;
    }
  }
  void push_free(std::uint32_t index) {
    std::uint64_t top = shared_.top.load();
    do {
      shared_.next[index].store(static_cast<std::uint32_t>(top));
    } while (!shared_.top.compare_exchange_strong(top, with_index(top, index)));
  }
  static std::uint64_t with_index(std::uint64_t top, std::uint32_t index) {
    return ((top & ~std::uint64_t{none}) | index) + tag_step;
  }

  // False: there are more full chunks than chunks.
  bool put_full(std::uint32_t index) {
    ::pthread_mutex_lock(&shared_.mutex);
    const bool room = shared_.tail - shared_.head < contract.capacity_max;
    if (room) shared_.full[shared_.tail++ % contract.capacity_max] = index;
    ::pthread_mutex_unlock(&shared_.mutex);
    return room;
  }
  std::uint32_t take_full() {
    ::pthread_mutex_lock(&shared_.mutex);
    const bool any = shared_.tail != shared_.head;
    const std::uint32_t index = any ? shared_.full[shared_.head++ % contract.capacity_max] : none;
    ::pthread_mutex_unlock(&shared_.mutex);
    return index;
  }

  SharedMapping memory_;
  std::uint32_t message_max_;
  Shared& shared_;
};

template <bool tagged>
class FreelistAba final : public Transport {
 public:
  FreelistAba(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor object = create_shared_object(options_.name, sizeof(Shared));
    try {
      const SharedMapping memory(object.get(), sizeof(Shared), options_.name);
      auto* shared = new (memory.data()) Shared{};
      create_robust_mutex(shared->mutex, options_.name);
      for (std::uint32_t i = 0; i < options_.capacity; ++i) shared->next[i] = i + 1;
      shared->next[options_.capacity - 1] = none;
      shared->top = options_.counter_start << 32;  // the tag wraps early
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("attach", options_.name, EPROTO);
    return std::make_unique<Pool<tagged>>(
        SharedMapping(object.get(), sizeof(Shared), options_.name), options_.message_max);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
};

template <bool tagged>
Registration registration(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = contract,
          .make = make_transport<FreelistAba<tagged>>,
          .kind = Kind::faulty};
}

const Registered registered[] = {
    Registered(registration<false>("freelist_aba", "free chunks in a stack without a tag")),
    Registered(registration<true>("freelist_aba_twin", "free chunks in a tagged stack")),
};

}  // namespace
}  // namespace ipctorture
