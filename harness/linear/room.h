// What a capacity adds to a queue or set: two conditions that are necessary, not sufficient.
#pragma once

#include "harness/linear/lives.h"

namespace ipctorture::linear {

// After `lend`. Linear. The answer is a violation, or nothing was found.
std::optional<Answer> check_room(const History& history, Lives lives, Contract contract,
                                 std::uint64_t capacity);

}  // namespace ipctorture::linear
