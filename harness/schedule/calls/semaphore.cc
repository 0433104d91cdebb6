// POSIX semaphores, those with names too: the library's own, tried without waiting.
//
// Where it stops: one outside the arena orders all users of such.
#include <semaphore.h>

#include <cstdarg>
#include <cstring>

#include "harness/schedule/calls/locks.h"

namespace ipctorture::schedule {
namespace {

std::uint64_t waiting_key(const sem_t* semaphore) {
  unsigned words[3];  // the value, who waits, and FUTEX_PRIVATE_FLAG: it is shared
  std::memcpy(words, semaphore, sizeof words);
  return key_to_wait_for(semaphore, words[2] != 0);
}

using SemaphoreCall = int (*)(sem_t*);

// A named one is mapped by the library itself, at another address in each process.
Call semaphore_call(const sem_t* semaphore, Point at) {
  const bool known = in_arena(semaphore);
  return {.at = at,
          .key = known ? waiting_key(semaphore) : 0,
          .waits_for = effect_mutex,
          .effects = known ? 0u : effect_mutex,
          .users = at == Point::semaphore_post ? Users::release : Users::acquire,
          .object = sync_tag | (known ? key_of_object(semaphore) : all_names),
          .by_key = known};
}

long try_semaphore(sem_t* semaphore, bool waits) {
  static const auto call = real<SemaphoreCall>("sem_trywait");
  const long result = as_result(call(semaphore));
  if (result == 0 && !in_arena(semaphore)) note_kernel_call();
  return waits && result == -EAGAIN ? would_block : result;
}

int wait_semaphore(sem_t* semaphore, std::int64_t deadline, const void* pc) {
  Call call = semaphore_call(semaphore, Point::semaphore_wait);
  call.effects = 0;  // nobody waits until it is taken
  call.deadline = deadline;
  return make_int_call(call, pc, [&] { return try_semaphore(semaphore, true); });
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

int sem_wait(sem_t* semaphore) {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  return wait_semaphore(semaphore, 0, __builtin_return_address(0));
}

int sem_timedwait(sem_t* semaphore, const timespec* until) {
  static const auto call = real<int (*)(sem_t*, const timespec*)>(__func__);
  if (!controlled()) return call(semaphore, until);
  const std::int64_t deadline = deadline_at(until, CLOCK_REALTIME);
  return wait_semaphore(semaphore, deadline, __builtin_return_address(0));
}

int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* until) {
  static const auto call = real<int (*)(sem_t*, clockid_t, const timespec*)>(__func__);
  if (!controlled()) return call(semaphore, clock, until);
  return wait_semaphore(semaphore, deadline_at(until, clock), __builtin_return_address(0));
}

int sem_trywait(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  Call once = semaphore_call(semaphore, Point::semaphore_wait);
  once.effects = 0;
  return make_int_call(once, __builtin_return_address(0),
                       [&] { return try_semaphore(semaphore, false); });
}

int sem_post(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (!controlled()) return call(semaphore);
  const void* pc = __builtin_return_address(0);
  const Call post = semaphore_call(semaphore, Point::semaphore_post);
  const int result = make_int_call(post, pc, [&] { return as_result(call(semaphore)); });
  if (result == 0 && post.by_key) wake(post.key, 1, pc);
  return result;
}

// --- named semaphores

sem_t* sem_open(const char* name, int flags, ...) noexcept {
  static const auto call = real<sem_t* (*)(const char*, int, ...)>(__func__);
  va_list arguments;
  va_start(arguments, flags);
  const bool makes = (flags & O_CREAT) != 0;
  const mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
  const unsigned value = makes ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  if (!controlled()) return call(name, flags, mode, value);
  point(Point::open, 0, __builtin_return_address(0));
  sem_t* semaphore = call(name, flags, mode, value);
  succeeded({.effects = effect_file, .users = Users::both, .object = all_names});
  return semaphore;
}

int sem_close(sem_t* semaphore) noexcept {
  static const auto call = real<SemaphoreCall>(__func__);
  if (controlled()) note_kernel_call();
  return call(semaphore);
}

int sem_unlink(const char* name) noexcept {
  static const auto call = real<int (*)(const char*)>(__func__);
  if (!controlled()) return call(name);
  const Call unlink{
      .at = Point::file, .effects = effect_file, .users = Users::both, .object = all_names};
  return make_int_call(unlink, __builtin_return_address(0), [&] { return as_result(call(name)); });
}

}  // extern "C"
