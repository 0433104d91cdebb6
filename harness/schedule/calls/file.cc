// Names and contents of files, as far as a call changes them: rename(2), unlink(2), ftruncate(2),
// fsync(2) and their like. None of them waits; each is a point, and wakes who watches files.
//
// Calls that only look (stat(2), access(2)) are no points: they see what is there. So a lane that
// looks for a file again and again must sleep in between, or nobody else runs.
#include <stdio.h>
#include <sys/stat.h>

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {
namespace {

// What was done before a name changes is seen by who finds the change.
constexpr Call name_call{
    .at = Point::file, .effects = effect_file, .users = Users::both, .object = all_names};
// A name that takes room in a directory.
constexpr Call new_name_call{.at = Point::file,
                             .effects = effect_file,
                             .users = Users::both,
                             .object = all_names,
                             .errors = errors_of::room};

Call content_call(int fd) {
  return {.at = Point::file,
          .key = static_cast<std::uint32_t>(fd),
          .effects = effect_file,
          .users = Users::release,
          .fd = fd};
}

// It asks for room on the medium.
Call room_call(int fd) {
  Call call = content_call(fd);
  call.errors = errors_of::room;
  return call;
}

int with_call(const Call& about, const void* pc, long number, long a, long b = 0, long c = 0,
              long d = 0, long e = 0) {
  const auto call = [&] { return raw_call(number, a, b, c, d, e); };
  if (!controlled()) return static_cast<int>(answer(call()));
  return make_int_call(about, pc, call);
}

// fsync(2) shows nothing to others.
int sync(long number, int fd, const void* pc) {
  const Call sync_call{
      .at = Point::file, .key = static_cast<std::uint32_t>(fd), .errors = errors_of::room};
  return with_call(sync_call, pc, number, fd);
}

// These answer with an errno.
int reserve(int (*call)(int, off_t, off_t), int fd, off_t offset, off_t bytes, const void* pc) {
  if (!controlled()) return call(fd, offset, bytes);
  return static_cast<int>(
      -make_call(room_call(fd), pc, [&] { return -long{call(fd, offset, bytes)}; }));
}

}  // namespace
}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

extern "C" {

// --- names

int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_renameat2, from_directory,
                   word(from), to_directory, word(to), flags);
}

int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_renameat2, from_directory,
                   word(from), to_directory, word(to));
}

int rename(const char* from, const char* to) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_renameat2, AT_FDCWD, word(from),
                   AT_FDCWD, word(to));
}

int linkat(int from_directory, const char* from, int to_directory, const char* to,
           int flags) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_linkat, from_directory,
                   word(from), to_directory, word(to), flags);
}

int link(const char* from, const char* to) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_linkat, AT_FDCWD, word(from),
                   AT_FDCWD, word(to));
}

int symlinkat(const char* target, int directory, const char* path) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_symlinkat, word(target),
                   directory, word(path));
}

int symlink(const char* target, const char* path) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_symlinkat, word(target),
                   AT_FDCWD, word(path));
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_unlinkat, directory, word(path),
                   flags);
}

int unlink(const char* path) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_unlinkat, AT_FDCWD, word(path), 0);
}

int rmdir(const char* path) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_unlinkat, AT_FDCWD, word(path),
                   AT_REMOVEDIR);
}

int remove(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>(__func__);
  if (!controlled()) return call(path);
  return make_int_call(name_call, __builtin_return_address(0),
                       [&] { return as_result(call(path)); });
}

int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_mkdirat, directory, word(path),
                   mode);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_mkdirat, AT_FDCWD, word(path),
                   mode);
}

int mkfifoat(int directory, const char* path, mode_t mode) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_mknodat, directory, word(path),
                   mode | S_IFIFO, 0);
}

int mkfifo(const char* path, mode_t mode) noexcept {
  return with_call(new_name_call, __builtin_return_address(0), SYS_mknodat, AT_FDCWD, word(path),
                   mode | S_IFIFO, 0);
}

// --- contents

int ftruncate(int fd, off_t bytes) noexcept {
  return with_call(content_call(fd), __builtin_return_address(0), SYS_ftruncate, fd, bytes);
}
[[gnu::alias("ftruncate")]] int ftruncate64(int fd, off64_t bytes) noexcept;

int truncate(const char* path, off_t bytes) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_truncate, word(path), bytes);
}
[[gnu::alias("truncate")]] int truncate64(const char* path, off64_t bytes) noexcept;

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  return with_call(room_call(fd), __builtin_return_address(0), SYS_fallocate, fd, mode, offset,
                   bytes);
}
[[gnu::alias("fallocate")]] int fallocate64(int fd, int mode, off64_t offset, off64_t bytes);

int posix_fallocate(int fd, off_t offset, off_t bytes) {
  static const auto call = real<int (*)(int, off_t, off_t)>(__func__);
  return reserve(call, fd, offset, bytes, __builtin_return_address(0));
}
[[gnu::alias("posix_fallocate")]] int posix_fallocate64(int fd, off64_t offset, off64_t bytes);

int fsync(int fd) { return sync(SYS_fsync, fd, __builtin_return_address(0)); }
int fdatasync(int fd) { return sync(SYS_fdatasync, fd, __builtin_return_address(0)); }

// --- attributes, which inotify(7) shows

int futimens(int fd, const timespec times[2]) noexcept {
  if (fd < 0) return static_cast<int>(answer(-EBADF));
  return with_call(content_call(fd), __builtin_return_address(0), SYS_utimensat, fd, 0, word(times),
                   0);
}

int utimensat(int directory, const char* path, const timespec times[2], int flags) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_utimensat, directory, word(path),
                   word(times), flags);
}

int fchmod(int fd, mode_t mode) noexcept {
  return with_call(content_call(fd), __builtin_return_address(0), SYS_fchmod, fd, mode);
}

int chmod(const char* path, mode_t mode) noexcept {
  return with_call(name_call, __builtin_return_address(0), SYS_fchmodat, AT_FDCWD, word(path),
                   mode);
}

}  // extern "C"
