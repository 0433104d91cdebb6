#include "harness/base/shared_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdint>

namespace ipctorture {

SharedMapping::SharedMapping(int fd, std::size_t bytes, std::string_view object) {
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) throw_system_error("mmap", object);
  address_ = static_cast<std::byte*>(address);
  bytes_ = bytes;
}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  if (this != &other) {
    reset();
    address_ = std::exchange(other.address_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void SharedMapping::reset() {
  if (address_ != nullptr) ::munmap(address_, bytes_);
  address_ = nullptr;
  bytes_ = 0;
}

void reserve_backing(int fd, std::size_t bytes, std::string_view object) {
  int error;
  do {
    error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error != 0) throw_system_error("posix_fallocate", object, error);
}

Descriptor create_shared_object(const std::string& name, std::size_t bytes) {
  Descriptor fd =
      own_descriptor(::shm_open(("/" + name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
                     "shm_open", name);
  try {
    reserve_backing(fd.get(), bytes, name);
  } catch (...) {
    unlink_shared_object(name);
    throw;
  }
  return fd;
}

Descriptor open_shared_object(const std::string& name, std::size_t* bytes) {
  Descriptor fd =
      own_descriptor(::shm_open(("/" + name).c_str(), O_RDWR | O_CLOEXEC, 0600), "shm_open", name);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) throw_system_error("fstat", name);
  *bytes = static_cast<std::size_t>(status.st_size);
  return fd;
}

std::string shared_object_lack(std::size_t bytes) {
  struct statvfs status{};
  if (::statvfs("/dev/shm", &status) != 0) {
    return "statvfs /dev/shm: " + std::generic_category().message(errno);
  }
  const std::uint64_t room = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (bytes <= room || status.f_blocks == 0) return {};  // 0: a tmpfs without a limit
  constexpr std::uint64_t mega = 1'000'000;
  return "/dev/shm has " + std::to_string(room / mega) + " MB free, needs " +
         std::to_string((bytes + mega - 1) / mega) + " MB";
}

void unlink_shared_object(const std::string& name) noexcept { ::shm_unlink(("/" + name).c_str()); }

Descriptor create_unnamed_memory(const char* label, std::size_t bytes, Backing backing) {
  Descriptor fd =
      own_descriptor(::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create", label);
  if (backing == Backing::reserved) {
    reserve_backing(fd.get(), bytes, label);
  } else if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    throw_system_error("ftruncate", label);
  }
  return fd;
}

}  // namespace ipctorture
