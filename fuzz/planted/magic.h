// A planted bug that only a worker can meet: six bytes, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ipctorture {

// Aborts when the bytes begin with the magic ones.
void take(const std::uint8_t* data, std::size_t size);

}  // namespace ipctorture
