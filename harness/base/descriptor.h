// Owner of one file descriptor, and errors that name the call and the object.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace ipctorture {

// Throws std::system_error for errno (or `error`): "open /tmp/x: Permission denied".
[[noreturn]] inline void throw_system_error(std::string_view call, std::string_view object,
                                            int error = errno) {
  std::string what(call);
  if (!object.empty()) what.append(" ").append(object);
  throw std::system_error(error, std::generic_category(), what);
}

// Move-only. Closes on destruction; close(2) errors are ignored (the descriptor is gone either
// way).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

// Takes a descriptor that a call returned; throws when the call failed.
inline Descriptor own_descriptor(int fd, std::string_view call, std::string_view object) {
  if (fd < 0) throw_system_error(call, object);
  return Descriptor(fd);
}

}  // namespace ipctorture
