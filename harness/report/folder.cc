// Every entry is opened relative to the folder's descriptor with O_NOFOLLOW, so that a link cannot
// lead out and nobody can swap the folder meanwhile; O_NONBLOCK so that a pipe cannot hold us. Only
// then is it asked whether it is a regular file. Hard links are not told apart: whoever could make
// one could as well copy.
#include "harness/report/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <vector>

namespace ipctorture {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& name, const std::string& why) {
  throw std::runtime_error(fmt::format("{}{}{}: {}", path, name.empty() ? "" : ": ", name, why));
}

void write_all(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error("write", name);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

// A rename that replaces nothing. Filesystems without the flag get a check before: two writers of
// one name could meet there, but names of bundles are unique.
int rename_new(const char* from, const char* to) {
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return -1;
  struct stat existing;
  if (::lstat(to, &existing) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::rename(from, to);
}

}  // namespace

FolderReader::FolderReader(std::string path)
    : path_(std::move(path)), folder_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!folder_.valid()) refuse(path_, "", std::strerror(errno));
}

bool FolderReader::has(const std::string& name) const {
  return ::faccessat(folder_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string FolderReader::read(const std::string& name, std::size_t bytes_max) const {
  const Descriptor file(::openat(folder_.get(), name.c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) {
    refuse(path_, name, errno == ELOOP ? "is a symbolic link" : std::strerror(errno));
  }
  struct stat status;
  if (::fstat(file.get(), &status) != 0) refuse(path_, name, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse(path_, name, "is not a regular file");
  if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) > bytes_max) {
    refuse(path_, name, fmt::format("{} bytes, at most {}", status.st_size, bytes_max));
  }
  // It may change while it is read: never more than was allowed, and its size must hold.
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path_, name, std::strerror(errno));
    if (got == 0) refuse(path_, name, "became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

FolderWriter::FolderWriter(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  std::vector<char> name(path_.begin(), path_.end());
  constexpr std::string_view suffix = ".tmp-XXXXXX";
  name.insert(name.end(), suffix.begin(), suffix.end());
  name.push_back('\0');
  if (::mkdtemp(name.data()) == nullptr) throw_system_error("mkdtemp", name.data());
  temporary_ = name.data();
  folder_ = Descriptor(::open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder_.valid()) {
    const int error = errno;
    ::rmdir(temporary_.c_str());
    throw_system_error("open", temporary_, error);
  }
}

FolderWriter::~FolderWriter() {
  if (temporary_.empty()) return;
  // Of our own making, flat: one level to remove.
  const int copy = ::dup(folder_.get());
  DIR* entries = copy < 0 ? nullptr : ::fdopendir(copy);
  if (entries != nullptr) {
    while (const dirent* entry = ::readdir(entries)) ::unlinkat(folder_.get(), entry->d_name, 0);
    ::closedir(entries);
  } else if (copy >= 0) {
    ::close(copy);
  }
  ::rmdir(temporary_.c_str());
}

void FolderWriter::write(const std::string& name, std::string_view bytes) {
  const Descriptor file =
      own_descriptor(::openat(folder_.get(), name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
                     "open", temporary_ + "/" + name);
  write_all(file.get(), bytes, temporary_ + "/" + name);
}

void FolderWriter::commit() {
  if (rename_new(temporary_.c_str(), path_.c_str()) != 0) throw_system_error("rename to", path_);
  temporary_.clear();
}

}  // namespace ipctorture
