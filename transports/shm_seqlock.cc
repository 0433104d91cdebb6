// The latest value of one writer, read by many at memory speed: a seqlock in POSIX shared memory.
//
// A plain seqlock makes readers spin while the sequence is odd, and a writer killed in between
// leaves it odd for ever. So this one is a latch (Linux: seqcount_latch): the writer fills the next
// of `slot_count` slots, which no reader has reason to read, and then publishes it with one store.
// A reader copies the published slot and looks at `published` again. The slot of version v is next
// written for version v + slot_count, which begins only after v + slot_count - 1 was published:
// the copy is whole if `published` moved by at most slot_count - 2. A reader never waits for the
// writer, whatever happened to it, and must start again only when several values were published
// during one copy. A killed writer leaves a slot that nobody looks at; its successor goes on from
// `published`.
//
// Readers sleep on a futex: how no wake-up is lost stands at ring().
//
// Where it stops: one writer at a time (two would fill the same slot). A reader sees the values
// that were current when it looked, not all of them. A peer that may write the memory can publish
// nonsense, which is answered with EBADMSG and never leads outside the mapping; but it may also
// truncate the object, which no reader can survive.
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include "harness/base/adaptive_spin.h"
#include "harness/base/futex.h"
#include "harness/base/racy_copy.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::latest_value,
    .ordering = Ordering::per_producer,
    .fan_out = FanOut::broadcast,
    .late_consumer = LateConsumer::from_attach,
    .when_full = WhenFull::overwrites,
    .message_min = 16,
    .message_max = 4096,
    .producers_max = 1,
    .consumers_max = 8,
    .lives_max = 255,
    .fires_only_on_change = true,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .hostile = Hostile::not_promised,  // it may truncate the object: SIGBUS
    .may_share_address_space = true,
};

constexpr std::uint64_t magic_v1 = 0x31306b636f6c7173;  // "sqlock01"
// Four instead of the two that suffice: a reader may be overtaken twice and need not start again.
constexpr std::uint64_t slot_count = 4;
static_assert((slot_count & (slot_count - 1)) == 0, "version % slot_count must survive its wrap");
// Copies in a row that a writer may spoil before a receive asks its deadline.
constexpr unsigned tries_max = 1000;

constexpr std::uint32_t someone_sleeps = 1;  // the lowest bit of Header::bell

struct Header {
  std::uint64_t magic;
  std::uint64_t value_bytes;                         // what a slot has room for
  alignas(64) std::atomic<std::uint64_t> published;  // the version to read; the initial one is none
  alignas(64) std::atomic<std::uint32_t> bell;       // futex word: see Writer::ring
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct Slot {  // the value's bytes follow it
  std::uint64_t size;
  std::byte* value() { return reinterpret_cast<std::byte*>(this + 1); }
};

// A process's view of the object. All arithmetic uses its own `value_bytes`, never shared numbers.
class View {
 public:
  static std::size_t slot_bytes(std::size_t value_bytes) {
    return (sizeof(Slot) + value_bytes + 63) / 64 * 64;
  }
  static std::size_t object_bytes(std::size_t value_bytes) {
    return sizeof(Header) + slot_count * slot_bytes(value_bytes);
  }

  View(SharedMapping mapping, std::size_t value_bytes)
      : mapping_(std::move(mapping)), value_bytes_(value_bytes) {}

  Header& header() const { return *reinterpret_cast<Header*>(mapping_.data()); }
  Slot& slot(std::uint64_t version) const {
    return *reinterpret_cast<Slot*>(mapping_.data() + sizeof(Header) +
                                    version % slot_count * slot_bytes(value_bytes_));
  }
  std::size_t value_bytes() const { return value_bytes_; }

 private:
  SharedMapping mapping_;
  std::size_t value_bytes_;
};

class Writer final : public Endpoint {
 public:
  // A predecessor may have been killed between taking the bit back and waking.
  explicit Writer(View view) : view_(std::move(view)) {
    view_.header().bell.fetch_or(someone_sleeps);
  }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (message.size() > view_.value_bytes()) return IoResult::of(Outcome::too_large);
    Header& header = view_.header();
    const std::uint64_t version = header.published.load(std::memory_order_relaxed) + 1;
    Slot& slot = view_.slot(version);
    // Whoever reads one word of what follows also sees that version - 1 was published, and so
    // knows that its copy of version - slot_count is spoilt.
    std::atomic_thread_fence(std::memory_order_release);
    std::atomic_ref(slot.size).store(message.size(), std::memory_order_relaxed);
    racy_store(slot.value(), message.data(), message.size());
    header.published.store(version);
    ring();
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte>, Deadline) override { return IoResult::failed(EOPNOTSUPP); }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  // The bell is a count of rings and, in its lowest bit, whether somebody may sleep. A reader sets
  // the bit, looks once more for news, and sleeps while the bell is what it then was. The writer
  // publishes, and if the bit is set adds one: that clears it and counts. All are sequentially
  // consistent, so either the reader sees the news, or the writer sees the bit; and futex(2)
  // refuses to sleep on a bell that has rung since, whoever set the bit again. (A flag apart from
  // the word to sleep on would be taken back for news that its reader has seen already; a flag
  // without a count would be set again by another reader. `explore` found both.)
  void ring() {
    std::atomic<std::uint32_t>& bell = view_.header().bell;
    if ((bell.load() & someone_sleeps) == 0) return;
    bell.fetch_add(1);
    futex_wake(bell);
  }

  View view_;
};

class Reader final : public Endpoint {
 public:
  // `none`: what `published` is before the first value.
  Reader(View view, std::uint64_t none) : view_(std::move(view)), seen_(none) {
    last_.reserve(view_.value_bytes());
    candidate_.resize(view_.value_bytes());
  }

  IoResult send(std::span<const std::byte>, SendOptions, Deadline) override {
    return IoResult::failed(EOPNOTSUPP);
  }
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    for (;;) {
      const IoResult result = look(buffer);
      if (result.outcome != Outcome::empty || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      sleep(deadline);
    }
  }
  IoResult close(Deadline) override { return IoResult::of(Outcome::ok); }

 private:
  // The published value if it differs from the last one returned; else empty.
  IoResult look(std::span<std::byte> buffer) {
    Header& header = view_.header();
    for (unsigned tries = 0; tries < tries_max; ++tries) {
      const std::uint64_t version = header.published.load(std::memory_order_acquire);
      if (version == seen_) return IoResult::of(Outcome::empty);
      Slot& slot = view_.slot(version);
      // Read once: checked and used is the same number.
      const std::uint64_t size = std::atomic_ref(slot.size).load(std::memory_order_relaxed);
      const bool fits_slot = size <= view_.value_bytes();
      if (fits_slot) racy_copy(candidate_.data(), slot.value(), size);
      std::atomic_thread_fence(std::memory_order_acquire);
      const std::uint64_t now = header.published.load(std::memory_order_relaxed);
      if (now - version > slot_count - 2) continue;
      if (!fits_slot) return IoResult::failed(EBADMSG);
      if (size > buffer.size()) return IoResult::of(Outcome::too_large);
      seen_ = version;
      if (same_as_last(size)) continue;
      last_.assign(candidate_.begin(), candidate_.begin() + static_cast<std::ptrdiff_t>(size));
      returned_any_ = true;
      if (size != 0) std::memcpy(buffer.data(), last_.data(), size);
      return IoResult::received(size);
    }
    return IoResult::of(Outcome::empty);  // overtaken again and again; receive asks its deadline
  }

  bool same_as_last(std::size_t size) const {
    return returned_any_ && last_.size() == size &&
           std::memcmp(last_.data(), candidate_.data(), size) == 0;
  }

  bool anything_new() const { return view_.header().published.load() != seen_; }

  void sleep(Deadline deadline) {  // see Writer::ring
    if (spin_.until([this] { return anything_new(); })) return;
    std::atomic<std::uint32_t>& bell = view_.header().bell;
    const std::uint32_t heard = bell.fetch_or(someone_sleeps) | someone_sleeps;
    if (!anything_new()) futex_wait(bell, heard, deadline);
  }

  View view_;
  AdaptiveSpin spin_;
  std::uint64_t seen_;  // version last looked at
  bool returned_any_ = false;
  std::vector<std::byte> last_;  // the value last returned
  std::vector<std::byte> candidate_;
};

class ShmSeqlock final : public Transport {
 public:
  ShmSeqlock(const Options& options, std::vector<Descriptor>)
      : options_(options),
        value_bytes_(options.message_max != 0 ? options.message_max : kContract.message_max) {}

  void create() override {
    const std::size_t bytes = View::object_bytes(value_bytes_);
    const Descriptor fd = create_shared_object(options_.name, bytes);
    try {
      const SharedMapping mapping(fd.get(), bytes, options_.name);
      new (mapping.data()) Header{
          .magic = magic_v1,
          .value_bytes = value_bytes_,
          .published = options_.counter_start,
          .bell = 0,
      };
    } catch (...) {
      destroy();
      throw;
    }
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor fd = open_shared_object(options_.name, &bytes);
    if (bytes != View::object_bytes(value_bytes_))
      throw_system_error("attach: wrong size of", options_.name, EPROTO);
    View view(SharedMapping(fd.get(), bytes, options_.name), value_bytes_);
    if (view.header().magic != magic_v1 || view.header().value_bytes != value_bytes_)
      throw_system_error("attach: not a seqlock of this kind:", options_.name, EPROTO);
    if (role == Role::producer) return std::make_unique<Writer>(std::move(view));
    return std::make_unique<Reader>(std::move(view), options_.counter_start);
  }

  void destroy() noexcept override { unlink_shared_object(options_.name); }

 private:
  const Options options_;
  const std::size_t value_bytes_;
};

const Registered registered{{.name = "shm_seqlock",
                             .summary = "latest value in shared memory, a seqlock with four slots",
                             .contract = kContract,
                             .make = make_transport<ShmSeqlock>}};

}  // namespace
}  // namespace ipctorture
