// Message queues and System V: mq_send(3), msgsnd(2), semop(2), shmget(2) and their families.
//
// A call that waits is made with IPC_NOWAIT, or with a timeout that passed long ago, and made again
// when another lane did something to such an object. Identifiers of System V differ from run to
// run: they are not in the trace.
//
// Where it stops: who is notified by mq_notify gets its signal or thread in real time.
#undef _FORTIFY_SOURCE  // its headers define some of these functions themselves

#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <algorithm>
#include <cstdarg>

#include "harness/schedule/calls/timers.h"
#include "harness/schedule/calls/virtual_pid.h"

namespace ipctorture::schedule {
namespace {

// --- POSIX message queues

Call queue_call(mqd_t queue, Users users, const timespec* until) {
  return {.at = Point::message_queue,
          .key = static_cast<std::uint32_t>(queue),
          .waits_for = effect_message_queue,
          .effects = effect_message_queue,
          .users = users,
          .fd = queue,
          .deadline = deadline_at(until, CLOCK_REALTIME)};
}

constexpr Call queue_name_call{.at = Point::message_queue,
                               .effects = effect_message_queue | effect_file,
                               .users = Users::both,
                               .object = all_names};

// The kernel does not wait until the epoch.
constexpr timespec long_past{};

int send_to_queue(mqd_t queue, const char* from, std::size_t bytes, unsigned priority,
                  const timespec* until, const void* pc) {
  const auto call = [&](const timespec* when) {
    return raw_call(SYS_mq_timedsend, queue, word(from), static_cast<long>(bytes), priority,
                    word(when));
  };
  if (!controlled()) return static_cast<int>(answer(call(until)));
  return static_cast<int>(answer(restarting([&] {
    return make_call(queue_call(queue, Users::release, until), pc, [&] {
      const long result = call(&long_past);
      return result == -ETIMEDOUT ? would_block : result;
    });
  })));
}

ssize_t receive_from_queue(mqd_t queue, char* to, std::size_t bytes, unsigned* priority,
                           const timespec* until, const void* pc) {
  const auto call = [&](const timespec* when) {
    return raw_call(SYS_mq_timedreceive, queue, word(to), static_cast<long>(bytes), word(priority),
                    word(when));
  };
  if (!controlled()) return answer(call(until));
  return answer(restarting([&] {
    return make_call(queue_call(queue, Users::acquire, until), pc, [&] {
      const long result = call(&long_past);
      return result == -ETIMEDOUT ? would_block : result;
    });
  }));
}

// --- System V

Call system_v_call(int id, Users users) {
  return {.at = Point::system_v,
          .waits_for = effect_system_v,
          .effects = effect_system_v,
          .users = users,
          .object = system_v_tag | static_cast<std::uint32_t>(id)};
}

// Whether an object is there, and which.
constexpr Call find_call{.at = Point::system_v,
                         .effects = effect_system_v,
                         .users = Users::both,
                         .object = all_names,
                         .errors = errors_of::room};

// An object that was removed while one waited for it says so; to who comes later it is unknown.
template <typename Attempt>
long wait_system_v(const Call& call, const void* pc, Attempt attempt) {
  bool waited = false;
  return make_call(call, pc, [&] {
    const long result = attempt();
    const bool removed = waited && result == -EINVAL;
    waited = true;
    return removed ? -EIDRM : result;
  });
}

constexpr std::size_t operations_max = 500;  // SEMOPM

// Of operations that cannot all be done now: does the first that is in the way say IPC_NOWAIT?
bool refuses(int set, const sembuf* operations, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const sembuf& one = operations[i];
    long value = raw_call(SYS_semctl, set, one.sem_num, GETVAL, 0);
    for (std::size_t before = 0; before < i; ++before) {
      if (operations[before].sem_num == one.sem_num) value += operations[before].sem_op;
    }
    const bool in_the_way = one.sem_op == 0 ? value != 0 : value + one.sem_op < 0;
    if (in_the_way) return (one.sem_flg & IPC_NOWAIT) != 0;
  }
  return true;
}

int operate(int set, sembuf* operations, std::size_t count, const timespec* timeout,
            const void* pc) {
  if (!controlled() || count > operations_max) {
    return static_cast<int>(answer(
        raw_call(SYS_semtimedop, set, word(operations), static_cast<long>(count), word(timeout))));
  }
  Call call = system_v_call(set, Users::both);
  call.deadline = deadline_in(timeout);
  call.late = -EAGAIN;
  return static_cast<int>(answer(wait_system_v(call, pc, [&] {
    sembuf at_once[operations_max];
    std::copy(operations, operations + count, at_once);
    for (std::size_t i = 0; i < count; ++i) at_once[i].sem_flg |= IPC_NOWAIT;
    const long result = raw_call(SYS_semtimedop, set, word(at_once), static_cast<long>(count), 0);
    return result == -EAGAIN && !refuses(set, operations, count) ? would_block : result;
  })));
}

// A call that looks at an object or changes it.
template <typename Do>
int control_object(int id, bool changes, const void* pc, Do call) {
  Call about = system_v_call(id, Users::both);
  if (!changes) about.effects = 0;
  return make_int_call(about, pc, [&] { return as_result(call()); });
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- POSIX message queues

mqd_t mq_open(const char* name, int flags, ...) noexcept {
  static const auto call = real<mqd_t (*)(const char*, int, ...)>(__func__);
  va_list arguments;
  va_start(arguments, flags);
  const bool makes = (flags & O_CREAT) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  mq_attr* attributes = makes ? va_arg(arguments, mq_attr*) : nullptr;
  va_end(arguments);
  if (!controlled()) return call(name, flags, mode, attributes);
  Call open = queue_name_call;
  open.errors = makes ? errors_of::open_or_create : errors_of::open;
  return make_int_call(open, __builtin_return_address(0),
                       [&] { return as_result(call(name, flags, mode, attributes)); });
}

int mq_unlink(const char* name) noexcept {
  static const auto call = real<int (*)(const char*)>(__func__);
  if (!controlled()) return call(name);
  return make_int_call(queue_name_call, __builtin_return_address(0),
                       [&] { return as_result(call(name)); });
}

int mq_close(mqd_t queue) noexcept {
  if (!controlled()) return static_cast<int>(answer(raw_call(SYS_close, queue)));
  Call close = queue_call(queue, Users::unordered, nullptr);
  close.at = Point::close;
  return make_int_call(close, __builtin_return_address(0),
                       [&] { return raw_call(SYS_close, queue); });
}

int mq_notify(mqd_t queue, const sigevent* event) noexcept {
  static const auto call = real<int (*)(mqd_t, const sigevent*)>(__func__);
  if (!controlled()) return call(queue, event);
  return make_int_call(queue_call(queue, Users::both, nullptr), __builtin_return_address(0),
                       [&] { return as_result(call(queue, event)); });
}

int mq_send(mqd_t queue, const char* from, size_t bytes, unsigned priority) {
  return send_to_queue(queue, from, bytes, priority, nullptr, __builtin_return_address(0));
}

int mq_timedsend(mqd_t queue, const char* from, size_t bytes, unsigned priority,
                 const timespec* until) {
  return send_to_queue(queue, from, bytes, priority, until, __builtin_return_address(0));
}

ssize_t mq_receive(mqd_t queue, char* to, size_t bytes, unsigned* priority) {
  return receive_from_queue(queue, to, bytes, priority, nullptr, __builtin_return_address(0));
}

ssize_t mq_timedreceive(mqd_t queue, char* to, size_t bytes, unsigned* priority,
                        const timespec* until) {
  return receive_from_queue(queue, to, bytes, priority, until, __builtin_return_address(0));
}

// --- System V message queues

int msgget(key_t key, int flags) noexcept {
  const auto call = [&] { return raw_call(SYS_msgget, key, flags); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(find_call, __builtin_return_address(0), call);
}

int msgctl(int queue, int command, msqid_ds* status) noexcept {
  static const auto call = real<int (*)(int, int, msqid_ds*)>(__func__);
  if (!controlled()) return call(queue, command, status);
  const int result =
      control_object(queue, command == IPC_SET || command == IPC_RMID, __builtin_return_address(0),
                     [&] { return call(queue, command, status); });
  if (result >= 0 && (command == IPC_STAT || command == MSG_STAT)) {
    status->msg_lspid = to_virtual(status->msg_lspid);
    status->msg_lrpid = to_virtual(status->msg_lrpid);
  }
  return result;
}

int msgsnd(int queue, const void* message, size_t bytes, int flags) {
  const auto call = [&](int how) {
    return raw_call(SYS_msgsnd, queue, word(message), static_cast<long>(bytes), how);
  };
  if (!controlled()) return static_cast<int>(answer(call(flags)));
  const bool waits = (flags & IPC_NOWAIT) == 0;
  const void* pc = __builtin_return_address(0);
  Call send = system_v_call(queue, Users::release);
  send.errors = errors_of::system_v_message;
  return static_cast<int>(answer(wait_system_v(send, pc, [&] {
    const long result = call(flags | IPC_NOWAIT);
    return waits && result == -EAGAIN ? would_block : result;
  })));
}

ssize_t msgrcv(int queue, void* message, size_t bytes, long type, int flags) {
  const auto call = [&](int how) {
    return raw_call(SYS_msgrcv, queue, word(message), static_cast<long>(bytes), type, how);
  };
  if (!controlled()) return answer(call(flags));
  const bool waits = (flags & IPC_NOWAIT) == 0;
  const void* pc = __builtin_return_address(0);
  return answer(wait_system_v(system_v_call(queue, Users::acquire), pc, [&] {
    const long result = call(flags | IPC_NOWAIT);
    return waits && result == -ENOMSG ? would_block : result;
  }));
}

// --- System V semaphores

int semget(key_t key, int count, int flags) noexcept {
  const auto call = [&] { return raw_call(SYS_semget, key, count, flags); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(find_call, __builtin_return_address(0), call);
}

int semctl(int set, int number, int command, ...) noexcept {
  static const auto call = real<int (*)(int, int, int, ...)>(__func__);
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);  // a union the size of a pointer, or nothing
  va_end(arguments);
  if (!controlled()) return call(set, number, command, argument);
  const bool changes =
      command == SETVAL || command == SETALL || command == IPC_SET || command == IPC_RMID;
  const int result = control_object(set, changes, __builtin_return_address(0),
                                    [&] { return call(set, number, command, argument); });
  return command == GETPID ? to_virtual(result) : result;
}

int semop(int set, sembuf* operations, size_t count) noexcept {
  return operate(set, operations, count, nullptr, __builtin_return_address(0));
}

int semtimedop(int set, sembuf* operations, size_t count, const timespec* timeout) noexcept {
  return operate(set, operations, count, timeout, __builtin_return_address(0));
}

// --- System V shared memory

int shmget(key_t key, size_t bytes, int flags) noexcept {
  const auto call = [&] { return raw_call(SYS_shmget, key, static_cast<long>(bytes), flags); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(find_call, __builtin_return_address(0), call);
}

int shmctl(int segment, int command, shmid_ds* status) noexcept {
  static const auto call = real<int (*)(int, int, shmid_ds*)>(__func__);
  if (!controlled()) return call(segment, command, status);
  const int result =
      control_object(segment, command == IPC_SET || command == IPC_RMID,
                     __builtin_return_address(0), [&] { return call(segment, command, status); });
  if (result >= 0 && (command == IPC_STAT || command == SHM_STAT)) {
    status->shm_cpid = to_virtual(status->shm_cpid);
    status->shm_lpid = to_virtual(status->shm_lpid);
  }
  return result;
}

}  // extern "C"
