// A caller's buffers (iovec): how far a call that goes piece by piece has come, and that the kernel
// touches them. Internal to calls/.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <span>

#include "harness/schedule/calls/call.h"

namespace ipctorture::schedule {

inline std::span<const iovec> span_of(const iovec* parts, int count) {
  return {parts, static_cast<std::size_t>(count)};
}

inline std::size_t bytes_of(std::span<const iovec> parts) {
  std::size_t bytes = 0;
  for (const iovec& part : parts) bytes += part.iov_len;
  return bytes;
}

// What is left to do of a caller's parts. Copies none of them.
class Rest {
 public:
  Rest(std::span<const iovec> parts, std::size_t bytes) : parts_(parts), left_(bytes) {}

  std::size_t left() const { return left_; }
  // What to hand to the kernel next: as many whole parts as are left; or one, cut.
  std::span<const iovec> next() {
    std::size_t count = 0, bytes = 0;
    if (offset_ == 0) {
      while (count < parts_.size() && parts_[count].iov_len <= left_ - bytes) {
        bytes += parts_[count++].iov_len;
      }
    }
    if (bytes > 0 || left_ == 0) return parts_.first(count);
    const iovec& first = parts_[count];
    cut_ = {.iov_base = static_cast<std::byte*>(first.iov_base) + offset_,
            .iov_len = std::min(first.iov_len - offset_, left_)};
    return {&cut_, 1};
  }
  void advance(std::size_t bytes) {
    bytes = std::min(bytes, left_);
    left_ -= bytes;
    offset_ += bytes;
    while (!parts_.empty() && offset_ >= parts_[0].iov_len) {
      offset_ -= parts_[0].iov_len;
      parts_ = parts_.subspan(1);
    }
  }

 private:
  std::span<const iovec> parts_;
  std::size_t left_;
  std::size_t offset_ = 0;  // within the first part
  iovec cut_{};
};

// The kernel reads or writes the caller's memory, which may be shared.
inline void check_memory(std::span<const iovec> parts, long bytes, bool writes) {
  if (!control->detect_races || bytes <= 0) return;
  auto left = static_cast<std::size_t>(bytes);
  for (const iovec& part : parts) {
    const std::size_t here = std::min(part.iov_len, left);
    left -= here;
    if (here == 0 || !in_arena(part.iov_base)) continue;
    const std::uint64_t key = canonical(part.iov_base);
    if (key == no_canonical) continue;  // the kernel will say EFAULT
    check_access(control->memory, key, here, writes, Access::plain);
  }
}

// --- pipes, files and the rest

inline Call descriptor_call(int fd, Kind kind, Point at, Users users) {
  return {.at = at,
          .key = static_cast<std::uint32_t>(fd),
          // What a signalfd or inotify tells of may be anything.
          .waits_for = kind == Kind::other ? std::uint32_t{effect_any} : effects_of(kind),
          .effects = effects_of(kind),
          .users = users,
          .fd = fd};
}

// read(2) and write(2) and their like: calls/io.cc.
long read_parts(int fd, std::span<const iovec> parts, const void* pc);
long write_parts(int fd, std::span<const iovec> parts, const void* pc);

}  // namespace ipctorture::schedule
