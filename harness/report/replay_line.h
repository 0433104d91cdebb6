// The line that a person copies into a shell to see a failure again.
#pragma once

#include <string>
#include <string_view>

namespace ipctorture {

// "PROGRAM replay BUNDLE", each quoted where a POSIX shell would take it apart.
std::string replay_line(std::string_view program, std::string_view bundle);

}  // namespace ipctorture
