// Text from workers and from strangers' bundles, made fit for a terminal and for JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ipctorture {

// `text` as valid UTF-8 without control characters (but newline and tab) and without marks that
// turn the direction of writing; each byte that must go becomes '?'. Of a text above `bytes_max`
// the middle is left out, which is said there.
std::string presentable(std::string_view text, std::size_t bytes_max);

}  // namespace ipctorture
