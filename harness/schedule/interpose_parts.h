// A caller's buffers (iovec) as far as a call that goes piece by piece has come. Internal to
// interpose_io.cc.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <span>

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

}  // namespace ipctorture::schedule
