// sysv_shm: a bounded queue for many producers and consumers in a System V segment, ruled by one
// set of System V semaphores.
//
// The set holds all that is shared but the messages: mutex (1: free), items, room, and head (the
// slot of the oldest message). Why it is right
//  - semop(2) performs an array of operations at once, or sleeps until it can. So "if there is an
//    item, take the mutex" is one call, without a wake-up to lose; and one call commits: items,
//    room and head change and the mutex is released together. Whoever is killed did all of an
//    operation or nothing, and slots outside [head, head + items) are nobody's.
//  - SEM_UNDO belongs on the mutex and on nothing else. When its holder dies the kernel gives the
//    mutex back. On items and room it would do harm: a producer's orderly exit would take back
//    every item that it ever added (if the adjustment did not overflow before, at 32767).
//  - Waiting for an item is items - 1, items + 1: it passes when there is one, and leaves it.
//  - A semaphore holds at most 32767 (SEMVMX): hence head as a slot number, not a counter.
//  - The creator finishes before anyone attaches: nobody meets the set between semget and SETALL.
//
// Where it stops: three system calls a message, and all waiters wake for each. Keys carry 30 bits
// of the token: on a collision create() throws EEXIST. Segment and set outlive every process until
// destroy(). A process that is stopped while it holds the mutex stops everybody; they keep their
// deadlines. Whoever runs as the same user can do anything to it.
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "harness/base/adaptive_spin.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr Contract kContract{
    .delivery = Delivery::exactly_once,
    .ordering = Ordering::total,
    .fan_out = FanOut::any_consumer,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .when_full = WhenFull::blocks,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 4096,
    .message_min = 0,
    .message_max = 64 * 1024,
    .producers_max = 8,
    .consumers_max = 8,
    .lives_max = 255,
    .attach = AttachBy::named,
    .overtakes_max = 0,
    .accepted_survives_close = true,
    .survives_producer_death = true,
    .survives_consumer_death = true,
    .rejoins = true,
    .lost_per_death_max = 1,  // taken out of the queue, not yet in the hands of the caller
};

// `now` does not wait for messages or room, but has to wait its turn to look.
constexpr Instant now_lock_ns = 25'000'000;

enum Semaphore : unsigned short { mutex, items, room, head, semaphore_count };
using Values = std::array<unsigned short, semaphore_count>;

union semun {  // semctl(2) leaves its definition to the caller
  int val;
  semid_ds* buf;
  unsigned short* array;
  seminfo* __buf;
};

constexpr sembuf op(Semaphore which, int by, int flags = 0) {
  return {.sem_num = which, .sem_op = static_cast<short>(by), .sem_flg = static_cast<short>(flags)};
}
constexpr sembuf take_mutex = op(mutex, -1, SEM_UNDO);
constexpr sembuf release_mutex = op(mutex, +1, SEM_UNDO);

// A slot is the message's size and the message.
struct Shape {
  std::uint32_t capacity;
  std::uint32_t message_max;
  std::size_t slot_bytes() const { return 8 + (message_max + 7u) / 8 * 8; }
  std::size_t bytes() const { return capacity * slot_bytes(); }
};

// 0 or errno; EAGAIN when the deadline passed. Resumes after signals.
template <std::size_t count>
int operate(int set, std::array<sembuf, count> ops, Deadline deadline) {
  if (deadline.is_now()) {
    for (sembuf& each : ops) each.sem_flg = static_cast<short>(each.sem_flg | IPC_NOWAIT);
  }
  for (;;) {
    timespec left{};
    if (deadline.is_timed()) left = deadline.remaining_timespec();
    if (::semtimedop(set, ops.data(), count, deadline.is_timed() ? &left : nullptr) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

class Queue final : public Endpoint {
 public:
  Queue(int set, std::byte* slots, const Shape& shape) : set_(set), slots_(slots), shape_(shape) {}
  ~Queue() override { ::shmdt(slots_); }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline deadline) override {
    if (message.size() > shape_.message_max) return IoResult::of(Outcome::too_large);
    Values now{};
    const IoResult locked = lock_with_one_of(room, Outcome::full, deadline, now);
    if (locked.outcome != Outcome::ok) return locked;
    std::byte* slot = slot_at(now[head] + now[items]);
    const std::uint64_t size = message.size();
    std::memcpy(slot, &size, sizeof size);
    if (size > 0) std::memcpy(slot + sizeof size, message.data(), size);
    return commit(std::array{op(room, -1), op(items, +1), release_mutex}, IoResult::sent());
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    Values now{};
    const IoResult locked = lock_with_one_of(items, Outcome::empty, deadline, now);
    if (locked.outcome != Outcome::ok) return locked;
    const std::byte* slot = slot_at(now[head]);
    std::uint64_t size = 0;
    std::memcpy(&size, slot, sizeof size);
    if (size > shape_.message_max)
      return commit(std::array{release_mutex}, IoResult::failed(EPROTO));
    if (size > buffer.size()) {
      return commit(std::array{release_mutex}, IoResult::of(Outcome::too_large));
    }
    if (size > 0) std::memcpy(buffer.data(), slot + sizeof size, size);
    const int next = static_cast<int>((now[head] + 1u) % shape_.capacity);
    const sembuf move_head = op(head, next - now[head]);
    if (move_head.sem_op == 0) {  // capacity 1; semop(2) would wait for a zero
      return commit(std::array{op(items, -1), op(room, +1), release_mutex},
                    IoResult::received(size));
    }
    return commit(std::array{op(items, -1), op(room, +1), move_head, release_mutex},
                  IoResult::received(size));
  }

  IoResult close(Deadline) override { return IoResult::sent(); }

 private:
  std::byte* slot_at(unsigned index) const {
    return slots_ + index % shape_.capacity * shape_.slot_bytes();
  }

  // Ok: this process holds the mutex, `what` is at least 1, and `now` holds the values.
  IoResult lock_with_one_of(Semaphore what, Outcome none, Deadline deadline, Values& now) {
    const int error = deadline.is_now() ? operate(set_, std::array{take_mutex},
                                                  Deadline::at(monotonic_now() + now_lock_ns))
                                        : wait_and_lock(what, deadline);
    if (error == EAGAIN) return IoResult::of(Outcome::timed_out);
    if (error != 0) return IoResult::failed(error);
    if (::semctl(set_, 0, GETALL, semun{.array = now.data()}) != 0) {
      return commit(std::array{release_mutex}, IoResult::failed(errno));
    }
    if (now[what] > 0) return IoResult::sent();
    return commit(std::array{release_mutex}, IoResult::of(none));
  }

  // 0 when `what` is at least 1 and the mutex is ours; otherwise errno. The long wait is for `what`
  // alone: the kernel serves waiters at once, and would give the mutex to a process that still has
  // to wake up, while those that run queue behind it.
  int wait_and_lock(Semaphore what, Deadline deadline) {
    const std::array wait{op(what, -1), op(what, +1)};
    const std::array wait_and_take{op(what, -1), op(what, +1), take_mutex};
    int error = EAGAIN;
    const auto try_once = [&] {
      error = operate(set_, wait_and_take, Deadline::now());
      return error != EAGAIN;
    };
    if (spin_.until(try_once)) return error;
    error = operate(set_, wait, deadline);
    if (error != 0 || mutex_spin_.until(try_once)) return error;
    return operate(set_, wait_and_take, deadline);  // in turn with everybody else
  }

  // Never blocks: nothing here waits for a value that the holder of the mutex has not seen.
  template <std::size_t count>
  IoResult commit(const std::array<sembuf, count>& ops, IoResult result) const {
    const int error = operate(set_, ops, Deadline::never());
    return error == 0 ? result : IoResult::failed(error);
  }

  int set_;
  std::byte* slots_;
  Shape shape_;
  AdaptiveSpin spin_{16};  // turns of a system call
  AdaptiveSpin mutex_spin_{64};
};

class SysvShm final : public Transport {
 public:
  SysvShm(const Options& options, std::vector<Descriptor>)
      : name_("sysv_shm " + options.name),
        // Never IPC_PRIVATE, which is 0.
        key_(system_v_key(options)),
        first_(static_cast<unsigned short>(options.counter_start %
                                           std::max<std::uint32_t>(options.capacity, 1))),
        shape_{.capacity = options.capacity,
               .message_max = std::min(options.message_max, kContract.message_max)} {}

  std::string unsupported() const override {
    seminfo sem{};
    if (::semctl(0, 0, IPC_INFO, semun{.__buf = &sem}) < 0) {
      return "semctl IPC_INFO: " + std::generic_category().message(errno);
    }
    shminfo shm{};
    if (::shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds*>(&shm)) < 0) {
      return "shmctl IPC_INFO: " + std::generic_category().message(errno);
    }
    if (sem.semmni < 1 || sem.semmsl < semaphore_count || sem.semopm < 4) {
      return "kernel.sem allows no set of 4 semaphores with 4 operations a call";
    }
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (shm.shmmax < shape_.bytes() || shm.shmall < (shape_.bytes() + page - 1) / page) {
      return "kernel.shmmax or shmall is too small, needs " + std::to_string(shape_.bytes()) +
             " bytes";
    }
    return {};
  }

  void create() override {
    if (shape_.capacity == 0 || shape_.capacity > kContract.capacity_max) {
      throw_system_error("create", name_, EINVAL);
    }
    const int segment = ::shmget(key_, shape_.bytes(), IPC_CREAT | IPC_EXCL | 0600);
    if (segment < 0) throw_system_error("shmget", name_);
    const int set = ::semget(key_, semaphore_count, IPC_CREAT | IPC_EXCL | 0600);
    if (set < 0) {
      const int error = errno;
      ::shmctl(segment, IPC_RMID, nullptr);
      throw_system_error("semget", name_, error);
    }
    Values values{};
    values[mutex] = 1;
    values[room] = static_cast<unsigned short>(shape_.capacity);
    values[head] = first_;
    if (::semctl(set, 0, SETALL, semun{.array = values.data()}) != 0) {
      const int error = errno;
      destroy();
      throw_system_error("semctl SETALL", name_, error);
    }
  }

  std::unique_ptr<Endpoint> attach(Role, unsigned, Deadline) override {
    const int set = ::semget(key_, semaphore_count, 0);
    if (set < 0) throw_system_error("semget", name_);
    const int segment = ::shmget(key_, shape_.bytes(), 0);  // EINVAL when it is smaller
    if (segment < 0) throw_system_error("shmget", name_);
    void* slots = ::shmat(segment, nullptr, 0);
    if (slots == reinterpret_cast<void*>(-1)) throw_system_error("shmat", name_);
    return std::make_unique<Queue>(set, static_cast<std::byte*>(slots), shape_);
  }

  // By key, but only what looks like ours: another user's, or another shape, is a collision.
  void destroy() noexcept override {
    shmid_ds segment{};
    const int shm = ::shmget(key_, 0, 0);
    if (shm >= 0 && ::shmctl(shm, IPC_STAT, &segment) == 0 &&
        segment.shm_perm.cuid == ::geteuid() && segment.shm_segsz == shape_.bytes()) {
      ::shmctl(shm, IPC_RMID, nullptr);
    }
    semid_ds set{};
    const int sem = ::semget(key_, 0, 0);
    if (sem >= 0 && ::semctl(sem, 0, IPC_STAT, semun{.buf = &set}) == 0 &&
        set.sem_perm.cuid == ::geteuid() && set.sem_nsems == semaphore_count) {
      ::semctl(sem, 0, IPC_RMID);
    }
  }

 private:
  std::string name_;
  key_t key_;
  unsigned short first_;  // slot
  Shape shape_;
};

const Registered registered{{.name = "sysv_shm",
                             .summary = "bounded queue in a System V segment, semaphores, SEM_UNDO",
                             .contract = kContract,
                             .make = make_transport<SysvShm>}};

}  // namespace
}  // namespace ipctorture
