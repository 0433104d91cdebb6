// Which records of a long history a bundle keeps. Private to bundle.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/check/verdict.h"
#include "harness/history/history.h"

namespace ipctorture {

struct Segment {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool operator==(const Segment&) const = default;
};
using Segments = std::vector<Segment>;  // ascending, apart from each other, none empty

// Per lane: everything, when all fits into `records_max`; else around each witness record a few
// neighbours, and around the moment of the worst finding as many as fit, three quarters of them
// before it.
std::vector<Segments> choose_window(const History& history, const Judgement& judgement,
                                    std::uint64_t records_max);

// Where record `index` of a lane is among those kept.
std::optional<std::uint64_t> position_of(const Segments& kept, std::uint64_t index);
std::uint64_t kept_records(const Segments& kept);

}  // namespace ipctorture
