// Another program's standard output: no shell in between, its standard error thrown away.
#pragma once

#include <string>
#include <vector>

namespace ipctorture {

// Empty when it cannot be started; at most 4 MiB. It starts with no signal blocked, and is found by
// PATH when the first word has no slash.
std::string output_of(const std::vector<std::string>& command);

}  // namespace ipctorture
