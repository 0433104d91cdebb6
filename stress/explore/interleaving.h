// A schedule for people: one row per step that others could see, a column per lane, and the source
// line. Plain accesses that no departure touches are left out and counted.
#pragma once

#include <string>

#include "stress/explore/explore_transport.h"

namespace ipctorture {

std::string interleaving(const ExploreFailure& failure, std::size_t width);

}  // namespace ipctorture
