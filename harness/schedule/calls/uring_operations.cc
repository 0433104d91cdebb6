// The operations of an io_uring: which may go on, and how each is carried out by system calls that
// do not wait.
//
// As in the kernel, a write that does not fit comes back short, and only links (IOSQE_IO_LINK) and
// barriers (IOSQE_IO_DRAIN) order operations. The lane that submitted them carries them out, when
// it waits or looks for completions.
#include <linux/time_types.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "harness/schedule/calls/parts.h"
#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/uring.h"
#include "harness/schedule/calls/uring_ring.h"

namespace ipctorture::schedule {
namespace {

constexpr unsigned choices_max = 16;  // how many may be next

int descriptor_of(const Ring& ring, const io_uring_sqe& sqe) {
  if ((sqe.flags & IOSQE_FIXED_FILE) == 0) return sqe.fd;
  const auto index = static_cast<unsigned>(sqe.fd);
  return index < ring.file_count ? ring.files[index] : -1;
}

bool reads(const io_uring_sqe& sqe) {
  switch (sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_READV:
    case IORING_OP_READ_FIXED:
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
    case IORING_OP_ACCEPT:
      return true;
    default:
      return false;
  }
}

bool writes(const io_uring_sqe& sqe) {
  switch (sqe.opcode) {
    case IORING_OP_WRITE:
    case IORING_OP_WRITEV:
    case IORING_OP_WRITE_FIXED:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
      return true;
    default:
      return false;
  }
}

short events_at(int fd, short wanted) {
  pollfd one{.fd = fd, .events = wanted, .revents = 0};
  timespec no_time{};
  raw_call(SYS_ppoll, word(&one), 1, word(&no_time), 0, 0);
  return one.revents;
}

bool may_go_on(const Ring& ring, const Operation& one) {
  const int fd = descriptor_of(ring, one.sqe);
  if (one.sqe.opcode == IORING_OP_TIMEOUT) {
    return one.expires <= control->time || (one.enough != 0 && ring.completed >= one.enough);
  }
  if (one.sqe.opcode == IORING_OP_POLL_ADD) {
    show_timer(fd);
    return events_at(fd, static_cast<short>(one.sqe.poll32_events)) != 0;
  }
  if (reads(one.sqe)) return events_at(fd, POLLIN) != 0;
  if (writes(one.sqe)) return events_at(fd, POLLOUT) != 0;
  if (one.under_way) return events_at(fd, POLLOUT) != 0;
  return true;
}

// Places in `pending` of those that may be next, the oldest first.
unsigned candidates(const Ring& ring, unsigned (&places)[choices_max]) {
  unsigned count = 0;
  for (unsigned i = 0; i < ring.pending_count && count < choices_max; ++i) {
    const Operation& one = ring.pending[i];
    const bool drains = (one.sqe.flags & IOSQE_IO_DRAIN) != 0;
    if (drains && i > 0) break;
    if (!one.follows && may_go_on(ring, one)) places[count++] = i;
    if (drains) break;
  }
  return count;
}

// --- how each is done: a result as of a system call, or would_block

Call call_for(const io_uring_sqe& sqe, int fd) {
  const bool takes = reads(sqe);
  Call call = descriptor_call(fd, kind_of(fd), takes ? Point::read_call : Point::write_call,
                              takes ? Users::acquire : Users::release);
  if (sqe.opcode == IORING_OP_CONNECT) call.users = Users::both;
  if (sqe.opcode == IORING_OP_CLOSE) call.effects |= effect_lock;
  return call;
}

long read_or_write(const io_uring_sqe& sqe, int fd, std::span<const iovec> parts) {
  const bool takes = reads(sqe);
  if (takes && timer_of(fd) != nullptr) uring_not_controlled("read of a timerfd", sqe.opcode);
  const bool at_offset = kind_of(fd) == Kind::file && sqe.off != UINT64_MAX;
  const NonBlocking now(fd);
  const auto count = static_cast<long>(parts.size());
  if (!takes) check_memory(parts, static_cast<long>(bytes_of(parts)), false);
  const long result =
      at_offset ? raw_call(takes ? SYS_preadv2 : SYS_pwritev2, fd, word(parts.data()), count,
                           static_cast<long>(sqe.off), 0, static_cast<long>(sqe.rw_flags))
                : raw_call(takes ? SYS_readv : SYS_writev, fd, word(parts.data()), count);
  if (takes) check_memory(parts, result, true);
  return now.judged(result);
}

// One buffer; of a stream, with MSG_WAITALL, piece by piece.
long send_or_receive(Operation& one, int fd) {
  const io_uring_sqe& sqe = one.sqe;
  const bool takes = reads(sqe);
  const auto flags = static_cast<int>(sqe.msg_flags);
  const iovec part{.iov_base = reinterpret_cast<std::byte*>(sqe.addr) + one.done,
                   .iov_len = sqe.len - one.done};
  const bool by_choice = is_nonblocking(fd) || (flags & MSG_DONTWAIT) != 0;
  if (!takes) check_memory({&part, 1}, static_cast<long>(part.iov_len), false);
  const long result =
      raw_call(takes ? SYS_recvfrom : SYS_sendto, fd, word(part.iov_base),
               static_cast<long>(part.iov_len), (flags & ~MSG_WAITALL) | MSG_DONTWAIT, 0, 0);
  if (takes) check_memory({&part, 1}, result, true);
  if (result == -EAGAIN && !by_choice) return would_block;
  if (result < 0) return one.done > 0 ? static_cast<long>(one.done) : result;
  one.done += static_cast<std::size_t>(result);
  if ((flags & MSG_WAITALL) == 0 || result == 0 || one.done == sqe.len) {
    return static_cast<long>(one.done);
  }
  succeeded(call_for(sqe, fd));
  return would_block;
}

long pass_message(const io_uring_sqe& sqe, int fd) {
  const bool takes = reads(sqe);
  const auto* message = reinterpret_cast<const msghdr*>(sqe.addr);
  const std::span<const iovec> parts{message->msg_iov, message->msg_iovlen};
  if (!takes) check_memory(parts, static_cast<long>(bytes_of(parts)), false);
  const long result = raw_call(takes ? SYS_recvmsg : SYS_sendmsg, fd, static_cast<long>(sqe.addr),
                               static_cast<long>(sqe.msg_flags) | MSG_DONTWAIT);
  if (takes) check_memory(parts, result, true);
  const bool by_choice = is_nonblocking(fd) || (sqe.msg_flags & MSG_DONTWAIT) != 0;
  return result == -EAGAIN && !by_choice ? would_block : result;
}

long connect_or_accept(Operation& one, int fd) {
  const io_uring_sqe& sqe = one.sqe;
  const auto a = static_cast<long>(sqe.addr), b = static_cast<long>(sqe.addr2);
  const NonBlocking now(fd);
  if (sqe.opcode == IORING_OP_ACCEPT) {
    return now.judged(raw_call(SYS_accept4, fd, a, b, static_cast<long>(sqe.accept_flags)));
  }
  if (one.under_way) {
    int error = 0;
    socklen_t bytes = sizeof error;
    raw_call(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, word(&error), word(&bytes));
    return -error;
  }
  const long result = raw_call(SYS_connect, fd, a, b);
  one.under_way = result == -EINPROGRESS && !now.by_choice();
  if (one.under_way) succeeded(call_for(sqe, fd));  // the listener sees it already
  return one.under_way || (result == -EAGAIN && !now.by_choice()) ? would_block : result;
}

long perform(const Ring& ring, Operation& one) {
  const io_uring_sqe& sqe = one.sqe;
  const int fd = descriptor_of(ring, sqe);
  const iovec part{.iov_base = reinterpret_cast<void*>(sqe.addr), .iov_len = sqe.len};
  switch (sqe.opcode) {
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
      return read_or_write(sqe, fd, {reinterpret_cast<const iovec*>(sqe.addr), sqe.len});
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED:
      return read_or_write(sqe, fd, {&part, 1});
    case IORING_OP_SEND:
    case IORING_OP_RECV:
      return send_or_receive(one, fd);
    case IORING_OP_SENDMSG:
    case IORING_OP_RECVMSG:
      return pass_message(sqe, fd);
    case IORING_OP_ACCEPT:
    case IORING_OP_CONNECT:
      return connect_or_accept(one, fd);
    case IORING_OP_POLL_ADD:
      return events_at(fd, static_cast<short>(sqe.poll32_events));
    case IORING_OP_TIMEOUT:
      return one.enough != 0 && ring.completed >= one.enough ? 0 : -ETIME;
    case IORING_OP_CLOSE:
      return raw_call(SYS_close, fd);
    case IORING_OP_FSYNC:
      return raw_call((sqe.fsync_flags & IORING_FSYNC_DATASYNC) != 0 ? SYS_fdatasync : SYS_fsync,
                      fd);
    case IORING_OP_SHUTDOWN:
      return raw_call(SYS_shutdown, fd, sqe.len);
    default:
      return 0;  // NOP
  }
}

// --- completions

void tell(int fd) {
  const std::uint64_t one = 1;
  const NonBlocking now(fd);
  raw_call(SYS_write, fd, word(&one), sizeof one);
  note_kernel_call();
  effect(effect_pipe);
}

void post(Ring& ring, const io_uring_sqe& sqe, long result) {
  ++ring.completed;
  if ((sqe.flags & IOSQE_CQE_SKIP_SUCCESS) != 0 && result >= 0) return;
  io_uring_cqe completion{};
  completion.user_data = sqe.user_data;
  completion.res = static_cast<std::int32_t>(result);
  if (ring.overflow_count == ring.pending_max) uring_not_controlled("overflow", ring.pending_max);
  std::memcpy(static_cast<void*>(&ring.overflow[ring.overflow_count++]), &completion,
              sizeof completion);
  move_up(ring);
  if (ring.event >= 0 && (ring.cq_flags & IORING_CQ_EVENTFD_DISABLED) == 0) tell(ring.event);
}

io_uring_sqe take_away(Ring& ring, unsigned place) {
  const io_uring_sqe sqe = ring.pending[place].sqe;
  std::copy(ring.pending + place + 1, ring.pending + ring.pending_count, ring.pending + place);
  --ring.pending_count;
  return sqe;
}

// Does it break its chain? Short reads and writes do.
bool failed(const io_uring_sqe& sqe, long result) {
  if (result < 0) return true;
  switch (sqe.opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED:
      return static_cast<std::size_t>(result) != sqe.len;
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
      return static_cast<std::size_t>(result) !=
             bytes_of({reinterpret_cast<const iovec*>(sqe.addr), sqe.len});
    case IORING_OP_SEND:
    case IORING_OP_RECV:
      return (sqe.msg_flags & MSG_WAITALL) != 0 && static_cast<std::size_t>(result) != sqe.len;
    default:
      return false;
  }
}

void complete(Ring& ring, unsigned place, long result) {
  const io_uring_sqe sqe = take_away(ring, place);
  note_value(static_cast<std::uint64_t>(result));
  const bool linked = (sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) != 0;
  const bool breaks = failed(sqe, result) && (sqe.flags & IOSQE_IO_HARDLINK) == 0;
  post(ring, sqe, result);
  if (!linked) return;
  // What it is linked with comes right behind it, unless the chain ended with the submission.
  while (place < ring.pending_count && ring.pending[place].follows) {
    if (!breaks) {
      ring.pending[place].follows = false;
      return;
    }
    const io_uring_sqe next = take_away(ring, place);
    post(ring, next, -ECANCELED);
    if ((next.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) == 0) return;
  }
}

// Takes one back that was submitted: by its user_data.
void cancel(Ring& ring, unsigned place) {
  const io_uring_sqe sqe = ring.pending[place].sqe;
  for (unsigned i = 0; i < ring.pending_count; ++i) {
    const Operation& one = ring.pending[i];
    if (i == place || one.sqe.user_data != sqe.addr) continue;
    if (sqe.opcode == IORING_OP_TIMEOUT_REMOVE && one.sqe.opcode != IORING_OP_TIMEOUT) continue;
    complete(ring, place, 0);
    complete(ring, i > place ? i - 1 : i, -ECANCELED);
    return;
  }
  complete(ring, place, -ENOENT);
}

bool try_to_complete(Ring& ring, unsigned place) {
  Operation& one = ring.pending[place];
  const std::uint8_t code = one.sqe.opcode;
  if (code == IORING_OP_ASYNC_CANCEL || code == IORING_OP_TIMEOUT_REMOVE ||
      code == IORING_OP_POLL_REMOVE) {
    cancel(ring, place);
    return true;
  }
  const int fd = descriptor_of(ring, one.sqe);
  const bool touches_descriptor = code != IORING_OP_NOP && code != IORING_OP_TIMEOUT;
  Call call;
  if (touches_descriptor) call = call_for(one.sqe, fd);
  if (code == IORING_OP_CLOSE) order_users_of_descriptor(Users::release, fd), call.users = {};
  const long result = perform(ring, one);
  if (result == would_block) return false;
  if (result >= 0 && touches_descriptor) succeeded(call);
  complete(ring, place, result);
  return true;
}

// One of those that may be next. False: none can.
bool carry_out_one(Ring& ring, bool may_rest, const void* pc) {
  unsigned places[choices_max];
  if (candidates(ring, places) == 0) return false;
  const io_uring_sqe& first = ring.pending[places[0]].sqe;
  point(reads(first) ? Point::read_call : Point::write_call,
        static_cast<std::uint32_t>(descriptor_of(ring, first)), pc);
  const unsigned count = candidates(ring, places);
  if (count == 0) return false;
  const unsigned which = ask(Question::waiter, count + (may_rest ? 1 : 0), pc);
  if (which == count) return false;
  if (try_to_complete(ring, places[which])) return true;
  // It could not after all; without a point in between, so that nothing is missed.
  for (unsigned i = 0; i < count; ++i) {
    if (i != which && try_to_complete(ring, places[i])) return true;
  }
  return false;
}

// The step in which a lane last carried out what it could; of lanes of this process.
std::uint32_t carried_out_at[lanes_max];

template <typename With>
void for_each_ring(With with) {
  for (Ring* ring = rings_of(control->lane[current_lane]); ring != nullptr; ring = ring->next) {
    with(*ring);
  }
}

void show_completions(Ring& ring) {
  const bool any = ring.cq_tail != ring.cq_head;
  if (any == ring.fd_shows) return;
  ring.fd_shows = any;
  std::uint64_t count = 0;
  if (any) {
    tell(ring.fd);
  } else {
    raw_call(SYS_read, ring.fd, word(&count), sizeof count);
  }
}

}  // namespace

void move_up(Ring& ring) {
  unsigned moved = 0;
  for (; moved < ring.overflow_count; ++moved) {
    if (ring.cq_tail - ring.cq_head == ring.completions_max) break;
    std::memcpy(static_cast<void*>(&ring.cqes[ring.cq_tail & ring.cq_mask]), &ring.overflow[moved],
                sizeof(io_uring_cqe));
    __atomic_store_n(&ring.cq_tail, ring.cq_tail + 1, __ATOMIC_RELEASE);
  }
  ring.overflow_count -= moved;
  std::memmove(static_cast<void*>(ring.overflow), ring.overflow + moved,
               ring.overflow_count * sizeof(io_uring_cqe));
  const bool full = ring.overflow_count > 0;
  ring.sq_flags = full ? ring.sq_flags | IORING_SQ_CQ_OVERFLOW
                       : ring.sq_flags & ~static_cast<unsigned>(IORING_SQ_CQ_OVERFLOW);
}

void carry_out(Ring& ring, bool may_rest, const void* pc) {
  move_up(ring);
  while (carry_out_one(ring, may_rest, pc)) {
  }
  show_completions(ring);
  const std::uint32_t lane = 1u << static_cast<unsigned>(current_lane);
  control->resting = ring.pending_count > 0 ? control->resting | lane : control->resting & ~lane;
}

std::int64_t next_expiry(const Ring& ring) {
  std::int64_t next = 0;
  for (unsigned i = 0; i < ring.pending_count; ++i) {
    const Operation& one = ring.pending[i];
    if (one.sqe.opcode == IORING_OP_TIMEOUT) next = earlier(next, one.expires);
    if (one.sqe.opcode == IORING_OP_POLL_ADD) {
      next = earlier(next, show_timer(descriptor_of(ring, one.sqe)));
    }
  }
  return next;
}

void carry_out_operations(const void* pc) {
  for_each_ring([&](Ring& ring) { carry_out(ring, false, pc); });
  carried_out_at[current_lane] = control->step;
}

bool rings_moved() {
  // Behind an attempt that carried out what it could there are only questions.
  std::uint32_t step = carried_out_at[current_lane];
  while (step < control->step && control->trace[step + 1].point == Point::choice) ++step;
  if (step == control->step) return false;
  std::uint64_t before = 0, after = 0;
  unsigned left = 0;
  for_each_ring([&](const Ring& ring) { before += ring.completed; });
  carry_out_operations(nullptr);
  for_each_ring([&](const Ring& ring) {
    after += ring.completed;
    left += ring.pending_count;
  });
  if (after == before && left > 0) {
    uring_not_controlled("operations under way while their lane waits elsewhere: number", left);
  }
  return after != before;
}

std::int64_t next_of_rings() {
  std::int64_t next = 0;
  for_each_ring([&](const Ring& ring) { next = earlier(next, next_expiry(ring)); });
  return next;
}

}  // namespace ipctorture::schedule
