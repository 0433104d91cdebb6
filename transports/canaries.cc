// Canaries: one small shared-memory queue (and one shared value), each registered once for every
// way of being broken. A harness that lets one of them pass is itself broken; stress/canary_test.cc
// runs them all. They take part in a run only when selected (`--canary`, or by name).
//
// The queue without a flaw is correct: a mutex and an event counter, nothing clever. It registers
// as canary_none, which must pass: whatever else a canary is caught for is then the flaw's doing.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

enum class Flaw {
  none,
  lose,            // every 7th message is accepted and dropped
  duplicate,       // every 7th message is delivered twice
  reorder,         // every 5th message overtakes the one before it
  tear,            // a byte in the middle of every 7th message is altered
  truncate,        // the last byte of every 7th message is cut off
  stall,           // every 7th send wakes nobody
  hang,            // the 5th receive of a consumer waits for what nobody does
  spin,            // the 5th receive of a consumer tries again for ever and brings nothing
  starve,          // the oldest message waits while there is a younger one
  refuse,          // full for ever after 5 messages
  swallow_large,   // accepts messages above its maximum
  false_full,      // full while there is room for one more
  false_empty,     // every 3rd `now` receive answers empty, whatever is there
  false_closed,    // closed after 5 messages
  never_closed,    // promises closed and never says it
  oversleep,       // a timed receive overstays by 200 ms
  crash,           // the 5th receive of a consumer dies of a null pointer
  leak,            // every attach forgets a descriptor, destroy() a file
  fire_unchanged,  // latest value: wakes for identical content
  orphan,          // who sends first keeps the right to, beyond its death
  stale,           // latest value: every 3rd receive returns the value before
};

constexpr std::uint32_t message_max = 4096;
constexpr std::uint32_t capacity_max = 64;

struct Slot {
  std::uint32_t size;
  std::byte bytes[message_max];
};

struct Shared {
  pthread_mutex_t mutex;
  std::atomic<std::uint32_t> changes;  // futex word: counts everything that may wake somebody
  std::uint64_t head, tail;            // taken, put
  std::uint64_t accepted;
  std::uint32_t producers_closed;
  std::uint32_t producers_seen;
  std::uint32_t owner;  // number of the producer with the right to send; 0: nobody's
  Slot slots[capacity_max];
};

constexpr bool is_value(Flaw flaw) { return flaw == Flaw::fire_unchanged || flaw == Flaw::stale; }

class Lock {
 public:
  explicit Lock(Shared& shared) : shared_(shared) { ::pthread_mutex_lock(&shared.mutex); }
  ~Lock() { ::pthread_mutex_unlock(&shared_.mutex); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Shared& shared_;
};

template <Flaw flaw>
class CanaryEndpoint final : public Endpoint {
 public:
  CanaryEndpoint(SharedMapping mapping, const Options& options, Role role)
      : mapping_(std::move(mapping)), options_(options), role_(role) {
    if (is_value(flaw)) seen_ = 0;
    if (flaw == Flaw::orphan && role == Role::producer) {
      const Lock lock(shared());
      number_ = ++shared().producers_seen;
    }
    if (flaw == Flaw::leak) (void)!::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > options_.message_max) {
      if (flaw == Flaw::swallow_large) return IoResult::sent();
      return IoResult::of(Outcome::too_large);
    }
    return until(deadline, Outcome::full, [&] { return put(message); });
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    if (++receives_ == 5 && flaw == Flaw::crash) *static_cast<volatile int*>(nullptr) = 0;
    if (receives_ == 5 && flaw == Flaw::hang) wait_for_ever();
    if (receives_ == 5 && flaw == Flaw::spin) spin_for_ever();
    if (flaw == Flaw::false_empty && deadline.is_now() && receives_ % 3 == 0) {
      return IoResult::of(Outcome::empty);
    }
    if (flaw == Flaw::oversleep && deadline.is_timed()) {
      deadline = Deadline::at(deadline.instant() + 200'000'000);
    }
    return until(deadline, Outcome::empty,
                 [&] { return is_value(flaw) ? look(buffer) : take(buffer); });
  }

  IoResult close(Deadline) override {
    if (role_ == Role::producer) {
      {
        const Lock lock(shared());
        ++shared().producers_closed;
        shared().owner = 0;
      }
      wake();
    }
    return IoResult::sent();
  }

 private:
  Shared& shared() { return *reinterpret_cast<Shared*>(mapping_.data()); }
  Slot& slot(std::uint64_t n) { return shared().slots[n % capacity()]; }
  std::uint64_t capacity() const { return std::min(options_.capacity, capacity_max); }

  // Tries until something other than `retry` comes of it or the deadline passes.
  template <typename Try>
  IoResult until(Deadline deadline, Outcome retry, Try attempt) {
    for (;;) {
      const std::uint32_t before = shared().changes.load();
      const IoResult result = attempt();
      if (result.outcome != retry || deadline.is_now()) return result;
      if (deadline.passed()) return IoResult::of(Outcome::timed_out);
      futex_wait(shared().changes, before, deadline);
    }
  }

  void wake() {
    shared().changes.fetch_add(1);
    futex_wake(shared().changes);
  }

  void wait_for_ever() {
    std::atomic<std::uint32_t> never{0};
    for (;;) futex_wait(never, 0, Deadline::never());
  }

  // Awake again and again, so no deadlock: only that nothing comes of it shows. It backs off
  // between its turns, or it would be starved on a busy machine, which excuses it.
  void spin_for_ever() {
    std::atomic<std::uint32_t> never{0};
    for (;;) futex_wait(never, 0, Deadline::in(std::chrono::milliseconds(20)));
  }

  IoResult put(std::span<const std::byte> message) {
    bool wakes = true;
    {
      const Lock lock(shared());
      Shared& s = shared();
      const std::uint64_t limit = flaw == Flaw::false_full ? capacity() - 1 : capacity();
      if (!is_value(flaw) && s.tail - s.head >= limit) return IoResult::of(Outcome::full);
      if (flaw == Flaw::orphan && s.owner == 0) s.owner = number_;
      if (flaw == Flaw::orphan && s.owner != number_) return IoResult::of(Outcome::full);
      if (flaw == Flaw::refuse && s.accepted >= 5) return IoResult::of(Outcome::full);
      const std::uint64_t count = ++s.accepted;
      if (flaw == Flaw::lose && count % 7 == 0) return IoResult::sent();
      store(slot(s.tail), message);
      const bool seventh = count % 7 == 0;
      if (flaw == Flaw::tear && seventh && message.size() > 16) {
        slot(s.tail).bytes[message.size() / 2] ^= std::byte{1};
      }
      if (flaw == Flaw::truncate && seventh && message.size() > 8) --slot(s.tail).size;
      ++s.tail;
      if (flaw == Flaw::duplicate && seventh && s.tail - s.head < capacity()) {
        store(slot(s.tail++), message);
      }
      if (flaw == Flaw::reorder && count % 5 == 0 && s.tail - s.head >= 2) {
        std::swap(slot(s.tail - 1), slot(s.tail - 2));
      }
      wakes = flaw != Flaw::stall || !seventh;
    }
    if (wakes) wake();
    return IoResult::sent();
  }

  static void store(Slot& slot, std::span<const std::byte> message) {
    slot.size = static_cast<std::uint32_t>(message.size());
    std::memcpy(slot.bytes, message.data(), message.size());
  }

  IoResult take(std::span<std::byte> buffer) {
    std::size_t size = 0;
    {
      const Lock lock(shared());
      Shared& s = shared();
      if (flaw == Flaw::false_closed && s.head >= 5) return IoResult::of(Outcome::closed);
      if (s.head == s.tail) {
        const bool over = s.producers_closed >= options_.producers && flaw != Flaw::never_closed;
        return IoResult::of(over ? Outcome::closed : Outcome::empty);
      }
      if (flaw == Flaw::starve && s.tail - s.head >= 2) {
        std::swap(slot(s.head), slot(s.tail - 1));
      }
      const Slot& from = slot(s.head++);
      size = from.size;
      std::memcpy(buffer.data(), from.bytes, size);
    }
    wake();
    return IoResult::received(size);
  }

  IoResult look(std::span<std::byte> buffer) {
    const Lock lock(shared());
    Shared& s = shared();
    if (s.tail == seen_) return IoResult::of(Outcome::empty);
    const bool first = seen_ == 0;
    seen_ = s.tail;
    const bool back = flaw == Flaw::stale && s.tail > 1 && receives_ % 3 == 0;
    const Slot& from = slot(s.tail - (back ? 2 : 1));
    const bool same =
        !first && from.size == last_size_ && std::memcmp(from.bytes, last_, from.size) == 0;
    if (same && flaw != Flaw::fire_unchanged) return IoResult::of(Outcome::empty);
    last_size_ = from.size;
    std::memcpy(last_, from.bytes, from.size);
    std::memcpy(buffer.data(), from.bytes, from.size);
    return IoResult::received(from.size);
  }

  SharedMapping mapping_;
  const Options& options_;
  Role role_;
  std::uint32_t number_ = 0;  // among the producers that there were
  std::uint64_t receives_ = 0;
  std::uint64_t seen_ = 0;
  std::uint32_t last_size_ = 0;
  std::byte last_[message_max];
};

template <Flaw flaw>
class Canary final : public Transport {
 public:
  Canary(const Options& options, std::vector<Descriptor>) : options_(options) {}

  void create() override {
    const Descriptor fd = create_shared_object(options_.name, sizeof(Shared));
    const SharedMapping mapping(fd.get(), sizeof(Shared), options_.name);
    auto& shared = *reinterpret_cast<Shared*>(mapping.data());
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutex_init(&shared.mutex, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }

  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor fd = open_shared_object(options_.name, &bytes);
    if (bytes < sizeof(Shared)) throw_system_error("open", options_.name, EPROTO);
    return std::make_unique<CanaryEndpoint<flaw>>(
        SharedMapping(fd.get(), sizeof(Shared), options_.name), options_, role);
  }

  void destroy() noexcept override {
    unlink_shared_object(options_.name);
    const std::string forgotten = options_.directory + "/forgotten";
    if (flaw == Flaw::leak && ::access(forgotten.c_str(), F_OK) != 0) {
      Descriptor(::open(forgotten.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).reset();
    } else {
      ::unlink(forgotten.c_str());
    }
  }

 private:
  Options options_;
};

constexpr Contract queue_contract(Flaw flaw) {
  Contract contract{.ordering = Ordering::total,
                    .late_consumer = LateConsumer::backlog,
                    .reports_closed = true,
                    .exact_empty = true,
                    .exact_full = true,
                    .capacity_max = capacity_max,
                    .message_min = 1,
                    .message_max = message_max,
                    .producers_max = 4,
                    .consumers_max = 4,
                    .progress_bound_ms = 500,
                    .accepted_survives_close = true};
  if (flaw == Flaw::starve) {
    contract.ordering = Ordering::none;
    contract.overtakes_max = 4;
  }
  if (flaw == Flaw::orphan) {
    contract.producers_max = 1;
    contract.survives_producer_death = true;
  }
  return contract;
}

constexpr Contract value_contract() {
  return {.delivery = Delivery::latest_value,
          .late_consumer = LateConsumer::from_attach,
          .when_full = WhenFull::overwrites,
          .message_min = 16,
          .message_max = message_max,
          .consumers_max = 4,
          .progress_bound_ms = 500,
          .fires_only_on_change = true};
}

template <Flaw flaw>
Registration canary(std::string_view name, std::string_view summary) {
  return {.name = name,
          .summary = summary,
          .contract = is_value(flaw) ? value_contract() : queue_contract(flaw),
          .make = make_transport<Canary<flaw>>,
          .kind = Kind::canary};
}

const Registered registered[] = {
    Registered(canary<Flaw::none>("canary_none", "correct: must pass")),
    Registered(canary<Flaw::lose>("canary_lose", "loses every 7th message")),
    Registered(canary<Flaw::duplicate>("canary_duplicate", "delivers every 7th message twice")),
    Registered(canary<Flaw::reorder>("canary_reorder", "lets every 5th message overtake")),
    Registered(canary<Flaw::tear>("canary_tear", "alters a byte of every 7th message")),
    Registered(canary<Flaw::truncate>("canary_truncate", "cuts a byte off every 7th message")),
    Registered(canary<Flaw::stall>("canary_stall", "forgets to wake after every 7th send")),
    Registered(canary<Flaw::hang>("canary_hang", "waits for what nobody does")),
    Registered(canary<Flaw::spin>("canary_spin", "tries again for ever at the 5th receive")),
    Registered(canary<Flaw::starve>("canary_starve", "serves younger messages first")),
    Registered(canary<Flaw::refuse>("canary_refuse", "full for ever after 5 messages")),
    Registered(canary<Flaw::swallow_large>("canary_swallow_large", "accepts what is too large")),
    Registered(canary<Flaw::false_full>("canary_false_full", "full with room for one more")),
    Registered(canary<Flaw::false_empty>("canary_false_empty", "empty although it is not")),
    Registered(canary<Flaw::false_closed>("canary_false_closed", "closed after 5 messages")),
    Registered(canary<Flaw::never_closed>("canary_never_closed", "never says closed")),
    Registered(canary<Flaw::oversleep>("canary_oversleep", "overstays deadlines by 200 ms")),
    Registered(canary<Flaw::crash>("canary_crash", "dies at the 5th receive")),
    Registered(canary<Flaw::leak>("canary_leak", "forgets descriptors and a file")),
    Registered(canary<Flaw::fire_unchanged>("canary_fire_unchanged", "fires without a change")),
    Registered(canary<Flaw::orphan>("canary_orphan", "obeys the dead: no successor may send")),
    Registered(canary<Flaw::stale>("canary_stale", "returns a value older than seen")),
};

}  // namespace
}  // namespace ipctorture
