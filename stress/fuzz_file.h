// Fuzz inputs as files: what ci/fuzz found, or keeps. Read as hostile input.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ipctorture {

inline constexpr std::size_t fuzz_file_bytes_max = 1u << 20;

// The letter of its kind (scenario/fuzz_input_header.h); 0: this is no fuzz input, or no file.
char fuzz_file_letter(const std::string& path);

// Throws UsageError that begins with the path.
std::vector<std::byte> read_fuzz_file(const std::string& path);

}  // namespace ipctorture
