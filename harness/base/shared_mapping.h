// A memory mapping shared between processes, and the two places it comes from.
//
// Backing store is reserved when it is created (posix_fallocate), so a full tmpfs is ENOSPC here
// and never SIGBUS at a first touch later. Names are made with O_EXCL and mode 0600.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "harness/base/descriptor.h"

namespace ipctorture {

// Move-only owner of a MAP_SHARED, read-write mapping; unmapped on destruction.
class SharedMapping {
 public:
  SharedMapping() = default;
  // Maps `bytes` of `fd` from its start; throws std::system_error naming `object`. Keeps no
  // descriptor.
  SharedMapping(int fd, std::size_t bytes, std::string_view object);
  SharedMapping(SharedMapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  ~SharedMapping() { reset(); }

  std::byte* data() const { return address_; }
  std::size_t size() const { return bytes_; }
  void reset();

 private:
  std::byte* address_ = nullptr;
  std::size_t bytes_ = 0;
};

// Makes a file at least `bytes` long and backs all of them now. Throws std::system_error.
void reserve_backing(int fd, std::size_t bytes, std::string_view object);
// Creates a POSIX shared memory object (shm_open(3)) named "/name" of `bytes` zeroes, all backed.
// Throws std::system_error (EEXIST, ENOSPC, ...); leaves no name behind when it throws.
Descriptor create_shared_object(const std::string& name, std::size_t bytes);
// Opens an existing one read-write; throws. `bytes` receives its size, which is never trusted
// further.
Descriptor open_shared_object(const std::string& name, std::size_t* bytes);
// Why an object of `bytes` would not fit now ("/dev/shm has 60 MB free, needs 256 MB"); empty: it
// would. A hint for people: only creating it tells for certain.
std::string shared_object_lack(std::size_t bytes);
// Unlinks; a missing name is no error.
void unlink_shared_object(const std::string& name) noexcept;
// Creates unnamed shared memory (memfd_create(2)) of `bytes` zeroes. `reserve` backs every page
// now; without it pages appear as they are touched, for large sparse journals. It may be sealed.
enum class Backing { reserved, sparse };
Descriptor create_unnamed_memory(const char* label, std::size_t bytes, Backing backing);

}  // namespace ipctorture
