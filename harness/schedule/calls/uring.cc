// io_uring through liburing, emulated: rings in memory of the lane's own, no ring of the kernel's,
// so it needs no permission for one. liburing's inline functions work on that memory; the functions
// of its library come here. What operations do: calls/uring_operations.cc.
//
// An operation completes at a point of its lane: when that submits, waits for a completion, looks
// for one in vain, or waits for descriptors. Right after submitting, completing is put off by
// choice.
//
// Where it stops: unknown operations, buffers that the kernel selects, operations that complete
// more than once, links with a timeout, SQPOLL, IOPOLL and rings with large entries end the
// schedule; so do the system calls themselves. A copy of liburing that is linked statically is not
// seen. While its lane waits for a lock of the thread library an operation rests; while it waits in
// futex(2) and the like, with operations under way, the schedule ends.
#include "harness/schedule/calls/uring.h"

#include <linux/time_types.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring_ring.h"

struct io_uring;  // liburing's

namespace ipctorture::schedule {
namespace {

LaneControl& me() { return control->lane[current_lane]; }

LibraryRing& library_of(io_uring* ring) { return *reinterpret_cast<LibraryRing*>(ring); }

// Of any lane of this process.
Ring& ring_of(io_uring* library) {
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (control->lane[lane].process != me().process) continue;
    for (Ring* one = rings_of(control->lane[lane]); one != nullptr; one = one->next) {
      if (one == library_of(library).sq.ring_ptr) return *one;
    }
  }
  uring_not_controlled("a ring that was made outside the schedule, flags",
                       library_of(library).flags);
}

// Where the harness itself is at work, or a transport outside its schedule.
template <typename Function, typename... Arguments>
int uncontrolled_call(const char* name, Arguments... arguments) {
  const auto call = real<Function>(name);
  return call == nullptr ? -ENOSYS : call(arguments...);
}

// --- making and giving back

constexpr unsigned flags_known = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | 1u << 7 | 1u << 8 |
                                 1u << 9 | 1u << 12 | 1u << 13;  // SUBMIT_ALL .. DEFER_TASKRUN
constexpr unsigned entries_max = 1024;

template <typename T>
T* carve(std::byte*& from, std::size_t count) {
  auto* made = reinterpret_cast<T*>(from);
  for (std::size_t i = 0; i < count; ++i) new (made + i) T{};
  from += (count * sizeof(T) + 63) / 64 * 64;
  return made;
}

Ring* new_ring(unsigned entries, unsigned completions) {
  const unsigned operations = 4 * entries + completions;
  const std::size_t bytes = sizeof(Ring) + entries * (sizeof(io_uring_sqe) + sizeof(unsigned)) +
                            (completions + operations) * sizeof(io_uring_cqe) +
                            operations * sizeof(Operation) + std::size_t{6} * 64;
  auto* memory = static_cast<std::byte*>(std::malloc(bytes));
  if (memory == nullptr) return nullptr;
  Ring* ring = carve<Ring>(memory, 1);
  ring->entries = entries;
  ring->completions_max = completions;
  ring->pending_max = operations;
  ring->sq_mask = entries - 1;
  ring->cq_mask = completions - 1;
  ring->sqes = carve<io_uring_sqe>(memory, entries);
  ring->array = carve<unsigned>(memory, entries);
  for (unsigned i = 0; i < entries; ++i) ring->array[i] = i;
  ring->cqes = carve<io_uring_cqe>(memory, completions);
  ring->overflow = carve<io_uring_cqe>(memory, operations);
  ring->pending = carve<Operation>(memory, operations);
  return ring;
}

void describe(const Ring& made, LibraryRing& library) {
  Ring& ring = const_cast<Ring&>(made);
  library = {};
  library.sq = {.khead = &ring.sq_head,
                .ktail = &ring.sq_tail,
                .kring_mask = &ring.sq_mask,
                .kring_entries = &ring.entries,
                .kflags = &ring.sq_flags,
                .kdropped = &ring.sq_dropped,
                .array = ring.array,
                .sqes = ring.sqes,
                .ring_ptr = &ring,
                .ring_mask = ring.sq_mask,
                .ring_entries = ring.entries};
  library.cq = {.khead = &ring.cq_head,
                .ktail = &ring.cq_tail,
                .kring_mask = &ring.cq_mask,
                .kring_entries = &ring.completions_max,
                .kflags = &ring.cq_flags,
                .koverflow = &ring.cq_overflow,
                .cqes = ring.cqes,
                .ring_ptr = &ring,
                .ring_mask = ring.cq_mask,
                .ring_entries = ring.completions_max};
  library.ring_fd = library.enter_ring_fd = ring.fd;
}

int make_ring(unsigned entries, LibraryRing& library, io_uring_params& wanted, const void* pc) {
  if ((wanted.flags & ~flags_known) != 0) uring_not_controlled("setup flags", wanted.flags);
  if (entries == 0) return -EINVAL;
  if (entries > entries_max) uring_not_controlled("number of entries", entries);
  if (const int error = shortage(Point::open, errors_of::new_descriptor, pc); error != 0)
    return -error;
  entries = std::bit_ceil(entries);
  const bool sized = (wanted.flags & IORING_SETUP_CQSIZE) != 0;
  if (sized && (wanted.cq_entries < entries || wanted.cq_entries > 4 * entries_max)) return -EINVAL;
  const unsigned completions = sized ? std::bit_ceil(wanted.cq_entries) : 2 * entries;
  const long fd = raw_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return static_cast<int>(fd);
  Ring* ring = new_ring(entries, completions);
  if (ring == nullptr) {
    raw_call(SYS_close, fd);
    return -ENOMEM;
  }
  note_kernel_call();
  ring->fd = static_cast<int>(fd);
  ring->next = rings_of(me());
  me().rings = ring;
  describe(*ring, library);
  wanted.sq_entries = entries;
  wanted.cq_entries = completions;
  wanted.features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                    IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL | IORING_FEAT_POLL_32BITS |
                    IORING_FEAT_EXT_ARG;
  library.flags = wanted.flags;
  library.features = wanted.features;
  return 0;
}

// What is under way is cancelled.
void give_back(Ring& ring, const void* pc) {
  point(Point::close, static_cast<std::uint32_t>(ring.fd), pc);
  for (unsigned lane = 0; lane < control->lanes; ++lane) {
    if (control->lane[lane].process != me().process) continue;
    if (rings_of(control->lane[lane]) == &ring) control->lane[lane].rings = ring.next;
    for (Ring* one = rings_of(control->lane[lane]); one != nullptr; one = one->next) {
      if (one->next == &ring) one->next = ring.next;
    }
  }
  raw_call(SYS_close, ring.fd);
  note_kernel_call();
  std::free(ring.files);
  std::free(&ring);
}

// --- submitting and waiting

int submit(io_uring* library, bool may_rest, const void* pc) {
  Ring& ring = ring_of(library);
  LibraryRing& user = library_of(library);
  const unsigned count = user.sq.sqe_tail - user.sq.sqe_head;
  bool follows = false;
  for (unsigned i = 0; i < count; ++i) {
    const io_uring_sqe& sqe = ring.sqes[user.sq.sqe_head++ & ring.sq_mask];
    add_operation(ring, sqe, follows);
    follows = (sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) != 0;
  }
  ring.sq_head = ring.sq_tail = user.sq.sqe_tail;
  carry_out(ring, may_rest, pc);
  return static_cast<int>(count);
}

io_uring_cqe* first_completion(const Ring& ring) {
  return ring.cq_tail == ring.cq_head ? nullptr : &ring.cqes[ring.cq_head & ring.cq_mask];
}

// For so many, at most until the deadline. 0, or -errno; `first` is the oldest.
int wait_for(Ring& ring, unsigned wanted, std::int64_t deadline, io_uring_cqe** first,
             const void* pc) {
  const Call call{.at = Point::poll,
                  .key = static_cast<std::uint32_t>(ring.fd),
                  .waits_for = effect_any,
                  .deadline = deadline,
                  .late = -ETIME};
  const auto next = [&] { return earlier(next_expiry(ring), next_of_rings()); };
  const long result = make_timed_call(call, pc, next, [&] {
    carry_out(ring, false, pc);
    carry_out_operations(pc);
    return ring.cq_tail - ring.cq_head >= wanted ? 0 : would_block;
  });
  if (first != nullptr) *first = first_completion(ring);
  return static_cast<int>(result);
}

// Looks, and if there is none, lets operations go on.
io_uring_cqe* look(Ring& ring, const void* pc) {
  move_up(ring);
  if (first_completion(ring) == nullptr) {
    point(Point::poll, static_cast<std::uint32_t>(ring.fd), pc);
    carry_out(ring, true, pc);
  }
  return first_completion(ring);
}

std::int64_t deadline_of(const __kernel_timespec* timeout) {
  if (timeout == nullptr) return 0;
  const timespec time{.tv_sec = timeout->tv_sec, .tv_nsec = static_cast<long>(timeout->tv_nsec)};
  return deadline_in(&time);
}

void refuse_mask(const sigset_t* mask) {
  if (mask != nullptr) uring_not_controlled("waiting with a signal mask of bytes", sizeof *mask);
}

}  // namespace

void uring_not_controlled(const char* what, unsigned value) {
  control->said_call = "io_uring";
  end_schedule(Ending::uncontrolled, "io_uring: %s %u: not controlled", what, value);
}

void refuse_by_number(long number) {
  if (number != SYS_io_uring_setup && number != SYS_io_uring_enter &&
      number != SYS_io_uring_register) {
    return;
  }
  uring_not_controlled("used without liburing, by system call", static_cast<unsigned>(number));
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* wanted) {
  using Function = int (*)(unsigned, io_uring*, io_uring_params*);
  if (!controlled()) return uncontrolled_call<Function>(__func__, entries, ring, wanted);
  return make_ring(entries, library_of(ring), *wanted, __builtin_return_address(0));
}

int io_uring_queue_init(unsigned entries, io_uring* ring, unsigned flags) {
  using Function = int (*)(unsigned, io_uring*, unsigned);
  if (!controlled()) return uncontrolled_call<Function>(__func__, entries, ring, flags);
  io_uring_params wanted{};
  wanted.flags = flags;
  return make_ring(entries, library_of(ring), wanted, __builtin_return_address(0));
}

void io_uring_queue_exit(io_uring* ring) {
  if (controlled()) return give_back(ring_of(ring), __builtin_return_address(0));
  if (const auto call = real<void (*)(io_uring*)>(__func__); call != nullptr) call(ring);
}

int io_uring_submit(io_uring* ring) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
  return submit(ring, true, __builtin_return_address(0));
}

int io_uring_submit_and_get_events(io_uring* ring) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
  return submit(ring, false, __builtin_return_address(0));
}

int io_uring_get_events(io_uring* ring) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
  carry_out(ring_of(ring), false, __builtin_return_address(0));
  return 0;
}

int io_uring_submit_and_wait(io_uring* ring, unsigned wanted) {
  using Function = int (*)(io_uring*, unsigned);
  if (!controlled()) return uncontrolled_call<Function>(__func__, ring, wanted);
  const void* pc = __builtin_return_address(0);
  const int count = submit(ring, wanted == 0, pc);
  const int result = wanted == 0 ? 0 : wait_for(ring_of(ring), wanted, 0, nullptr, pc);
  return count == 0 && result < 0 ? result : count;
}

int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** first, unsigned wanted,
                                     __kernel_timespec* timeout, sigset_t* mask) {
  using Function = int (*)(io_uring*, io_uring_cqe**, unsigned, __kernel_timespec*, sigset_t*);
  if (!controlled()) {
    return uncontrolled_call<Function>(__func__, ring, first, wanted, timeout, mask);
  }
  refuse_mask(mask);
  const void* pc = __builtin_return_address(0);
  const int count = submit(ring, false, pc);
  const int result = wait_for(ring_of(ring), wanted, deadline_of(timeout), first, pc);
  return result < 0 ? result : count;
}

int io_uring_wait_cqes(io_uring* ring, io_uring_cqe** first, unsigned wanted,
                       __kernel_timespec* timeout, sigset_t* mask) {
  using Function = int (*)(io_uring*, io_uring_cqe**, unsigned, __kernel_timespec*, sigset_t*);
  if (!controlled()) {
    return uncontrolled_call<Function>(__func__, ring, first, wanted, timeout, mask);
  }
  refuse_mask(mask);
  return wait_for(ring_of(ring), wanted, deadline_of(timeout), first, __builtin_return_address(0));
}

int io_uring_wait_cqe_timeout(io_uring* ring, io_uring_cqe** first, __kernel_timespec* timeout) {
  using Function = int (*)(io_uring*, io_uring_cqe**, __kernel_timespec*);
  if (!controlled()) return uncontrolled_call<Function>(__func__, ring, first, timeout);
  return wait_for(ring_of(ring), 1, deadline_of(timeout), first, __builtin_return_address(0));
}

// What the inline functions call when they find nothing.
int __io_uring_get_cqe(io_uring* ring, io_uring_cqe** first, unsigned to_submit, unsigned wanted,
                       sigset_t* mask) {
  using Function = int (*)(io_uring*, io_uring_cqe**, unsigned, unsigned, sigset_t*);
  if (!controlled()) {
    return uncontrolled_call<Function>(__func__, ring, first, to_submit, wanted, mask);
  }
  refuse_mask(mask);
  const void* pc = __builtin_return_address(0);
  if (to_submit > 0) submit(ring, false, pc);
  if (wanted > 0) return wait_for(ring_of(ring), wanted, 0, first, pc);
  *first = look(ring_of(ring), pc);
  return *first == nullptr ? -EAGAIN : 0;
}

unsigned io_uring_peek_batch_cqe(io_uring* library, io_uring_cqe** all, unsigned most) {
  using Function = unsigned (*)(io_uring*, io_uring_cqe**, unsigned);
  if (!controlled()) {
    const auto call = real<Function>(__func__);
    return call == nullptr ? 0 : call(library, all, most);
  }
  Ring& ring = ring_of(library);
  look(ring, __builtin_return_address(0));
  unsigned count = 0;
  for (; count < most && ring.cq_head + count != ring.cq_tail; ++count) {
    all[count] = &ring.cqes[(ring.cq_head + count) & ring.cq_mask];
  }
  return count;
}

}  // extern "C"
