// The counts that short messages need while a channel is indexed; see channel_index.h.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "harness/check/channel_index.h"

namespace ipctorture {

struct LookalikeCounts {
  // [size][class]: sends that may have been accepted, that were, and receives.
  std::array<std::vector<std::uint32_t>, ChannelIndex::named_bytes> possible, certain, received;
  // [producer][size]: the k-th of a class is searched from here, by its known bits.
  std::vector<std::array<std::vector<std::uint32_t>, ChannelIndex::named_bytes>> cursors;
  bool receives_certain = true;
};

}  // namespace ipctorture
