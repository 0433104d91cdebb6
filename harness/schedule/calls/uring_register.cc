// io_uring's rings: taking operations in, and what a transport registers with one: files, buffers,
// an eventfd. What liburing has beyond that ends the schedule, by name.
#include <linux/time_types.h>
#include <signal.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring_ring.h"

struct io_uring;  // liburing's

namespace ipctorture::schedule {
namespace {

constexpr std::uint8_t known[] = {
    IORING_OP_NOP,        IORING_OP_READV,        IORING_OP_WRITEV,   IORING_OP_FSYNC,
    IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED,  IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE,
    IORING_OP_SENDMSG,    IORING_OP_RECVMSG,      IORING_OP_TIMEOUT,  IORING_OP_TIMEOUT_REMOVE,
    IORING_OP_ACCEPT,     IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT,  IORING_OP_CLOSE,
    IORING_OP_READ,       IORING_OP_WRITE,        IORING_OP_SEND,     IORING_OP_RECV,
    IORING_OP_SHUTDOWN,
};

bool is_known(unsigned opcode) {
  return std::find(std::begin(known), std::end(known), opcode) != std::end(known);
}

// Does it complete more than once?
bool is_repeated(const io_uring_sqe& sqe) {
  constexpr unsigned accept_again = 1, receive_again = 2;  // of ioprio
  switch (sqe.opcode) {
    case IORING_OP_ACCEPT:
      return (sqe.ioprio & accept_again) != 0;
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
      return (sqe.ioprio & receive_again) != 0;
    case IORING_OP_POLL_ADD:
      return sqe.len != 0;
    default:
      return false;
  }
}

Ring* ring_of(io_uring* library) {
  return static_cast<Ring*>(reinterpret_cast<LibraryRing*>(library)->sq.ring_ptr);
}

template <typename Function, typename... Arguments>
int uncontrolled_call(const char* name, Arguments... arguments) {
  const auto call = real<Function>(name);
  return call == nullptr ? -ENOSYS : call(arguments...);
}

}  // namespace

void add_operation(Ring& ring, const io_uring_sqe& sqe, bool follows) {
  if (!is_known(sqe.opcode)) uring_not_controlled("opcode", sqe.opcode);
  if (is_repeated(sqe)) uring_not_controlled("repeated completion of opcode", sqe.opcode);
  if ((sqe.flags & IOSQE_BUFFER_SELECT) != 0)
    uring_not_controlled("chosen buffer of opcode", sqe.opcode);
  if (ring.pending_count == ring.pending_max)
    uring_not_controlled("operations, more than", ring.pending_max);
  Operation added{.follows = follows, .sqe = sqe};
  if (sqe.opcode == IORING_OP_TIMEOUT) {
    const auto* time = reinterpret_cast<const __kernel_timespec*>(sqe.addr);
    const timespec spec{.tv_sec = time->tv_sec, .tv_nsec = static_cast<long>(time->tv_nsec)};
    const clockid_t clock =
        (sqe.timeout_flags & IORING_TIMEOUT_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    added.expires = (sqe.timeout_flags & IORING_TIMEOUT_ABS) != 0 ? deadline_at(&spec, clock)
                                                                  : deadline_in(&spec);
    added.enough = sqe.off == 0 ? 0 : ring.completed + sqe.off;
  }
  if (sqe.opcode == IORING_OP_ASYNC_CANCEL && sqe.cancel_flags != 0) {
    uring_not_controlled("cancel flags", sqe.cancel_flags);
  }
  ring.pending[ring.pending_count++] = added;
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int io_uring_register_buffers(io_uring* ring, const iovec* parts, unsigned count) {
  using Function = int (*)(io_uring*, const iovec*, unsigned);
  return controlled() ? 0 : uncontrolled_call<Function>(__func__, ring, parts, count);
}

int io_uring_unregister_buffers(io_uring* ring) {
  return controlled() ? 0 : uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
}

int io_uring_register_files(io_uring* library, const int* files, unsigned count) {
  using Function = int (*)(io_uring*, const int*, unsigned);
  if (!controlled()) return uncontrolled_call<Function>(__func__, library, files, count);
  Ring& ring = *ring_of(library);
  if (ring.files != nullptr) return -EBUSY;
  ring.files = static_cast<int*>(std::malloc(count * sizeof *files));
  if (ring.files == nullptr) return -ENOMEM;
  std::copy_n(files, count, ring.files);
  ring.file_count = count;
  return 0;
}

int io_uring_unregister_files(io_uring* library) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*)>(__func__, library);
  Ring& ring = *ring_of(library);
  if (ring.files == nullptr) return -ENXIO;
  std::free(ring.files);
  ring.files = nullptr;
  ring.file_count = 0;
  return 0;
}

int io_uring_register_eventfd(io_uring* library, int fd) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*, int)>(__func__, library, fd);
  if (ring_of(library)->event >= 0) return -EBUSY;
  ring_of(library)->event = fd;
  return 0;
}

int io_uring_register_eventfd_async(io_uring* library, int fd) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*, int)>(__func__, library, fd);
  return io_uring_register_eventfd(library, fd);
}

int io_uring_unregister_eventfd(io_uring* library) {
  if (!controlled()) return uncontrolled_call<int (*)(io_uring*)>(__func__, library);
  if (ring_of(library)->event < 0) return -ENXIO;
  ring_of(library)->event = -1;
  return 0;
}

// These only make calls cheaper.
int io_uring_register_ring_fd(io_uring* ring) {
  return controlled() ? 1 : uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
}
int io_uring_unregister_ring_fd(io_uring* ring) {
  return controlled() ? 1 : uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
}
int io_uring_ring_dontfork(io_uring* ring) {
  return controlled() ? 0 : uncontrolled_call<int (*)(io_uring*)>(__func__, ring);
}

// What can be done is said by the library's own structure: a header of 16 bytes, 8 for each.
io_uring_probe* io_uring_get_probe() {
  if (!controlled()) {
    const auto call = real<io_uring_probe* (*)()>(__func__);
    return call == nullptr ? nullptr : call();
  }
  constexpr unsigned operations = 64;
  const std::size_t bytes = sizeof(::io_uring_probe) + operations * sizeof(io_uring_probe_op);
  auto* probe = static_cast<::io_uring_probe*>(std::calloc(1, bytes));
  if (probe == nullptr) return nullptr;
  probe->last_op = operations - 1;
  probe->ops_len = operations;
  for (unsigned code = 0; code < operations; ++code) {
    probe->ops[code].op = static_cast<std::uint8_t>(code);
    probe->ops[code].flags = is_known(code) ? IO_URING_OP_SUPPORTED : 0;
  }
  return probe;
}

io_uring_probe* io_uring_get_probe_ring(io_uring* ring) {
  if (controlled()) return io_uring_get_probe();
  const auto call = real<io_uring_probe* (*)(io_uring*)>(__func__);
  return call == nullptr ? nullptr : call(ring);
}

void io_uring_free_probe(io_uring_probe* probe) { std::free(probe); }

// The rest, whatever its arguments: registers hold them all.
#define REFUSED(name)                                                            \
  long name(long a, long b, long c, long d, long e, long f) {                    \
    if (controlled()) {                                                          \
      control->said_call = #name;                                                \
      end_schedule(Ending::uncontrolled, "%s is not controlled", #name);         \
    }                                                                            \
    const auto call = real<long (*)(long, long, long, long, long, long)>(#name); \
    return call == nullptr ? -ENOSYS : call(a, b, c, d, e, f);                   \
  }
REFUSED(io_uring_setup)
REFUSED(io_uring_enter)
REFUSED(io_uring_enter2)
REFUSED(io_uring_register)
REFUSED(io_uring_queue_mmap)
REFUSED(__io_uring_sqring_wait)
REFUSED(io_uring_register_buffers_tags)
REFUSED(io_uring_register_buffers_sparse)
REFUSED(io_uring_register_buffers_update_tag)
REFUSED(io_uring_register_files_tags)
REFUSED(io_uring_register_files_sparse)
REFUSED(io_uring_register_files_update)
REFUSED(io_uring_register_files_update_tag)
REFUSED(io_uring_register_probe)
REFUSED(io_uring_register_personality)
REFUSED(io_uring_unregister_personality)
REFUSED(io_uring_register_restrictions)
REFUSED(io_uring_enable_rings)
REFUSED(io_uring_register_iowq_aff)
REFUSED(io_uring_unregister_iowq_aff)
REFUSED(io_uring_register_iowq_max_workers)
REFUSED(io_uring_register_buf_ring)
REFUSED(io_uring_unregister_buf_ring)
REFUSED(io_uring_register_sync_cancel)
REFUSED(io_uring_register_file_alloc_range)
#undef REFUSED

}  // extern "C"
