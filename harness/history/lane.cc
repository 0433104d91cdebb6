#include "harness/history/lane.h"

#include <new>

namespace ipctorture {

void Lane::reset(StampSource source, bool serialised, std::uint64_t capacity, bool stays) const {
  auto* header = new (memory_) LaneHeader{};
  header->stamp_source = source;
  header->serialised = serialised ? 1 : 0;
  header->stays = stays ? 1 : 0;
  header->capacity = capacity;
}

}  // namespace ipctorture
