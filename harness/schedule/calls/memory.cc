// Shared memory and futex(2): mmap, munmap, mremap, shm_open, memfd_create, shmat, shmdt, and
// syscall(2), through which futex goes (it has no wrapper).
//
// Shared mappings are placed in the arena and registered under their object. A mapping that is
// given back is only forgotten, so that an access to it is noticed; the addresses are freed when
// the session ends.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <utility>
#include <vector>

#include "harness/schedule/arena.h"
#include "harness/schedule/calls/call.h"
#include "harness/schedule/calls/uring.h"
#include "harness/schedule/calls/virtual_pid.h"
#include "harness/schedule/interpose.h"

namespace ipctorture::schedule {
namespace {

constexpr std::uint64_t anonymous_device = UINT64_MAX - 1;
constexpr std::uint64_t system_v_device = UINT64_MAX;

bool is_shared(int flags) { return (flags & MAP_TYPE) != MAP_PRIVATE; }

// Notes which pages of a mapped file have no room on its medium yet. What was reserved but never
// written looks like a hole to lseek(2), so holes count only when the file has no such part.
void note_holes(const std::byte* mapping, std::size_t bytes, int fd, off_t offset) {
  struct statfs medium{};
  struct stat status{};
  if (raw_call(SYS_fstatfs, fd, word(&medium)) != 0 || medium.f_blocks == 0) return;
  if (raw_call(SYS_fstat, fd, word(&status)) != 0 || !S_ISREG(status.st_mode)) return;
  constexpr auto page = static_cast<off_t>(page_bytes);
  if (status.st_blocks * 512 >= status.st_size) return;
  const long position = raw_call(SYS_lseek, fd, 0, SEEK_CUR);
  const auto seek = [&](off_t from, int what) {
    const long found = raw_call(SYS_lseek, fd, from, what);
    return found < 0 ? status.st_size : off_t{found};
  };
  std::vector<std::pair<off_t, off_t>> holes;
  off_t data = 0;
  for (off_t at = 0; at < status.st_size;) {
    const off_t hole = seek(at, SEEK_HOLE);
    data += hole - at;
    at = hole < status.st_size ? seek(hole, SEEK_DATA) : hole;
    if (hole < at) holes.emplace_back(hole / page * page, at);
  }
  raw_call(SYS_lseek, fd, position, SEEK_SET);
  if (status.st_blocks * 512 > (data + page - 1) / page * page) return;
  const off_t end = offset + static_cast<off_t>(bytes);
  for (const auto& [from, to] : holes) {
    const off_t first = std::max(from, offset), last = std::min(to, end);
    if (first >= last) continue;
    note_unbacked(mapping + (first - offset), static_cast<std::size_t>(last - first));
  }
}

void* map_shared(std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  void* room = find_room(bytes);
  if (room == nullptr) end_schedule(Ending::uncontrolled, "mmap: more than 4 GiB shared");
  const long result = raw_call(SYS_mmap, word(room), static_cast<long>(bytes), protection,
                               flags | MAP_FIXED, fd, offset);
  if (result < 0 && result > -4096) return reinterpret_cast<void*>(answer(result));
  struct stat status{};
  std::uint64_t device = anonymous_device, inode = objects->count;
  if ((flags & MAP_ANONYMOUS) == 0) {
    const Uncontrolled uncontrolled;
    if (::fstat(fd, &status) == 0) {
      device = status.st_dev;
      inode = status.st_ino;
    }
  }
  if (!note_mapped(room, bytes, device, inode, static_cast<std::uint64_t>(offset))) {
    end_schedule(Ending::uncontrolled,
                 "mmap: more shared objects or pages than explore can follow");
  }
  if ((flags & MAP_ANONYMOUS) == 0) {
    const Uncontrolled uncontrolled;
    note_holes(static_cast<const std::byte*>(room), bytes, fd, offset);
  }
  return room;
}

// --- futex

long futex_wait(const std::uint32_t* address, std::uint64_t key, std::uint32_t expected,
                std::int64_t deadline, const void* pc) {
  point(Point::futex_wait, key, pc);
  note_value(expected);
  if (__atomic_load_n(address, __ATOMIC_SEQ_CST) != expected) return answer(-EAGAIN);
  if (deadline != 0 && deadline <= control->time) return answer(-ETIMEDOUT);
  if (ask(Question::spurious, 2, pc) == 1) return 0;
  if (ask(Question::interrupted, 2, pc) == 1) return answer(-EINTR);
  if (wait_for_key(Point::futex_wait, key, with_interrupts(deadline), pc)) return 0;
  return answer(interrupted_by_timer(deadline) ? -EINTR : -ETIMEDOUT);
}

long futex(long a, long b, long c, long d, long f, const void* pc) {
  const auto* address = reinterpret_cast<const std::uint32_t*>(a);
  const auto* timeout = reinterpret_cast<const timespec*>(d);
  const auto operation = static_cast<int>(b);
  const int command = operation & FUTEX_CMD_MASK;
  const std::uint64_t key = futex_key(address, (operation & FUTEX_PRIVATE_FLAG) != 0);
  if (key == no_canonical) return answer(-EFAULT);
  const clockid_t clock =
      (operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  const bool has_bits = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
  if (has_bits && static_cast<std::uint32_t>(f) != FUTEX_BITSET_MATCH_ANY) {
    control->said_call = "futex";
    end_schedule(Ending::uncontrolled, "futex with a bitset of 0x%x is not controlled",
                 static_cast<unsigned>(f));
  }
  switch (command) {
    case FUTEX_WAIT:
      return futex_wait(address, key, static_cast<std::uint32_t>(c), deadline_in(timeout), pc);
    case FUTEX_WAIT_BITSET:
      return futex_wait(address, key, static_cast<std::uint32_t>(c), deadline_at(timeout, clock),
                        pc);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: {
      point(Point::futex_wake, key, pc);
      const unsigned woken = wake(key, static_cast<unsigned>(c), pc);
      note_value(woken);
      return woken;
    }
    default:
      control->said_call = "futex";
      end_schedule(Ending::uncontrolled, "futex operation %d is not controlled", command);
  }
}

// A thread or process of its own, which would run beside the schedule, with this lane's state.
bool starts_a_task(long number) {
#if defined(SYS_fork) && defined(SYS_vfork)
  if (number == SYS_fork || number == SYS_vfork) return true;
#endif
  return number == SYS_clone || number == SYS_clone3;
}

// A call by number that has no wrapper here.
long other_call(long number, long a, long b, long c, long d, long e, long f, const void* pc) {
  if (starts_a_task(number)) {
    control->said_call = "clone";
    end_schedule(Ending::uncontrolled,
                 "the transport starts a task by system call %ld, which is not controlled", number);
  }
  const bool signals = number == SYS_rt_tgsigqueueinfo || number == SYS_rt_sigqueueinfo ||
                       number == SYS_tgkill || number == SYS_tkill;
  point(signals ? Point::signal : Point::process, static_cast<std::uint64_t>(number), pc);
  note_kernel_call();
  if (signals) release_object(all_signals);
  const long result = raw_call(number, a, b, c, d, e, f);
  effect(effect_any);
  note_value(static_cast<std::uint64_t>(result));
  return answer(result);
}

// A point for a call that changes names or objects.
void object_call(Point at, const void* pc) {
  point(at, 0, pc);
  note_kernel_call();
  effect(effect_file);
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

void* mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  const bool ours = controlled() && is_shared(flags) && (flags & MAP_FIXED) == 0;
  if (!ours) {
    if (controlled()) note_kernel_call();
    return reinterpret_cast<void*>(answer(raw_call(
        SYS_mmap, word(address), static_cast<long>(bytes), protection, flags, fd, offset)));
  }
  const void* pc = __builtin_return_address(0);
  object_call(Point::map, pc);
  if (shortage(Point::map, errors_of::map, pc) != 0)
    return reinterpret_cast<void*>(answer(-ENOMEM));
  return map_shared(bytes, protection, flags, fd, offset);
}

void* mmap64(void* address, size_t bytes, int protection, int flags, int fd,
             off64_t offset) noexcept {
  return mmap(address, bytes, protection, flags, fd, offset);
}

int munmap(void* address, size_t bytes) noexcept {
  if (controlled() && in_arena(address)) {
    point(Point::map, canonical(address), __builtin_return_address(0));
    note_unmapped(address, bytes);
    return 0;
  }
  if (controlled()) note_kernel_call();
  return static_cast<int>(answer(raw_call(SYS_munmap, word(address), static_cast<long>(bytes))));
}

// A mapping that moves would have to leave the arena, or grow into what is beside it.
void* mremap(void* address, size_t bytes, size_t new_bytes, int flags, ...) noexcept {
  va_list arguments;
  va_start(arguments, flags);
  const long to = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, long) : 0;
  va_end(arguments);
  if (controlled() && in_arena(address)) {
    control->said_call = "mremap";
    end_schedule(Ending::uncontrolled, "mremap of shared memory is not controlled");
  }
  if (controlled()) note_kernel_call();
  return reinterpret_cast<void*>(
      answer(raw_call(SYS_mremap, word(address), static_cast<long>(bytes),
                      static_cast<long>(new_bytes), flags, to)));
}

int shm_open(const char* name, int flags, mode_t mode) {
  static const auto call = real<decltype(&::shm_open)>("shm_open");
  if (!controlled()) return call(name, flags, mode);
  const void* pc = __builtin_return_address(0);
  object_call(Point::open, pc);
  order_users(Users::both, all_names);
  if (const int error = shortage(Point::open, errors_of::open, pc); error != 0) {
    return static_cast<int>(answer(-error));
  }
  const Uncontrolled uncontrolled;
  return call(name, flags, mode);
}

int shm_unlink(const char* name) {
  static const auto call = real<decltype(&::shm_unlink)>("shm_unlink");
  if (!controlled()) return call(name);
  object_call(Point::file, __builtin_return_address(0));
  order_users(Users::both, all_names);
  const Uncontrolled uncontrolled;
  return call(name);
}

int memfd_create(const char* name, unsigned flags) noexcept {
  if (controlled()) {
    const void* pc = __builtin_return_address(0);
    object_call(Point::open, pc);
    const int error = shortage(Point::open, errors_of::new_descriptor, pc);
    if (error != 0) return static_cast<int>(answer(-error));
  }
  return static_cast<int>(answer(raw_call(SYS_memfd_create, word(name), flags)));
}

void* shmat(int id, const void* address, int flags) noexcept {
  static const auto call = real<decltype(&::shmat)>("shmat");
  if (!controlled() || address != nullptr) return call(id, address, flags);
  const void* pc = __builtin_return_address(0);
  object_call(Point::map, pc);
  if (shortage(Point::map, errors_of::map, pc) != 0)
    return reinterpret_cast<void*>(answer(-ENOMEM));
  shmid_ds status{};
  {
    const Uncontrolled uncontrolled;
    if (::shmctl(id, IPC_STAT, &status) != 0) return reinterpret_cast<void*>(-1);
  }
  void* room = find_room(status.shm_segsz);
  if (room == nullptr) end_schedule(Ending::uncontrolled, "shmat: more than 4 GiB shared");
  void* result = call(id, room, flags | SHM_REMAP);
  if (result == reinterpret_cast<void*>(-1)) return result;
  if (!note_mapped(room, status.shm_segsz, system_v_device, static_cast<std::uint64_t>(id), 0)) {
    end_schedule(Ending::uncontrolled, "shmat: more shared pages than explore can follow");
  }
  return result;
}

int shmdt(const void* address) noexcept {
  static const auto call = real<decltype(&::shmdt)>("shmdt");
  if (!controlled() || !in_arena(address)) return call(address);
  point(Point::map, canonical(address), __builtin_return_address(0));
  // How long it was is known by the object it maps.
  const std::uint64_t page = canonical(address) / page_bytes;
  for (std::uint32_t i = 0; i < objects->count; ++i) {
    const SharedObject& object = objects->object[i];
    if (object.first_page != page) continue;
    note_unmapped(const_cast<void*>(address), object.pages * page_bytes);
    return 0;
  }
  return static_cast<int>(answer(-EINVAL));
}

long syscall(long number, ...) noexcept {
  va_list arguments;
  va_start(arguments, number);
  long word[6];
  for (long& one : word) one = va_arg(arguments, long);
  va_end(arguments);
  const void* pc = __builtin_return_address(0);
  if (!controlled()) {
    return answer(raw_call(number, word[0], word[1], word[2], word[3], word[4], word[5]));
  }
  if (long id = 0; asks_for_id(number, id)) return id;
  refuse_by_number(number);
  translate_ids(number, word);
  if (number == SYS_futex) return futex(word[0], word[1], word[2], word[3], word[5], pc);
  return other_call(number, word[0], word[1], word[2], word[3], word[4], word[5], pc);
}

}  // extern "C"
