// What a worker wrote to its standard output and error, and the report of a sanitizer in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ipctorture {

// The beginning says how it went wrong, the end how it ended: so much of each is kept.
inline constexpr std::size_t output_part_max = 8000;
inline constexpr std::size_t report_bytes_max = 4000;

// The file's first and last bytes, with a line between them that says how many were left out. Does
// not move the file's offset, which the writer may share.
std::string read_output(int fd);

// From the line on that begins a sanitizer's report (AddressSanitizer, ThreadSanitizer,
// LeakSanitizer, UndefinedBehaviorSanitizer), at most report_bytes_max; empty: there is none.
std::string find_report(std::string_view output);

}  // namespace ipctorture
