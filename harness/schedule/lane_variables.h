// The thread_local variables of the transport's shared object: lanes of one process are one thread
// to the C library, so each lane's are exchanged with its fiber. They are those of the object only;
// what the C library and libstdc++ keep per thread, but for errno and exceptions (fiber.h), lanes
// share.
#pragma once

#include <cstddef>
#include <vector>

#include "harness/schedule/choices.h"

namespace ipctorture::schedule {

class LaneVariables {
 public:
  // Of the object that holds the address `code`, in this thread.
  void find(const void* code);
  bool empty() const { return bytes_ == 0; }
  // As a thread begins with them. Not of a lane that runs.
  void begin(unsigned lane);
  // The lane that runs leaves, another comes; -1: the harness.
  void exchange(int from, int to);
  // Where those of a lane are while it does not run.
  std::byte* kept(int lane) { return kept_.data() + static_cast<std::size_t>(lane + 1) * bytes_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* block_ = nullptr;
  const std::byte* image_ = nullptr;
  std::size_t image_bytes_ = 0, bytes_ = 0;
  std::vector<std::byte> kept_;  // of the harness, and of each lane
};

}  // namespace ipctorture::schedule
