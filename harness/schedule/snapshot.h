// The state of this process' lanes at one moment, and the way back to it: their stacks and heaps,
// the variables of the transport's shared object (those of each thread too), and the shared memory
// they map. That takes about a microsecond, where attaching anew takes fifty.
//
// It holds for transports that do nothing but compute on shared memory once they are attached:
// what the kernel remembers (descriptors, queues, locks) is not in it. The session looks at
// Control::kernel_calls for that.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "harness/schedule/fiber.h"
#include "harness/schedule/lane_variables.h"

namespace ipctorture::schedule {

inline constexpr std::size_t snapshot_bytes_max = 4u << 20;

class Snapshot {
 public:
  // Of the given lanes of this process, none of which runs. `code` is an address within the
  // transport's shared object; its variables in `left_out`, sorted, are not touched. False when
  // there is too much to copy.
  bool take(const std::vector<unsigned>& lanes, Fiber* fibers, LaneVariables& variables,
            const void* code, std::span<const std::span<std::byte>> left_out);
  // `shared`: put shared memory back too; one process does it for all.
  void restore(Fiber* fibers, bool shared) const;
  void clear() { pieces_.clear(); }
  bool empty() const { return pieces_.empty(); }

 private:
  struct Piece {
    std::byte* at = nullptr;
    std::vector<std::byte> bytes;
    bool shared = false;
  };
  bool keep(void* at, std::size_t bytes, bool shared);
  bool keep_variables(const void* code, std::span<const std::span<std::byte>> left_out);
  bool keep_shared_memory();

  std::vector<Piece> pieces_;
  std::vector<std::pair<unsigned, Fiber>> fibers_;
  std::vector<unsigned char> page_table_;
  std::size_t total_ = 0;
};

}  // namespace ipctorture::schedule
